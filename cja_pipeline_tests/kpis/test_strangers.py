"""The public functions on tables as strangers bring them: errors say what was wrong and what was expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.kpis import stats
from cja_pipeline.kpis.attribution import attribute
from cja_pipeline.kpis.journeys import funnel, sessionize, transitions
from cja_pipeline.kpis.value import fit_bg_nbd, fit_gamma_gamma, fit_mbg_nbd

NOON = pd.Timestamp("2026-03-29 12:00")
LOG = pd.DataFrame(
    {"user": ["a", "a", "b"], "ts": [NOON, NOON + pd.Timedelta("1h"), NOON], "event": ["view", "buy", "view"]}
)
NO_ROWS = pd.DataFrame(columns=["user", "ts", "event"])
WEEK = dt.timedelta(days=7)


def paths(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"path": ["a > b"], "conversions": [1]} | {k: [v] for k, v in columns.items()})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: attribute([{"path": "a"}]), "expected a DataFrame"),  # type: ignore[arg-type]
        (lambda: attribute(paths(conversions="x")), "conversions: expected numbers, got 'x'"),
        (lambda: attribute(paths(conversions=np.nan)), "finite and not negative"),
        (lambda: attribute(paths(conversions=np.inf)), "finite and not negative"),
        (lambda: attribute(paths(value="12,5")), "value: expected numbers, got '12,5'"),
        (lambda: attribute(paths(path=5)), "path: expected channels as a list or as text"),
        (lambda: attribute(paths(days_before="x > y"), "time_decay"), "days_before: expected the days"),
        (lambda: attribute(paths(days_before="-1 > 0"), "time_decay"), "days_before: expected the days"),
        (lambda: attribute(paths(), half_life_days=0), "half_life_days: expected a positive number"),
        (lambda: attribute(paths(), "best"), "unknown model 'best'"),
        (lambda: fit_bg_nbd(["many"], [1], [2]), "expected numbers, got"),
        (lambda: fit_bg_nbd([1, 2], [1, 2, 3], [5, 5, 5]), "one entry per customer"),
        (lambda: fit_mbg_nbd(pd.DataFrame({"x": [1]}), [1], [2]), "one entry per customer"),
        (lambda: fit_mbg_nbd([1.5], [1], [2]), "frequency must be whole numbers"),
        (lambda: fit_mbg_nbd([1, np.nan], [1, 2], [5, 5]), "finite and not negative"),
        (lambda: fit_gamma_gamma([1, 2], [1, 2, 3]), "one entry per customer"),
        (lambda: fit_gamma_gamma([1, 2], ["a", "b"]), "expected numbers, got"),
        (lambda: fit_gamma_gamma([], []), "no customer has a repeat purchase"),
        (lambda: sessionize(LOG.drop(columns="ts")), r"lacks the columns \['ts'\]"),
        (lambda: sessionize(LOG.assign(ts=[1, 2, 3])), "got numbers; convert them with pandas.to_datetime"),
        (lambda: sessionize(LOG.assign(ts=["x", "y", "z"])), "expected timestamps or texts such as"),
        (lambda: sessionize(LOG.assign(user=[None, "a", "b"])), "rows without user or time"),
        (lambda: sessionize(LOG.assign(session=1)), "has a column session already"),
        (lambda: sessionize(LOG, timeout="30m"), "timeout: expected a datetime.timedelta"),  # type: ignore[arg-type]
        (lambda: transitions([1, 2]), "expected a DataFrame"),  # type: ignore[arg-type]
        (lambda: transitions(LOG.assign(event=[None, "a", "b"])), "rows without an event"),
        (lambda: transitions(LOG, by="visit"), r"lacks the columns \['visit'\]"),
        (lambda: funnel(LOG, "view"), "a list of two or more steps"),
        (lambda: funnel(LOG, ["view"]), "a list of two or more steps"),
        (lambda: funnel(LOG, ["view", "buy"], counting="best"), "expected best_chain or first_entry"),  # type: ignore[arg-type]
        (lambda: funnel(LOG, ["view", "buy"], window=7), "window: expected a datetime.timedelta"),  # type: ignore[arg-type]
        (lambda: funnel(LOG, ["view", "buy"], window=-WEEK), "window: expected a datetime.timedelta"),
        (lambda: stats.wilson("many", 3), "expected numbers, got 'many'"),  # type: ignore[arg-type]
        (lambda: stats.wilson(1, 3, confidence=95), "expected a share such as 0.95"),
        (lambda: stats.clustered_ratio([1, 2], [1, 1, 1]), "one entry per row"),
        (lambda: stats.clustered_ratio([1, 2], [1, 1], ["a"]), "one entry per row"),
        (lambda: stats.kaplan_meier([1, 2], [1]), "one entry per row"),
        (lambda: stats.kaplan_meier([1, np.nan], [1, 0]), "durations must be known"),
        (lambda: stats.kaplan_meier([1, 2], [2, 0]), "observed true or false"),
        (lambda: stats.kaplan_meier([-1], [1]), "must not be negative"),
        (lambda: stats.kaplan_meier(["x"], [1]), "expected numbers, got"),  # type: ignore[list-item]
        (lambda: stats.quantile([1, 2, 3], 50), "expected q between 0 and 1"),
        (lambda: stats.benjamini_hochberg([2.0]), "between 0 and 1"),
    ],
)
def test_errors_name_cause_and_cure(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_tables_without_rows_give_tables_without_rows() -> None:
    none = attribute(pd.DataFrame({"path": [], "conversions": []}))
    assert none.empty
    assert list(none.columns) == ["model", "channel", "conversions", "value", "share", "removal_effect"]
    assert sessionize(NO_ROWS).columns.tolist() == ["user", "ts", "event", "session"]
    assert transitions(NO_ROWS).empty
    steps = funnel(NO_ROWS, ["a", "b"])
    assert steps["users"].tolist() == [0, 0]
    assert steps["rate"].isna().all()
    assert np.isnan(stats.clustered_ratio([], []).value)
    assert stats.kaplan_meier([], []).n == 0


def test_usual_types_are_taken_as_they_come() -> None:
    expected = transitions(LOG)
    texts = LOG.assign(ts=["2026-03-29 12:00", "2026-03-29T13:00:00Z", "2026-03-29 12:00:00.000"])
    numbered = LOG.assign(user=[7, 7, 8], event=LOG["event"].astype("category"))
    for log in (texts, numbered, LOG.sample(frac=1, random_state=1), LOG.set_index(pd.Index([5, 5, 5]))):
        pd.testing.assert_frame_equal(transitions(log), expected)
    pd.testing.assert_frame_equal(transitions(LOG, by="user"), expected)
    # times with a zone are moments: one and the same in UTC
    berlin = LOG.assign(ts=LOG["ts"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    assert sessionize(berlin)["ts"].tolist() == sessionize(LOG)["ts"].tolist()
    money = attribute(paths(value=Decimal("9.50")), "linear")
    assert money["value"].tolist() == [4.75, 4.75]


def test_a_step_that_never_happens_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="no event is called 'bye'"):
        assert funnel(LOG, ["view", "bye"])["users"].tolist() == [2, 0]


def test_impossible_shares_have_no_limits() -> None:
    low, high = stats.wilson(np.array([5, -1, 2]), 3)
    assert np.isnan([low[0], high[0], low[1], high[1]]).all()
    assert 0 < low[2] < high[2] < 1
