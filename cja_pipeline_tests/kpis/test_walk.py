"""The walk from last night's rows to tonight's, against counting by hand after every reason."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.reasons import PLACE, REASONS
from cja_pipeline.kpis.unit_sums import Moment, Total
from cja_pipeline.kpis.walk import STATES, Rows, concerned, walk
from cja_pipeline.kpis.walks import Path

UNITS, PERIODS = 4, 2
MOMENTS = [
    Moment(Total("sum", 0)),
    Moment(Total("any", 0)),
    Moment(Total("some", 1)),
    Moment(Total("both", 0, 1)),
    Moment(Total("where", 1, 0)),
    Moment(Total("sum", 0), Total("sum", 1)),
]
NUMBER = st.integers(-2, 3).map(float)
ROW = st.fixed_dictionaries(
    {
        "before": st.tuples(NUMBER, NUMBER),
        "now": st.tuples(NUMBER, NUMBER),
        "units": st.tuples(st.integers(0, UNITS - 1), st.integers(0, UNITS - 1)),
        "period": st.integers(0, PERIODS - 1),
        "own": st.sampled_from(list(REASONS)),
        "of_customer": st.sampled_from(list(REASONS)),
        "same": st.booleans(),
    }
)


def rows_of(found: list[dict]) -> tuple[Rows, np.ndarray]:  # type: ignore[type-arg]
    def column(values, dtype=float):  # type: ignore[no-untyped-def]
        return np.array(list(values), dtype=dtype)

    for row in found:
        if row["same"]:
            row["now"], row["units"] = row["before"], (row["units"][0],) * 2
    period = column((row["period"] for row in found), int)
    rows = Rows(
        column((row["units"][0] for row in found), int),
        column((row["units"][1] for row in found), int),
        period,
        column(row["before"] for row in found).reshape(-1, 2),
        column(row["now"] for row in found).reshape(-1, 2),
        column((PLACE[row["own"]] for row in found), int),
        column((PLACE[row["of_customer"]] for row in found), int),
        np.array([False, True]),
        np.arange(len(found)),
    )
    return rows, period


def by_hand(found: list[dict], applied: set[str]) -> list[list[float]]:  # type: ignore[type-arg]
    """Moments by period when these reasons have been applied."""
    sums: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in found:
        unit = row["units"]["identity" in applied]
        values = (
            row["now" if row["own"] in applied else "before"][0],
            row["now" if row["of_customer"] in applied else "before"][1],
        )
        for place, value in enumerate(values):
            sums[row["period"], unit][place] += value
    answer = []
    for period in range(PERIODS):
        pairs = [pair for (when, _), pair in sums.items() if when == period]
        answer.append(
            [
                sum(a for a, _ in pairs),
                sum(a > 0 for a, _ in pairs),
                sum(b != 0 for _, b in pairs),
                sum(a > 0 and b > 0 for a, b in pairs),
                sum(b for a, b in pairs if a > 0),
                sum(a * b for a, b in pairs),
            ]
        )
    return answer


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=14))
def test_every_state_is_what_counting_by_hand_gives(found: list[dict]) -> None:  # type: ignore[type-arg]
    rows, period = rows_of(found)
    states = walk(rows, MOMENTS, period, PERIODS)
    names = list(REASONS)
    for number in range(STATES):
        assert states[number].tolist() == by_hand(found, set(names[:number]))
    for reason, place in PLACE.items():
        if place not in rows.steps:
            assert (states[place] == states[place + 1]).all(), reason
    assert all(place in rows.steps for place in concerned(rows, [0, 1]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(float("nan"))), min_size=STATES - 1,
                max_size=STATES - 1), st.integers(-5, 5), st.integers(-5, 5))  # fmt: skip
def test_parts_add_up_though_a_state_has_no_number(between: list[float], first: int, last: int) -> None:
    values = [float(first), *between, float(last)]
    parts = Path(values, {}, {}).parts()
    assert len(parts) == len(REASONS)
    assert sum(parts) == last - first
    # a reason whose state has no number is told with the next one that has
    for place, (old, new) in enumerate(itertools.pairwise(values)):
        if new != new and place < PLACE["rule"]:
            assert parts[place] == 0
        elif old == old and new == new and place < PLACE["rule"]:
            assert parts[place] == new - old


def test_rows_of_a_customer_who_became_another_count_once() -> None:
    """Two visitors of one day turn out to be one person; one of them has a late visit as well."""
    row = {
        "before": (1.0, 0.0),
        "now": (1.0, 0.0),
        "period": 0,
        "own": "late",
        "of_customer": "late",
        "same": False,
    }
    found = [
        {**row, "units": (0, 0)},
        {**row, "units": (1, 0)},
        {**row, "units": (0, 0), "before": (0.0, 0.0)},
        {**row, "units": (2, 2), "before": (0.0, 0.0)},
    ]
    rows, period = rows_of(found)
    people = walk(rows, MOMENTS, period, PERIODS)[:, 0, 1].tolist()
    assert people[0] == 2
    assert people[PLACE["late"] + 1] == 3  # the late visit of a stranger; the other one's person was there
    assert people[PLACE["identity"] + 1] == 2
    assert people[-1] == 2
    behind = concerned(rows, [0])
    assert {reason: behind[PLACE[reason]].tolist() for reason in ("late", "identity")} == {
        "late": [2, 3],
        "identity": [1],
    }
