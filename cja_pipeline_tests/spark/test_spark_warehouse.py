"""What the Spark warehouse keeps: days, versions, what a crash leaves, what the driver writes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cja_pipeline.settings import Settings
from cja_pipeline.spark.warehouse import SparkWarehouse
from cja_pipeline.store import open_warehouse
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.spark.conftest import URL

pytestmark = [pytest.mark.slow, pytest.mark.spark]
FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (1, 2, 3))
DAYS = "validated.social_posts"  # a table of days with few columns
MODEL = "customers.consent_denied"  # reads web events and the business days


@pytest.fixture
def wh(java: None, tmp_path: Path) -> SparkWarehouse:
    return SparkWarehouse(tmp_path / "warehouse.duckdb", url=URL, lake=tmp_path / "lake")


def posts(day: dt.date, *ids: str) -> str:
    """Rows of the table of days: an id each, everything else null."""
    given = {"post_id": "id", "_dt": f"DATE '{day}'"}
    columns = ", ".join(f'{given.get(c, "NULL")} AS "{c}"' for c in TABLES[DAYS].columns)
    listed = ", ".join(f"('{one}')" for one in ids) or "(NULL)"
    return f"SELECT {columns} FROM (VALUES {listed}) AS v(id) WHERE id IS NOT NULL"


def held(wh: Warehouse) -> list[tuple[dt.date, str]]:
    return wh.sql(f"SELECT _dt, post_id FROM {DAYS} ORDER BY ALL").fetchall()


def on_spark(wh: SparkWarehouse) -> list[tuple[dt.date, str]]:
    return sorted(tuple(row) for row in wh.frame(f"SELECT _dt, post_id FROM {DAYS}").collect())


def test_days_are_overwritten_others_stay_and_emptied_ones_go(wh: SparkWarehouse):
    with wh:
        assert wh.replace_window(DAYS, posts(FIRST, "a", "b"), days=[FIRST]) == 2
        assert wh.replace_window(DAYS, posts(SECOND, "c"), days=[SECOND, THIRD]) == 1
        assert wh.replace_window(DAYS, posts(FIRST, "d"), days=[FIRST]) == 1
        assert held(wh) == on_spark(wh) == [(FIRST, "d"), (SECOND, "c")]
        wh.replace_window(DAYS, posts(SECOND), days=[SECOND])
        assert held(wh) == on_spark(wh) == [(FIRST, "d")]
        wh.replace_window(DAYS, posts(FIRST), days=[FIRST])
        assert held(wh) == on_spark(wh) == []
        wh.replace_window(DAYS, posts(THIRD, "e"), days=[THIRD])
        assert held(wh) == on_spark(wh) == [(THIRD, "e")]


def test_a_table_of_duckdb_moves_with_all_its_days(wh: SparkWarehouse):
    with wh:
        wh.ensure(DAYS)
        wh.execute(f"INSERT INTO {DAYS} {posts(FIRST, 'a')}")
        wh.execute(f"INSERT INTO {DAYS} {posts(SECOND, 'b')}")
        wh.replace_window(DAYS, posts(SECOND, "c"), days=[SECOND])
        assert held(wh) == on_spark(wh) == [(FIRST, "a"), (SECOND, "c")]


def test_a_first_load_that_is_rolled_back_leaves_nothing_to_the_next(wh: SparkWarehouse):
    with wh:
        with pytest.raises(RuntimeError, match="killed"):
            _killed_after_loading(wh)
        assert held(wh) == []
        wh.replace_window(DAYS, posts(SECOND, "b"), days=[SECOND])
        assert held(wh) == on_spark(wh) == [(SECOND, "b")]


def test_values_of_vendors_are_kept_to_the_last_digit(wh: SparkWarehouse):
    rate = 3.7812345678912e-05
    table = "validated.crm_orders"
    with wh:
        wh.ensure(table)
        columns = ", ".join(
            f"NULL AS {c}" for c in TABLES[table].columns if c not in ("exchange_rate", "_dt")
        )
        select = f"SELECT {columns}, {rate!r}::DOUBLE AS exchange_rate, DATE '{FIRST}' AS _dt"
        wh.replace_window(table, select, days=[FIRST])
        assert wh.scalar(f"SELECT exchange_rate FROM {table}") == rate
        assert wh.frame(f"SELECT exchange_rate FROM {table}").collect()[0][0] == rate


def test_what_the_driver_writes_is_seen_by_the_next_model(wh: SparkWarehouse):
    with wh:
        wh.replace_window(DAYS, posts(FIRST, "a", "b"), days=[FIRST])
        wh.execute(f"DELETE FROM {DAYS} WHERE post_id = ?", ["a"])
        assert held(wh) == on_spark(wh) == [(FIRST, "b")]
        wh.execute(f"UPDATE {DAYS} SET post_id = 'z'")
        assert held(wh) == on_spark(wh) == [(FIRST, "z")]


def test_a_delete_that_finds_nothing_leaves_the_files(wh: SparkWarehouse, tmp_path: Path):
    with wh:
        wh.replace_window(DAYS, posts(FIRST, "a"), days=[FIRST])
        before = sorted(tmp_path.rglob("lake/**/*.parquet"))
        wh.execute(f"DELETE FROM {DAYS} WHERE _dt < ?", [FIRST])
        assert sorted(tmp_path.rglob("lake/**/*.parquet")) == before


def test_a_model_that_is_rolled_back_leaves_the_version_before(wh: SparkWarehouse, tmp_path: Path):
    folder = tmp_path / "lake" / "customers" / "consent_denied"
    with wh:
        wh.ensure("validated.web_events")
        wh.ensure("config.business_days")
        event = "SELECT 'e' AS event_id, TIMESTAMP '2026-03-01' AS occurred_at"
        wh.execute(f"INSERT INTO validated.web_events BY NAME {event}")
        wh.execute(
            "INSERT INTO config.business_days BY NAME SELECT DATE '2026-03-01' AS utc_date, TIMESTAMP "
            "'2026-03-02' AS boundary_at, DATE '2026-03-01' AS date_before, DATE '2026-03-02' AS date_after"
        )
        wh.build(MODEL)
        with pytest.raises(RuntimeError, match="killed"):
            _killed_after_building(wh, event)
        assert wh.scalar(f"SELECT events FROM {MODEL}") == 1
        assert len(list(folder.iterdir())) == 2  # what was rolled back lies there until the lake is tidied
        assert [row.events for row in wh.frame(f"SELECT events FROM {MODEL}").collect()] == [1]
    assert len(list(folder.iterdir())) == 1


def test_readers_need_no_spark(wh: SparkWarehouse, tmp_path: Path):
    with wh:
        wh.replace_window(DAYS, posts(FIRST, "a"), days=[FIRST])
    with Warehouse(tmp_path / "warehouse.duckdb") as reader:
        assert held(reader) == [(FIRST, "a")]


def test_compacting_takes_everything_out_of_the_lake(wh: SparkWarehouse, tmp_path: Path):
    with wh:
        wh.replace_window(DAYS, posts(FIRST, "a"), days=[FIRST])
        wh.compact()
        assert list(tmp_path.rglob("lake/**/*.parquet")) == []
        assert held(wh) == on_spark(wh) == [(FIRST, "a")]


def test_the_settings_choose(java: None, tmp_path: Path):
    spark = Settings(home=tmp_path, warehouse=URL)
    with open_warehouse(spark) as opened:
        assert isinstance(opened, SparkWarehouse)
    assert (tmp_path / "warehouse.duckdb").exists()
    with open_warehouse(Settings(home=tmp_path)) as opened:
        assert type(opened) is Warehouse


def _killed_after_building(wh: SparkWarehouse, event: str) -> None:
    with wh.transaction():
        wh.execute(f"INSERT INTO validated.web_events BY NAME {event}")
        wh.build(MODEL)
        assert wh.scalar(f"SELECT events FROM {MODEL}") == 2
        raise RuntimeError("killed")


def _killed_after_loading(wh: SparkWarehouse) -> None:
    wh.ensure(DAYS)
    with wh.transaction():
        wh.replace_window(DAYS, posts(FIRST, "a"), days=[FIRST])
        raise RuntimeError("killed")
