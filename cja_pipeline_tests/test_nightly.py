"""The nightly job end to end on a simulated shop, held against the simulator's truth."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import DAYS, START

pytestmark = pytest.mark.slow
END = START + dt.timedelta(days=DAYS - 1)
RUN_HISTORY = {"quality_results", "ledger"}  # these name the run and its time


def published(home: Path) -> dict[str, pd.DataFrame]:
    engine = sa.create_engine(f"sqlite:///{home / 'published.db'}")
    with engine.connect() as connection:
        found = {name: pd.read_sql_table(name, connection) for name in TABLES.published()}
    engine.dispose()
    return found


def fingerprints(home: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
        for name, frame in published(home).items()
        if name not in RUN_HISTORY
    }


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
    before = fingerprints(night_copy)
    page = (night_copy / "reports" / "latest" / "journey_map.html").read_bytes()
    assert run_nights(START, END, reason="test")
    assert fingerprints(night_copy) == before
    assert (night_copy / "reports" / "latest" / "journey_map.html").read_bytes() == page


def test_running_an_old_day_again_changes_nothing(night_copy: Path) -> None:
    before = fingerprints(night_copy)
    day = START + dt.timedelta(days=10)
    assert run_nights(day, day, reason="test")
    after = fingerprints(night_copy)
    assert {name for name in before if before[name] != after[name]} == set()


def test_orders_and_revenue_are_the_true_ones(night: Path) -> None:
    orders = published(night)["orders"]
    real = truth(night, "orders")
    known = real[~real["is_test"]]
    if "is_canceled" in known:
        known = known[~known["is_canceled"]]
    local = orders["ordered_at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.date
    orders = orders[(local >= START) & (local <= END)]
    assert set(orders["order_id"]) <= set(real["order_number"])
    assert len(set(known["order_number"]) - set(orders["order_id"])) <= 0.01 * len(known)


def test_kpis_equal_the_simulators_truth(night: Path) -> None:
    values = published(night)["kpi_values"]
    ours = values[(values["dimension"] == "all") & (values["grain"] == "day")]
    real = truth(night, "kpis")
    real = real[real["period"] != "all"]
    compared = 0
    for kpi in ("orders", "impressions"):
        left = ours[ours["kpi_id"] == kpi].set_index(ours["period_start"].astype(str).str[:10])["value"]
        right = real[real["kpi_id"] == kpi].set_index("period")["value"]
        for day in right.index.intersection(left.index):
            assert float(left[day] or 0) == pytest.approx(float(right[day]), rel=0.02, abs=1), (kpi, day)
            compared += 1
    assert compared >= DAYS


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


def test_a_bad_day_stops_the_night_and_readers_keep_the_last_one(night_copy: Path) -> None:
    before = fingerprints(night_copy)
    landed = sorted((night_copy / "landing" / "klaviyo" / "events").glob("dt=*"))[-1]
    part = next(landed.glob("part-*.jsonl.gz"))
    with gzip.open(part, "rt", encoding="utf-8") as handle:
        lines = [json.loads(line) for line in handle]
    for line in lines:  # every event of the day loses its time
        line["attributes"].pop("datetime", None)
        line["attributes"].pop("timestamp", None)
    with gzip.open(part, "wt", encoding="utf-8") as handle:
        handle.writelines(json.dumps(line) + "\n" for line in lines)
    manifest = json.loads((landed / "_MANIFEST.json").read_text())
    for entry in manifest["files"]:
        if entry["name"] == part.name:
            entry["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
    (landed / "_MANIFEST.json").write_text(json.dumps(manifest))

    import dagster as dg

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
            selection=dg.AssetSelection.assets("email_events").downstream(),
        )
        done = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert not result.success
    assert "published" not in done
    assert "identity" not in done
    assert fingerprints(night_copy) == before


SOURCES = {"web_analytics", "crm", "email", "social"}


def test_the_warehouse_is_readable_as_pandas(night_copy: Path) -> None:
    with Warehouse(get_settings().warehouse_path) as store:
        frame = store.read("customers")
    assert {"customer_id", "clv_12m", "rfm_segment", "stage"} <= set(frame.columns)
    import cja_pipeline

    assert len(cja_pipeline.read("customers")) == len(frame)
