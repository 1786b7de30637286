"""Attribution: published amounts, brute force, and credit that always sums to what there is."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.attribution import MODELS, attribute
from cja_pipeline.kpis.markov import Chain

CHANNELS = ["Direct", "Email", "Paid", "Social"]
PATHS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=6),
        st.integers(0, 5),  # conversions
        st.integers(0, 300),  # value of each, in cents
        st.integers(0, 6),  # ended without converting
    ),
    min_size=1,
    max_size=12,
).filter(lambda rows: any(row[1] for row in rows))
FEW = settings(max_examples=25, deadline=None, derandomize=True)


def table(rows) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [list(path) for path, *_ in rows],
            "conversions": [n for _, n, _, _ in rows],
            "value": [n * cents / 100 for _, n, cents, _ in rows],
            "nulls": [lost for *_, lost in rows],
        }
    )


def credits_of(paths: pd.DataFrame, model: str, column: str = "conversions") -> dict[str, float]:
    return attribute(paths, [model]).set_index("channel")[column].to_dict()


def one_path(text: str, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"path": [text], "conversions": [1], "value": [50.0]} | {k: [v] for k, v in columns.items()}
    )


@pytest.mark.parametrize(
    ("model", "amounts"),
    [
        ("first", [50, 0, 0, 0]),
        ("last", [0, 0, 0, 50]),
        ("linear", [12.5, 12.5, 12.5, 12.5]),
        ("position", [20, 5, 5, 20]),
        ("shapley", [12.5, 12.5, 12.5, 12.5]),
        # touches 9, 6, 0 and 0 days before, half-life 7 days
        ("time_decay", [6.92, 9.32, 16.88, 16.88]),
    ],
)
def test_fifty_dollars_are_shared_as_published(model, amounts):
    found = credits_of(one_path("a > b > c > d", days_before=[9, 6, 0, 0]), model, "value")
    assert [round(found[name], 2) for name in "abcd"] == amounts


def test_time_decay_halves_every_week():
    found = credits_of(one_path("a > b > c > d", days_before="28 > 21 > 14 > 7"), "time_decay")
    np.testing.assert_allclose([found[name] * 15 for name in "abcd"], [1, 2, 4, 8])


def test_time_decay_without_times_says_what_it_assumes():
    with pytest.warns(UserWarning, match="one day apart"):
        found = credits_of(one_path("a > b"), "time_decay")
    assert found["b"] / found["a"] == pytest.approx(2 ** (1 / 7))


@pytest.mark.parametrize(
    ("path", "winner"),
    [("Email > direct > Paid > direct", "Paid"), ("Direct > Direct", "Direct"), ("Social", "Social")],
)
def test_last_non_direct_looks_past_direct(path, winner):
    assert credits_of(one_path(path), "last_non_direct")[winner] == 1


def test_position_of_short_paths():
    assert credits_of(one_path("a"), "position") == {"a": 1}
    assert credits_of(one_path("a > b"), "position") == {"a": 0.5, "b": 0.5}


def test_markov_equals_the_worked_example():
    """C1 > C2 > C3 converts; C1 and C2 > C3 do not (analyzecore 2016)."""
    toy = pd.DataFrame(
        {"path": ["C1 > C2 > C3", "C1", "C2 > C3"], "conversions": [1, 0, 0], "nulls": [0, 1, 1]}
    )
    result = attribute(toy, ["markov_1"]).set_index("channel")
    assert result["removal_effect"].round(12).to_dict() == {"C1": 0.5, "C2": 1, "C3": 1}
    assert result["share"].round(12).to_dict() == {"C1": 0.2, "C2": 0.4, "C3": 0.4}


def chain_of(paths: pd.DataFrame, order: int) -> tuple[Chain, np.ndarray, np.ndarray]:
    lengths = [len(path) for path in paths["path"]]
    channel = np.array([CHANNELS.index(c) for path in paths["path"] for c in path])
    chain = Chain(np.repeat(np.arange(len(paths)), lengths), channel, channels=len(CHANNELS), order=order)
    gains = paths[["conversions", "value"]].to_numpy(float).T
    return chain, gains[0] + paths["nulls"].to_numpy(float), gains


@FEW
@given(PATHS, st.sampled_from([1, 2, 3, 4]))
def test_markov_converts_at_the_empirical_rate(rows, order):
    paths = table(rows)
    chain, ends, gains = chain_of(paths, order)
    _, start = chain.removal_effects(ends, gains)
    np.testing.assert_allclose(start, gains.sum(axis=1) / ends.sum(), rtol=1e-11, atol=1e-12)


def removal_by_brute_force(rows, order: int, channel: str) -> float:
    """1 - P(conversion without the channel) / P(conversion), from a dictionary chain and a dense solve."""
    counts: dict[tuple, dict] = defaultdict(lambda: defaultdict(float))
    for path, conversions, _, lost in rows:
        items = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        state: tuple = ()
        for item in items:
            following = (*state, item)[-order:]
            counts[state][following] += conversions + lost
            state = following
        counts[state]["bought"] += conversions
        counts[state]["lost"] += lost

    def converts(removed: str | None) -> float:
        states = list(counts)
        matrix, right = np.eye(len(states)), np.zeros(len(states))
        for i, state in enumerate(states):
            total = sum(counts[state].values())
            if total == 0:
                continue
            for target, n in counts[state].items():
                if target == "bought":
                    right[i] += n / total
                elif target != "lost" and target[-1] != removed:
                    matrix[i, states.index(target)] -= n / total
        return float(np.linalg.solve(matrix, right)[states.index(())])

    return 1 - converts(channel) / converts(None)


@FEW
@given(PATHS, st.sampled_from([1, 2, 3]))
def test_removal_effects_equal_brute_force(rows, order):
    found = attribute(table(rows), [f"markov_{order}"]).set_index("channel")["removal_effect"]
    for channel in found.index:
        assert found[channel] == pytest.approx(removal_by_brute_force(rows, order, channel), abs=1e-9)


@FEW
@given(PATHS)
def test_closed_form_and_iteration_agree(rows):
    chain, ends, gains = chain_of(table(rows), 1)
    closed = chain.removal_effects(ends, gains)
    chain.order = 2  # the same states, by the other way
    for a, b in zip(closed, chain.removal_effects(ends, gains), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


@FEW
@given(PATHS)
def test_shapley_equals_brute_force(rows):
    present = sorted({channel for path, *_ in rows for channel in path})
    n = len(present)

    def worth(coalition: set[str]) -> float:
        return sum(conversions for path, conversions, *_ in rows if set(path) <= coalition)

    found = credits_of(table(rows), "shapley")
    for channel in present:
        others = [c for c in present if c != channel]
        value = sum(
            math.factorial(k)
            * math.factorial(n - k - 1)
            / math.factorial(n)
            * (worth({*group, channel}) - worth(set(group)))
            for k in range(n)
            for group in itertools.combinations(others, k)
        )
        assert found[channel] == pytest.approx(value, abs=1e-8)


@pytest.mark.filterwarnings("ignore:time_decay")
@FEW
@given(PATHS)
def test_credit_sums_to_conversions_and_value(rows):
    paths = table(rows)
    sums = attribute(paths).groupby("model")[["conversions", "value"]].sum()
    assert sorted(sums.index) == sorted(MODELS)
    np.testing.assert_allclose(sums["conversions"], paths["conversions"].sum(), rtol=1e-9)
    np.testing.assert_allclose(sums["value"], paths["value"].sum(), rtol=1e-9, atol=1e-9)


def test_paths_without_touches_are_counted_and_named():
    paths = pd.DataFrame({"path": ["a", "", None], "conversions": [3, 2, 1], "value": [30, 20, 10]})
    for model in ("linear", "markov_1"):
        assert credits_of(paths, model) == {"a": 3, "Unattributed": 3}
        assert credits_of(paths, model, "value") == {"a": 30, "Unattributed": 30}


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match=r"lack the columns \['conversions'\]"):
        attribute(pd.DataFrame({"path": ["a"]}))
    with pytest.raises(ValueError, match="not negative"):
        attribute(pd.DataFrame({"path": ["a"], "conversions": [-1]}))
    with pytest.raises(ValueError, match="unknown model 'best'"):
        attribute(pd.DataFrame({"path": ["a"], "conversions": [1]}), ["best"])
    with pytest.raises(ValueError, match="one number for each touch"):
        attribute(one_path("a > b", days_before=[1]), ["time_decay"])
