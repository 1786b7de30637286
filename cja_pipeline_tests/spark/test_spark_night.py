"""A whole night with the warehouse on Spark ends in the published tables of the DuckDB night."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.orchestration.jobs import REBUILD
from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.rebuild import rebuild
from cja_pipeline.settings import get_settings
from cja_pipeline.store import open_warehouse
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import DAYS, START, use_home
from cja_pipeline_tests.spark.conftest import URL
from cja_pipeline_tests.test_nightly import assert_same, published, tables

pytestmark = [pytest.mark.slow, pytest.mark.spark]


@pytest.fixture(scope="module")
def spark_night(java: None, small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which the same nightly job ran with models on Spark."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("spark") / "home"
    use_home(home)
    os.environ["CJA_WAREHOUSE"] = URL
    home.mkdir()
    shutil.copytree(small_world, home / "world")
    assert run_nights(START, START + dt.timedelta(days=DAYS - 1), reason="test")
    assert get_settings().spark_url == URL
    yield home
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()


def test_published_tables_are_those_of_the_duckdb_night(night: Path, spark_night: Path):
    assert_same(tables(night), tables(spark_night))


def test_every_check_has_the_same_verdict(night: Path, spark_night: Path):
    def verdicts(home: Path) -> pd.Series:
        found = published(home)["quality_results"]
        return found.set_index(["table_name", "check_id"])["passed"].sort_index()

    pd.testing.assert_series_equal(verdicts(night), verdicts(spark_night))


def test_the_models_tables_are_files_of_the_lake(spark_night: Path):
    with Warehouse(spark_night / "warehouse.duckdb") as wh:
        views = {row[0] for row in wh.sql(
            "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE sql LIKE '%read_parquet%'"
        ).fetchall()}  # fmt: skip
        assert {"validated.web_events", "customers.touchpoints", "customers.customers", "kpis.paths"} <= views
        assert wh.count("customers.touchpoints") > 0
    assert list((spark_night / "lake" / "validated" / "web_events").glob("v*/_dt=*/*.parquet"))


def test_a_rebuild_that_fails_leaves_the_files_that_count(spark_night: Path):
    before = lake_files(spark_night)

    def fail(first: dt.date, last: dt.date) -> bool:
        with open_warehouse(get_settings()):
            pass  # closing removes files that nothing counts
        return False

    assert not rebuild(get_settings(), fail)
    assert before <= lake_files(spark_night)


def test_a_rebuild_on_spark_ends_in_the_same_tables(night: Path, spark_night: Path):
    before = lake_files(spark_night)
    for path in (spark_night / "world").rglob("*.parquet"):  # no vendor could answer
        if path.parent.name != "truth":
            path.unlink()
    assert rebuild(get_settings(), lambda first, last: run_nights(first, last, reason="test", job=REBUILD))
    assert_same(tables(night), tables(spark_night))
    assert not list(spark_night.glob("*.rebuilding*"))
    with open_warehouse(get_settings()) as wh:
        assert wh.count("customers.touchpoints") > 0
    assert not before & lake_files(spark_night)


def lake_files(home: Path) -> set[Path]:
    return set((home / "lake").rglob("*.parquet"))
