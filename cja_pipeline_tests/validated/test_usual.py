"""Daily shares and mixes against their past: calm on ordinary days, loud on shifts, by the past alone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.validated.profile import Judged, judge, write_profile
from cja_pipeline.validated.suites import Monitor, Suite
from cja_pipeline.validated.usual import expected, stability
from cja_pipeline.warehouse import Warehouse

FIRST = dt.date(2026, 1, 5)
MIX = Monitor(code="kinds", mix="kind", description="Kinds.")
SHARE = Monitor(code="bounces", share="sum(bounced)", of="count(*)", description="Bounces.")
NULLS = Monitor(code="missing", nulls=["kind"], description="Missing.")
SUITE = Suite.model_construct(table="validated.sample", expectations=[], monitors=[MIX, SHARE, NULLS])


def fill(warehouse: Warehouse, series: str, part: str, counts: list[tuple[int, int]]) -> None:
    warehouse.ensure("quality.profile")
    for place, (n, total) in enumerate(counts):
        warehouse.execute(
            "INSERT INTO quality.profile VALUES ('validated.sample', ?, ?, ?, ?, ?)",
            [FIRST + dt.timedelta(days=place), series, part, n, total],
        )


def judged(warehouse: Warehouse, days: int, form: str) -> list[Judged]:
    return judge(warehouse, SUITE, [FIRST + dt.timedelta(days=day) for day in range(days)], (form,))


def test_shares_are_calm_and_a_jump_is_told(warehouse: Warehouse) -> None:
    rng = np.random.default_rng(5)
    totals = rng.poisson(900, 70)
    weekly = 0.04 + 0.02 * (np.arange(70) % 7 >= 5)
    counts = [(int(rng.binomial(n, p)), int(n)) for n, p in zip(totals, weekly, strict=True)]
    counts[66] = (int(0.2 * counts[66][1]), counts[66][1])
    fill(warehouse, "bounces", "", counts)
    found = judged(warehouse, 70, "share")
    assert len(found) == 70 - 28
    assert [one.day for one in found if one.unusual] == [FIRST + dt.timedelta(days=66)]
    odd = next(one for one in found if one.unusual)
    assert odd.high < 0.12 < odd.seen
    assert (odd.n, odd.total) == counts[66]


def test_a_mix_that_shifts_names_the_part(warehouse: Warehouse) -> None:
    rng = np.random.default_rng(9)
    shares = {"a": 0.6, "b": 0.3, "c": 0.1}
    for part, share in shares.items():
        fill(warehouse, "kinds", part, [(int(rng.binomial(2000, share)), 2000) for _ in range(60)])
    assert not [one for one in judged(warehouse, 60, "mix") if one.unusual]
    day = FIRST + dt.timedelta(days=59)
    warehouse.execute("UPDATE quality.profile SET n = 700 WHERE day = ? AND part = 'c'", [day])
    warehouse.execute("UPDATE quality.profile SET n = 700 WHERE day = ? AND part = 'a'", [day])
    odd = [one for one in judged(warehouse, 60, "mix") if one.unusual]
    assert [(one.day, one.part) for one in odd] == [(day, "c")]


def test_only_the_past_counts() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (1, 80))
    other = values.copy()
    other[0, 61:] = 99
    at = np.array([60])
    assert np.array_equal(expected(values, at)[0], expected(other, at)[0])
    counts = rng.poisson(500, (3, 80)).astype(float)
    later = counts.copy()
    later[:, 61:] = 1
    for one, two in zip(stability(counts, at), stability(later, at), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("days", [0, 1, 27])
def test_history_is_needed(warehouse: Warehouse, days: int) -> None:
    fill(warehouse, "bounces", "", [(10, 100)] * days)
    fill(warehouse, "kinds", "a", [(100, 100)] * days)
    assert judged(warehouse, days, "share") == judged(warehouse, days, "mix") == []


def test_the_index_does_not_grow_with_the_size() -> None:
    base = np.tile(np.array([[600.0], [400.0]]), (1, 57))
    for size in (1, 100):
        counts = base * size
        counts[:, 56] = np.array([450.0, 550.0]) * size
        index, _, _ = stability(counts, np.array([56]))
        assert index[0] == pytest.approx(0.091, abs=0.002)


def test_series_are_counted_as_declared(warehouse: Warehouse) -> None:
    warehouse.execute(
        "CREATE TABLE validated.sample AS SELECT DATE '2026-01-05' + CAST(n % 2 AS INT) AS _dt, "
        "n % 2 AS bounced, CASE WHEN n < 40 THEN 'kind' || CAST(n AS VARCHAR) WHEN n < 90 THEN 'usual' END "
        "AS kind FROM range(100) t(n)"
    )
    warehouse.ensure("quality.profile")
    write_profile(warehouse, SUITE, "validated.sample", "TRUE")
    rows = warehouse.sql("SELECT day, series, part, n, total FROM quality.profile ORDER BY ALL").fetchall()
    assert (dt.date(2026, 1, 6), "bounces", "", 50, 50) in rows
    assert (dt.date(2026, 1, 5), "missing", "kind", 5, 50) in rows
    mixes = [row for row in rows if row[1] == "kinds" and row[0] == FIRST]
    assert sum(row[3] for row in mixes) == 45
    assert {row[4] for row in mixes} == {45}
    assert len(mixes) == 21  # fewer than the most that is kept


@pytest.mark.parametrize("form", [{}, {"nulls": ["a"], "mix": "b"}, {"share": "count(*)"}])
def test_a_monitor_has_one_form(form: dict[str, object]) -> None:
    with pytest.raises((ConfigError, ValueError), match="expected one of"):
        Monitor.model_validate({"code": "abc", "description": "d.", **form})
