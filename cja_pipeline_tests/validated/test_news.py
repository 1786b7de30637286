"""What changes in the vendors' data: unknown values, fields renamed or retyped, landings left unfinished."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cja_pipeline.validated.load import load
from cja_pipeline.validated.outcomes import Outcome
from cja_pipeline.validated.runner import check
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v


def outcome(warehouse: Warehouse, table: str, check_id: str, run: str = "run") -> Outcome:
    return next(one for one in check(warehouse, f"validated.{table}", run) if one.check_id == check_id)


def drift(warehouse: Warehouse, *kinds: str) -> list[Any]:
    return warehouse.sql(
        "SELECT kind, field, records FROM quality.drift "
        "WHERE kind IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL",
        [list(kinds)],
    ).fetchall()


def test_new_event_names_become_other_and_are_named(warehouse: Warehouse, landing: Path) -> None:
    names = ["page_view"] * 5 + ["wishlist_opened"] * 3 + ["ada@example.com", "call 0049301234567", "x" * 60]
    v.land_lines(
        landing, "ga4/events", [v.as_export_json(v.ga4(i, event_name=n)) for i, n in enumerate(names)]
    )
    assert load(warehouse, "web_events", landing, None, "run").valid == 11
    kept = warehouse.sql(
        "SELECT event_name, count(*) FROM validated.web_events GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert kept == [("other", 6), ("page_view", 5)]
    assert drift(warehouse, "value") == [
        ("value", "event_name", 3),
        ("value", "event_name: wishlist_opened", 3),
    ]
    told = outcome(warehouse, "web_events", "known_values")
    assert (told.passed, told.severity, told.rows_failed) == (False, "warning", 6)
    assert "wishlist_opened: 3 rows" in told.observed
    assert "ada" not in told.observed


def test_values_that_people_may_type_are_only_counted(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "hubspot/contacts", [v.contact("1", lifecyclestage="ada lovelace"), v.contact("2")])
    load(warehouse, "contacts", landing, None, "run")
    stages = warehouse.sql("SELECT lifecycle_stage FROM validated.contacts ORDER BY contact_id").fetchall()
    assert stages == [("other",), ("customer",)]
    assert drift(warehouse, "value") == [("value", "lifecycle_stage", 1)]
    v.land_lines(landing, "hubspot/orders", [v.order("1", sales_channel="kiosk")])
    load(warehouse, "crm_orders", landing, None, "run")
    assert warehouse.scalar("SELECT sales_channel FROM validated.crm_orders") == "other"


def test_money_without_a_currency_is_kept_out(warehouse: Warehouse, landing: Path) -> None:
    codes = ["EUR", "XXX", "XTS", "USD", "ZZZ", None]
    v.land_lines(
        landing, "hubspot/orders", [v.order(str(i), hs_currency_code=code) for i, code in enumerate(codes)]
    )
    load(warehouse, "crm_orders", landing, None, "run")
    kept = warehouse.sql("SELECT currency FROM validated.crm_orders ORDER BY 1").fetchall()
    assert kept == [("EUR",), ("USD",)]
    assert warehouse.scalar("SELECT count(*) FROM quality.quarantine WHERE rules = 'bad_currency'") == 3


def test_gone_renamed_and_retyped_columns_of_parquet(
    warehouse: Warehouse, landing: Path, tmp_path: Path
) -> None:
    data = v.parquet([v.ga4(i) for i in range(4)], tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(data)
    table = pq.read_table(tmp_path / "b.parquet")
    table = table.rename_columns(["user_pseudo" if n == "user_pseudo_id" else n for n in table.column_names])
    at = table.schema.get_field_index("event_bundle_sequence_id")
    table = table.set_column(at, "event_bundle_sequence_id", table.column(at).cast(pa.string()))
    pq.write_table(table, tmp_path / "c.parquet")
    v.land(
        landing,
        "ga4/events",
        {"part-000.parquet": (tmp_path / "c.parquet").read_bytes()},
        {"part-000.parquet": 4},
    )
    assert load(warehouse, "web_events", landing, None, "run").valid == 4
    assert [row[:2] for row in drift(warehouse, "missing", "renamed", "retyped", "unknown")] == [
        ("missing", "user_pseudo_id"),
        ("renamed", "user_pseudo_id to user_pseudo"),
        ("retyped", "event_bundle_sequence_id"),
        ("unknown", "user_pseudo"),
    ]
    told = outcome(warehouse, "web_events", "schema_drift")
    assert not told.passed
    assert "renamed user_pseudo_id to user_pseudo" in told.observed


def test_landings_without_a_manifest_are_reported_until_they_are_finished(
    warehouse: Warehouse, landing: Path
) -> None:
    v.land_lines(landing, "klaviyo/events", [v.email()])
    lost = landing / "klaviyo/events/dt=2026-03-03"
    lost.mkdir()
    (lost / "part-000.jsonl.gz").write_bytes(v.jsonl([v.email()]))
    broken = v.land_lines(landing, "hubspot/tickets", [v.ticket()])
    (broken / "_MANIFEST.json").write_text("{")
    load(warehouse, "email_events", landing, None, "run")
    load(warehouse, "tickets", landing, None, "run")
    fields = [row[1] for row in drift(warehouse, "unfinished")]
    assert "klaviyo/events/dt=2026-03-03" in fields
    assert any(field.startswith("hubspot/tickets/dt=") for field in fields)
    told = outcome(warehouse, "email_events", "readable_files")
    assert not told.passed
    assert "dt=2026-03-03: no manifest" in told.observed
    v.land_lines(landing, "klaviyo/events", [v.email("02BBB", datetime="2026-03-03 12:00:00+00:00")],
                 day=dt.date(2026, 3, 3), as_of=v.AS_OF + dt.timedelta(days=1))  # fmt: skip
    load(warehouse, "email_events", landing, None, "next")
    assert outcome(warehouse, "email_events", "readable_files", "next").passed


def test_fewer_rows_than_announced_stop_the_night(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "hubspot/contacts", [v.contact("1"), v.contact("2")], source_rows=2)
    load(warehouse, "contacts", landing, None, "run")
    assert outcome(warehouse, "contacts", "vendor_totals").passed
    v.land_lines(
        landing, "hubspot/contacts", [v.contact("1")], source_rows=2, as_of=v.AS_OF + dt.timedelta(hours=1)
    )
    load(warehouse, "contacts", landing, None, "later")
    told = outcome(warehouse, "contacts", "vendor_totals", "later")
    assert (told.passed, told.blocking) == (False, True)


def test_a_jump_of_bad_rows_stops_the_night_below_the_share(warehouse: Warehouse, landing: Path) -> None:
    """30 of 2,000 adverts are 1.5 %: within the share of 2 %, but far more than the table ever had."""
    for place in range(9):
        day = v.DAY + dt.timedelta(days=place)
        bad = 30 if place == 8 else 0
        rows = [
            v.advert(str(i), date_start=day.isoformat(), spend="-1" if i < bad else "2") for i in range(2000)
        ]
        v.land_lines(landing, "meta/insights", rows, day=day, as_of=v.AS_OF + dt.timedelta(days=place))
        load(warehouse, "ad_insights", landing, None, f"night{place}")
        told = outcome(warehouse, "ad_insights", "quarantine_share", f"night{place}")
        assert told.passed is (place < 8)
    assert told.blocking
    assert day.isoformat() in told.observed
