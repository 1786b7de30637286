"""Periods, coverage of days, and the status against a target."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.coverage import Coverage
from cja_pipeline.kpis.objectives import Objective, apply_objectives
from cja_pipeline.kpis.periods import Calendar, bounds

AS_OF = dt.date(2026, 3, 18)


@given(st.dates(dt.date(2025, 1, 1), AS_OF), st.sampled_from(["day", "week", "month", "rolling_28d"]))
def test_a_day_is_in_one_period(day: dt.date, grain: str) -> None:
    start, end = bounds(grain, day, AS_OF)
    assert start <= day <= end
    assert bounds(grain, start, AS_OF) == bounds(grain, end, AS_OF) == (start, end)
    assert grain != "week" or start.isoweekday() == 1
    assert grain != "rolling_28d" or (AS_OF - end).days % 28 == 0


def test_newest_rolling_window_ends_on_the_last_day() -> None:
    calendar = Calendar(dt.date(2026, 1, 1), AS_OF, {"day": 10}, dt.date(2026, 1, 1))
    assert calendar.periods("rolling_28d")[-1] == (dt.date(2026, 2, 19), AS_OF)
    assert [start for start, _ in calendar.periods("day")] == [
        AS_OF - dt.timedelta(days=i) for i in range(9, -1, -1)
    ]
    assert [start.month for start, _ in calendar.periods("month")] == [1, 2, 3]


def test_coverage_says_why_there_is_no_value() -> None:
    days = frozenset(dt.date(2026, 3, d) for d in range(2, 17))
    late = Coverage(dt.date(2026, 3, 2), AS_OF, AS_OF, days)
    assert late.judge(dt.date(2026, 3, 18), dt.date(2026, 3, 18), AS_OF).reason == "incomplete"
    assert late.judge(dt.date(2026, 3, 9), dt.date(2026, 3, 15), AS_OF)[1:] == (True, True, None)
    assert late.judge(dt.date(2026, 3, 16), dt.date(2026, 3, 22), AS_OF)[1:] == (False, False, None)
    assert late.judge(dt.date(2026, 2, 23), dt.date(2026, 3, 1), AS_OF).reason == "incomplete"
    waiting = Coverage(dt.date(2026, 1, 1), dt.date(2026, 3, 17), dt.date(2026, 3, 17))
    assert waiting.judge(AS_OF, AS_OF, AS_OF).reason == "immature"
    assert waiting.judge(dt.date(2026, 3, 12), AS_OF, AS_OF)[1:] == (True, False, None)
    window = Coverage(dt.date(2026, 2, 1), AS_OF, AS_OF, shifted=True)
    assert window.judge(dt.date(2026, 1, 5), dt.date(2026, 1, 11), AS_OF).reason == "immature"
    assert late.also(waiting).judge(AS_OF, AS_OF, AS_OF).reason == "immature"
    assert Coverage(None, AS_OF, AS_OF).judge(AS_OF, AS_OF, AS_OF).reason == "incomplete"


@pytest.mark.parametrize(
    ("kpi", "value", "low", "high", "expected"),
    [
        ("conversion_rate", 0.04, 0.035, 0.045, "ahead"),
        ("conversion_rate", 0.031, 0.028, 0.034, "on"),
        ("conversion_rate", 0.02, 0.015, 0.025, "behind"),
        ("bounce_rate", 0.02, 0.015, 0.025, "ahead"),
        ("bounce_rate", 0.04, 0.035, 0.045, "behind"),
        ("conversion_rate", np.nan, np.nan, np.nan, "insufficient_data"),
        ("media_clicks", 0.0305, None, None, "on"),
        ("media_clicks", 0.04, None, None, "ahead"),
    ],
)
def test_status_follows_the_interval(
    kpi: str, value: float, low: float | None, high: float | None, expected: str
) -> None:
    known = "impressions" if kpi == "media_clicks" else kpi
    goal = Objective(
        objective="x",
        kpi=known,
        target=0.03,
        owner="team:x",
        effective_from=dt.date(2026, 1, 1),
        grain="week",
    )
    assert _judge(goal, value, low, high)["status"][0] == expected


def test_targets_scale_expire_and_stay_with_their_slice() -> None:
    def goal(**options: object) -> Objective:
        base = {"objective": "x", "kpi": "orders", "target": 280.0, "owner": "team:x"}
        return Objective.model_validate({**base, "effective_from": dt.date(2026, 1, 1), **options})

    assert _judge(goal(), 75.0, 70.5, 90.0)["target"][0] == 70.0
    assert _judge(goal(), 75.0, 70.5, 90.0)["status"][0] == "ahead"
    assert _judge(goal(), 75.0, 70.5, 90.0, complete=False)["status"][0] == "insufficient_data"
    assert np.isnan(_judge(goal(effective_from=dt.date(2026, 4, 1)), 75.0, 70.0, 90.0)["target"][0])
    assert np.isnan(_judge(goal(dimension="device", dimension_value="mobile"), 75.0, 70.0, 90.0)["target"][0])
    assert np.isnan(_judge(goal(kpi="reach"), 75.0, 70.0, 90.0)["target"][0])
    with pytest.raises(ValueError, match="is split by"):
        goal(kpi="tickets", dimension="channel")
    with pytest.raises(ValueError, match="neither better up nor down"):
        goal(kpi="session_duration")


def _judge(
    goal: Objective, value: float, low: float | None, high: float | None, complete: bool = True
) -> dict[str, np.ndarray]:
    catalogue = load_catalogue()
    block = {
        "kpi_id": np.array([goal.kpi], dtype=object),
        "grain": np.array(["week"], dtype=object),
        "period_start": np.array(["2026-03-02"], dtype="datetime64[D]"),
        "period_end": np.array(["2026-03-08"], dtype="datetime64[D]"),
        "dimension": np.array(["all"], dtype=object),
        "dimension_value": np.array(["all"], dtype=object),
        "value": np.array([value]),
        "ci_low": np.array([np.nan if low is None else low]),
        "ci_high": np.array([np.nan if high is None else high]),
        "ci_method": np.array([None if low is None else "wilson"], dtype=object),
        "additive": np.array([catalogue[goal.kpi].additive], dtype=object),
        "is_complete": np.array([complete]),
    }
    if goal.kpi == "impressions":
        goal = goal.model_copy(update={"grain": "week"})
    return apply_objectives(block, [goal], catalogue)
