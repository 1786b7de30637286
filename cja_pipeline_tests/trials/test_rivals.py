"""The rooms beside other ways to the same outputs: every way finds the same rows, and a wrong row is told."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cja_pipeline.machine import Cost
from cja_pipeline.trials.rivals.given import Given, hand_out
from cja_pipeline.trials.rivals.outputs import COMPARED, differences, of_pipeline
from cja_pipeline.trials.rivals.trial import CONTENDERS, PANDAS, ROOMS, SCRIPT, bars, race
from cja_pipeline.warehouse import Warehouse


@pytest.fixture
def given(night_copy: Path, tmp_path: Path) -> Given:
    with Warehouse(night_copy / "warehouse.duckdb") as wh:
        until = hand_out(wh, tmp_path / "handed")
    return Given(night_copy / "landing", tmp_path / "handed", until, "1500MB", 2)


@pytest.mark.slow
def test_every_way_finds_the_same_rows(given, night_copy, tmp_path):
    found = {name: race(name, given, tmp_path) for name in CONTENDERS}
    assert {name: one.differs for name, one in found.items()} == {name: {} for name in CONTENDERS}
    assert all(one.cost.cpu_seconds > 0 for one in found.values())
    # and the rooms alone find what the night found with checks and Dagster
    with duckdb.connect(str(tmp_path / CONTENDERS[ROOMS] / "out.duckdb")) as connection:
        connection.execute(f"ATTACH '{night_copy / 'warehouse.duckdb'}' AS night (READ_ONLY)")
        for table in COMPARED:
            there = of_pipeline(table).replace("(FROM ", "(FROM night.")
            rows, lacking, more = differences(connection, table, of_pipeline(table), there)
            assert (rows > 0, lacking, more) == (True, 0, 0), table


def test_a_wrong_missing_or_doubled_row_is_told():
    with duckdb.connect() as connection:
        columns = (
            "'a' AS kpi_id, DATE '2026-01-01' AS period_start, {} AS numerator, NULL::DOUBLE AS denominator"
        )
        right = f"(SELECT {columns.format('1.0::DOUBLE')})"
        connection.execute(f"CREATE TABLE wrong AS SELECT {columns.format('1.1::DOUBLE')}")
        connection.execute(f"CREATE TABLE doubled AS FROM {right} UNION ALL FROM {right}")
        connection.execute(f"CREATE TABLE as_text AS SELECT {columns.format('1')}")
        found = {
            there: differences(connection, "kpi_values", right, there)
            for there in ("wrong", "doubled", "as_text")
        }
    assert found == {"wrong": (1, 1, 1), "doubled": (1, 0, 1), "as_text": (1, 0, 0)}


def test_bars_are_ratios_of_one_run():
    night = [
        {"room": name, "cpu_seconds": cpu}
        for name, cpu in (("checks", 10), ("Dagster", 15), ("night as a whole", 100))
    ]
    costs = {ROOMS: Cost(11, 20, 900), SCRIPT: Cost(9, 16, 800), PANDAS: Cost(33, 60, 2000)}
    small, large = (
        [(bar["measured"], bar["met"]) for bar in bars(night, costs, events)]
        for events in (899_999, 9_000_000)
    )
    assert large == [(0.25, False), (1.25, True), (3.0, False), (0.45, True)]
    assert small == [(measured, None) for measured, _ in large]
    assert [bar["measured"] for bar in bars([], costs, 10_000_000)] == [1.25, 3.0, 0.45]  # without a night
