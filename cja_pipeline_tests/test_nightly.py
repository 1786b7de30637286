"""The nightly job end to end on a simulated shop, held against the simulator's truth."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import DAYS, START

pytestmark = pytest.mark.slow
END = START + dt.timedelta(days=DAYS - 1)
RUN_HISTORY = {"quality_results", "ledger", "publication"}  # these name the run and its time


def published(home: Path) -> dict[str, pd.DataFrame]:
    engine = sa.create_engine(f"sqlite:///{home / 'published.db'}")
    with engine.connect() as connection:
        found = {name: pd.read_sql_table(name, connection) for name in TABLES.published()}
    engine.dispose()
    return found


def tables(home: Path) -> dict[str, pd.DataFrame]:
    """Every published table but what tells of the runs themselves: which checks the last one made, when."""
    found = {}
    for name, frame in published(home).items():
        if name == "journey_map":
            frame = frame.query("section != 'health'")
        if name not in RUN_HISTORY:
            found[name] = frame.sort_values(TABLES.published()[name].key, ignore_index=True)
    return found


def assert_same(before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame]) -> None:
    """Equal tables: same rows, same values; sums of doubles may differ in the tenth digit by thread order."""
    assert before.keys() == after.keys()
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, after[name], rtol=1e-9, atol=1e-8, obj=name)


def drawn(home: Path) -> dict[str, str]:
    """Digests of the two pages that speak of the checks."""
    folder = home / "reports" / "latest"
    names = ("journey_map.html", "quality.html")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def truth(home: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(home / "world" / "truth" / f"{name}.parquet")


def test_every_contract_table_is_published(night: Path) -> None:
    rows = {name: len(frame) for name, frame in published(night).items()}
    expected = {
        "customers", "customer_identifiers", "touchpoints", "sessions", "orders", "stage_spells",
        "kpi_values", "funnel", "transitions", "paths", "cohorts", "durations", "attribution", "friction",
        "anomalies", "insights", "journey_map", "quality_results", "ledger", "quarantine_summary",
    }  # fmt: skip
    assert expected <= set(rows)
    may_be_empty = {"anomalies", "insights"}  # a quiet month has none
    assert not {name for name in expected - may_be_empty if rows[name] == 0}


def test_a_second_run_changes_nothing(night_copy: Path) -> None:
    before = tables(night_copy)
    pages = drawn(night_copy)
    assert run_nights(START, END, reason="test")
    assert_same(before, tables(night_copy))
    assert drawn(night_copy) == pages


def test_running_an_old_day_again_changes_nothing(night_copy: Path) -> None:
    before = tables(night_copy)
    day = START + dt.timedelta(days=10)
    assert run_nights(day, day, reason="test")
    assert_same(before, tables(night_copy))


def test_orders_are_the_true_ones(night: Path) -> None:
    """Every true order is there once, with its true amounts; nothing else but what was planted as damage."""
    orders = published(night)["orders"].set_index("order_id")
    real = truth(night, "orders").set_index("order_number")
    midnight = (
        pd.Timestamp(END + dt.timedelta(days=1), tz="Europe/Berlin").tz_convert("UTC").tz_localize(None)
    )
    known = real[~real["is_test"] & ~real["canceled"] & (real["in_crm_at"] < midnight)]
    assert orders.index.is_unique
    assert set(known.index) <= set(orders.index)
    assert len(set(orders.index) - set(real.index)) <= 0.02 * len(known)
    both = known.join(orders, how="inner", rsuffix="_found")
    euro = both[both["currency"] == "EUR"]
    assert (euro["gross"] - euro["gross_revenue"].astype(float)).abs().max() < 0.01
    assert (euro["discount"] - euro["discount_found"].astype(float)).abs().max() < 0.01


def test_the_ledger_balances(night: Path) -> None:
    ledger = published(night)["ledger"]
    assert (ledger["offered"] == ledger["accepted"] + ledger["rejected"]).all()
    hop = ledger[ledger["stage"] == "validated"]
    total = hop["valid"] + hop["quarantined"] + hop["duplicate"] + hop["late"]
    assert (hop["accepted"] == total).all()


def test_no_personal_data_is_published(night: Path) -> None:
    """Addresses and phone numbers of the simulated people are in no published table and in no report."""
    identifiers = truth(night, "identifiers")
    canaries = set(identifiers.loc[identifiers["kind"].isin(["email", "phone"]), "value"].dropna())
    text = (night / "published.db").read_bytes().decode("latin-1").lower()
    found = [value for value in sorted(canaries)[:400] if len(value) > 8 and value.lower() in text]
    assert found == []
    for page in (night / "reports").rglob("*.html"):
        body = page.read_text(encoding="utf-8").lower()
        assert not [value for value in canaries if len(value) > 8 and value.lower() in body], page


def test_sums_of_small_groups_are_not_published(night: Path) -> None:
    """A value that is withheld cannot be had by division either; inside, its parts are kept."""
    values = published(night)["kpi_values"]
    small = values[values["null_reason"] == "suppressed_small_n"]
    assert len(small) > 100
    assert small[["value", "numerator", "denominator", "ci_low", "ci_high"]].isna().all(axis=None)
    with Warehouse(night / "warehouse.duckdb") as store:
        kept = store.scalar(
            "SELECT count(numerator) FROM kpis.kpi_values WHERE null_reason = 'suppressed_small_n'"
        )
    assert kept > 100
    shown = values["value"].notna()
    assert values.loc[shown, "numerator"].notna().mean() > 0.9


def test_a_bad_day_stops_the_night_and_readers_keep_the_last_one(night_copy: Path) -> None:
    before = tables(night_copy)
    landed = sorted((night_copy / "landing" / "ga4" / "events").glob("dt=*"))[-1]
    part = next(landed.glob("part-*.parquet"))
    table = pq.read_table(part)  # every event of the day loses its time
    column = table.schema.get_field_index("event_timestamp")
    pq.write_table(table.set_column(column, "event_timestamp", pa.nulls(len(table), pa.int64())), part)
    manifest = json.loads((landed / "_MANIFEST.json").read_text())
    for entry in manifest["files"]:
        if entry["name"] == part.name:
            entry["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
    (landed / "_MANIFEST.json").write_text(json.dumps(manifest))

    from cja_pipeline.definitions import build_definitions
    from cja_pipeline.orchestration.nightly import dagster_home

    dagster_home()
    assets = [asset for asset in build_definitions().assets if asset.key.to_user_string() not in SOURCES]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            assets,
            partition_key=END.isoformat(),
            instance=instance,
            resources=build_definitions().resources,
            raise_on_error=False,
            selection=dg.AssetSelection.assets("web_events").downstream(),
        )
        done = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert not result.success
    assert "published" not in done
    assert "identity" not in done
    assert_same(before, tables(night_copy))


def test_numbers_that_disagree_stop_the_night(night_copy: Path) -> None:
    """A path that lost its orders is caught before anything of it is published."""
    from cja_pipeline.definitions import build_definitions
    from cja_pipeline.orchestration.nightly import dagster_home

    before = tables(night_copy)
    with Warehouse(get_settings().warehouse_path) as store:
        store.execute(
            "DELETE FROM kpis.paths WHERE segment = 'all' AND outcome = 'purchase' AND path = "
            "(SELECT min(path) FROM kpis.paths WHERE segment = 'all' AND outcome = 'purchase')"
        )
    dagster_home()
    definitions = build_definitions()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset for asset in definitions.assets if asset.key.to_user_string() not in SOURCES],
            instance=instance,
            resources=definitions.resources,
            raise_on_error=False,
            selection=dg.AssetSelection.assets("findings").downstream(),
        )
        done = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "numbers_agree"]
    assert not check.passed
    differences = str(check.metadata["differences"].value)
    assert "paths_orders" in differences
    assert "funnel" not in differences
    assert not result.success
    assert not done & {"journey_map", "published"}
    assert_same(before, tables(night_copy))


SOURCES = {"web_analytics", "crm", "email", "social"}


def test_the_warehouse_is_readable_as_pandas(night_copy: Path) -> None:
    with Warehouse(get_settings().warehouse_path) as store:
        frame = store.read("customers")
    assert {"customer_id", "clv_12m", "rfm_segment", "stage"} <= set(frame.columns)
    import cja_pipeline

    assert len(cja_pipeline.read("customers")) == len(frame)
