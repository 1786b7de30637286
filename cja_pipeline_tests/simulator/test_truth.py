"""The truth agrees with what was written for the vendors, counted by other means (DuckDB over the files)."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from cja_pipeline.simulator.world import World

from .helpers import client, searched

MICROS = 1_000_000


def kpi(world: World, name: str, basis: str = "final") -> float:
    table = world.truth("kpis")
    row = table[(table.kpi_id == name) & (table.basis == basis) & table.day.isna()]
    return float(row.value.iloc[0])


def test_offered_rows_equal_the_files(world: World, folder: Path) -> None:
    counts = world.truth("counts")
    web = counts[counts.source == "ga4"].set_index("day").offered
    for path in sorted((folder / "ga4").glob("events_*")):
        day = dt.datetime.strptime(path.name[7:15], "%Y%m%d").date()  # noqa: DTZ007
        if path.suffix == ".gz":
            rows = len(gzip.decompress(path.read_bytes()).splitlines())
        else:
            rows = duckdb.sql(f"select count(*) from '{path}'").fetchall()[0][0]
        assert rows == web[day], path.name
    for source, stream in (("klaviyo", "events"), ("meta", "comments"), ("meta", "posts")):
        offered = counts[(counts.source == source) & (counts.stream == stream)].offered.sum()
        assert offered == world.table(f"{source}/{stream}").num_rows


def test_the_same_sessions_by_another_rule_engine(world: World, folder: Path) -> None:
    """Sessions recomputed in SQL from the export files, robots removed by the list of defects."""
    robots = world.truth("defects").query("kind in ['bot', 'credential_bot']")[["key"]]
    con = duckdb.connect()
    con.register("robots", robots)
    days = "event_date in (select distinct event_date from raw where event_date < '20261029')"
    columns = ["event_date", "user_pseudo_id", "event_timestamp", "event_name"]
    path = next((folder / "ga4").glob("*.gz"))
    whole = [line for line in gzip.decompress(path.read_bytes()).splitlines() if line.endswith(b"}")]
    lost = pd.DataFrame([json.loads(line) for line in whole])[columns]
    lost["event_timestamp"] = lost.event_timestamp.astype("int64")
    con.register("jsonl", lost)
    con.execute(
        f"""create table raw as select event_date, user_pseudo_id, event_timestamp, event_name
        from read_parquet('{folder}/ga4/events_*.parquet') union all select * from jsonl"""
    )
    sql = f"""
      with good as (
        select distinct user_pseudo_id, event_timestamp, event_name from raw
        where user_pseudo_id is not null and event_name is not null and event_timestamp > 0
          and event_timestamp < 1900000000000000 and user_pseudo_id not in (select key from robots)
          and abs(event_timestamp - epoch_us(strptime(event_date, '%Y%m%d'))) < 2 * 86400000000::bigint
          and {days}),
      gaps as (select *, event_timestamp - lag(event_timestamp) over (
        partition by user_pseudo_id order by event_timestamp, event_name) as gap from good)
      select count(*) from gaps where gap is null or gap > 1800 * 1000000::bigint"""
    assert con.execute(sql).fetchall()[0][0] == kpi(world, "sessions")


def test_orders_and_revenue_equal_the_crm(folder: Path, world: World, night: dt.datetime) -> None:
    """Good orders as the CRM shows them in the night after the history add up to the true KPIs."""
    broken = set(world.truth("defects").query("stream == 'orders'").key)
    wanted = ["hs_external_order_id", "hs_subtotal_price", "hs_order_discount", "hs_refund_amount"]
    wanted += ["hs_total_price"]
    wanted += ["hs_exchange_rate", "is_test", "hs_is_canceled", "hs_external_created_date"]
    with client(folder, "hubspot", night) as http:
        found = searched(http, "orders", {"properties": wanted})
    damaged = {r["id"] for r in found if r["properties"]["hs_external_order_id"].startswith("X")}
    assert damaged <= broken
    end = world.manifest.end + dt.timedelta(days=1)
    limit = pd.Timestamp(end, tz="Europe/Berlin")
    orders, net = 0, 0.0
    for record in found:
        p = record["properties"]
        if record["id"] in damaged or p["is_test"] == "true" or p["hs_is_canceled"] == "true":
            continue
        if pd.Timestamp(p["hs_external_created_date"]) >= limit:
            continue
        gross, discount, refund = (float(p[n] or 0) for n in wanted[1:4])
        assert float(p["hs_total_price"]) == pytest.approx(gross - discount)
        assert 0 <= refund <= gross - discount + 0.001
        orders += 1
        if p["hs_exchange_rate"] is not None:
            net += (gross - discount - refund) * float(p["hs_exchange_rate"])
    assert orders == kpi(world, "orders", "known")
    assert net == pytest.approx(kpi(world, "net_revenue", "known"), abs=0.01)


def test_every_identifier_leads_to_its_person(world: World) -> None:
    identifiers = world.truth("identifiers")
    for kind in ("contact", "login", "profile", "email", "loyalty"):
        rows = identifiers[identifiers.kind == kind]
        assert rows.value.is_unique, kind
    cookies = identifiers[identifiers.kind == "cookie"]
    assert (cookies.valid_from <= cookies.valid_to).all()
    assert (cookies.groupby("value").person_id.nunique() > 1).any(), "some devices are shared"
    assert set(identifiers.person_id) <= set(world.truth("persons").person_id)


def test_orders_are_whole(world: World) -> None:
    orders = world.truth("orders")
    assert orders.order_number.is_unique
    assert (orders.net - (orders.gross - orders.discount - orders.refund)).abs().max() < 0.005
    assert (orders.refund <= orders.gross - orders.discount + 0.005).all()
    web = orders[orders.sales_channel == "web"]
    assert 0.5 < web.tracked.mean() < 1.0
    assert not orders[orders.sales_channel != "web"].tracked.any()


def test_planted_effects_are_what_they_say(world: World) -> None:
    effects, orders = world.truth("effects"), world.truth("orders")
    nothing = effects[effects.kind == "channel_without_effect"]
    assert nothing.name.tolist() == ["Affiliates"]
    assert nothing.incremental_orders.sum() == 0
    assert not (orders.cause == "Affiliates").any()
    sessions = world.truth("sessions")
    bought = sessions[sessions.depth == 7]
    assert (bought.channel == "Affiliates").mean() > 0.05, "last click praises it"


def test_kpis_of_days_add_up_to_the_history(world: World) -> None:
    table = world.truth("kpis")
    for (_, name), rows in table.groupby(["basis", "kpi_id"]):
        days = rows[rows.day.notna()]
        if len(days):
            assert days.numerator.sum() == pytest.approx(rows[rows.day.isna()].numerator.iloc[0]), name
    assert table.definition.str.len().min() > 10


def test_every_defect_kind_is_there_and_found(world: World) -> None:
    defects = world.truth("defects")
    kinds = set(defects.kind)
    assert {
        "duplicate",
        "late",
        "bot",
        "store_tablet",
        "test_order",
        "negative_spend",
        "negative_total",
    } <= kinds
    assert {
        "duplicate_contact",
        "merge",
        "junk_email",
        "truncated_line",
        "tag_failure",
        "machine_open",
    } <= kinds
    mail = defects[(defects.source == "klaviyo") & (defects.kind == "duplicate")].key
    ids = pd.Series(world.table("klaviyo/events")["id"].to_pylist())
    assert set(mail) == set(ids[ids.duplicated()])
