"""From the vendors' formats to typed rows: values, types, times, identical rows from both GA4 formats."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v
from cja_pipeline_tests.validated.vendors import utc


def rows(warehouse: Warehouse, table: str) -> list[dict[str, Any]]:
    result = warehouse.sql(f"SELECT * FROM validated.{table} ORDER BY _source_file, _source_row")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def load_one(warehouse: Warehouse, landing: Path, table: str, stream: str, record: Any) -> dict[str, Any]:
    v.land_lines(landing, stream, [record])
    report = load(warehouse, f"validated.{table}", landing, None, "run")
    assert report.conserved
    assert (report.offered, report.valid) == (1, 1)
    return rows(warehouse, table)[0]


def test_web_event(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    v.land_parquet(landing, [v.purchase(user_id="U0001234")], tmp_path)
    load(warehouse, "validated.web_events", landing, None, "run")
    event = rows(warehouse, "web_events")[0]
    expected = {
        "visitor_id": "3956592627.102561", "login_id": "U0001234", "ga_session_id": "1772452800",
        "occurred_at": utc(2026, 3, 2, 12), "received_at": utc(2026, 3, 2, 12, 0, 0, 500_000),
        "event_name": "purchase", "page_path": "/p/tent-1", "page_type": "product", "device": "mobile",
        "country": "DE", "language": "de", "source": "google", "medium": "cpc", "campaign": "spring",
        "consent_analytics": True, "consent_marketing": False, "order_id": "W1", "value": Decimal("59.9000"),
        "currency": "EUR", "item_count": 2, "engagement_ms": 1200, "session_engaged": True,
        "_dt": v.DAY, "_source_row": 1, "_landed_at": utc(2026, 3, 3, 3),
        "_source_file": "ga4/events/dt=2026-03-02/part-000.parquet",
    }  # fmt: skip
    assert {key: event[key] for key in expected} == expected


def test_parquet_and_json_of_a_day_give_identical_rows(tmp_path: Path) -> None:
    events = [
        v.ga4(0),
        v.purchase(1, revenue=1234.567),
        v.ga4(2, user_pseudo_id=None, privacy_info={"analytics_storage": "No", "ads_storage": "No"}),
        v.ga4(
            3, event_name="view_search_results", params={"search_term": "Zelt ÄÖÜ 🏕", "ga_session_id": None}
        ),
        v.ga4(4, event_server_timestamp_offset=-3_600_000_000),
        v.ga4(5, collected_traffic_source=None, geo={"country": "Türkiye"}, device={"category": "smart tv"}),
        v.ga4(6, event_timestamp=0),
        v.ga4(0),
    ]
    v.land_parquet(tmp_path / "a", events, tmp_path)
    v.land_lines(tmp_path / "b", "ga4/events", [v.as_export_json(event) for event in events])
    found = []
    for side in ("a", "b"):
        with Warehouse(":memory:") as warehouse:
            report = load(warehouse, "web_events", tmp_path / side, None, "run")
            kept = [
                {k: x for k, x in row.items() if k != "_source_file"} for row in rows(warehouse, "web_events")
            ]
            found.append((kept, report.valid, report.quarantined, report.duplicate))
    assert found[0] == found[1]
    assert found[0][1:] == (6, 1, 1)


def test_event_without_consent_is_kept_without_visitor(warehouse: Warehouse, landing: Path) -> None:
    denied = {"analytics_storage": "No", "ads_storage": "No"}
    event = v.as_export_json(v.ga4(user_pseudo_id=None, privacy_info=denied, params={"ga_session_id": None}))
    row = load_one(warehouse, landing, "web_events", "ga4/events", event)
    assert row["visitor_id"] is None
    assert row["ga_session_id"] is None
    assert row["consent_analytics"] is False


def test_a_clock_that_runs_ahead_counts_by_arrival(warehouse: Warehouse, landing: Path) -> None:
    event = v.as_export_json(v.ga4(event_server_timestamp_offset=-2 * 3_600_000_000))
    row = load_one(warehouse, landing, "web_events", "ga4/events", event)
    assert row["occurred_at"] == row["received_at"] == utc(2026, 3, 2, 10)


PAGES = [
    ("https://shop.example", "/", "home"),
    ("https://shop.example/?gclid=1", "/", "home"),
    ("https://shop.example/de", "/de", "home"),
    ("https://shop.example/de/p/tent", "/de/p/tent", "product"),
    ("http://a/c/tents", "/c/tents", "list"),
    ("https://shop.example/checkout/confirmation#x", "/checkout/confirmation", "confirmation"),
    ("https://shop.example/checkout/payment?x=/p/", "/checkout/payment", "checkout"),
    ("/c/tents?page=2", "/c/tents", "list"),
    ("https://shop.example/something", "/something", "other"),
    ("", None, None),
]


def test_page_kinds(warehouse: Warehouse, landing: Path) -> None:
    events = [v.as_export_json(v.ga4(i, params={"page_location": page[0]})) for i, page in enumerate(PAGES)]
    v.land_lines(landing, "ga4/events", events)
    load(warehouse, "web_events", landing, None, "run")
    found = [(row["page_path"], row["page_type"]) for row in rows(warehouse, "web_events")]
    assert found == [(path, kind) for _, path, kind in PAGES]


def test_contact(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "hubspot/contacts", [v.contact()], run="run=20260303T030000Z")
    load(warehouse, "contacts", landing, None, "run")
    row = rows(warehouse, "contacts")[0]
    assert row["contact_id"] == "70001"
    assert row["loyalty_id"] == "000123456789012345"
    assert row["postcode"] == "01099"
    assert row["birth_date"] == dt.date(1990, 12, 10)
    assert row["updated_at"] == utc(2026, 3, 2, 10)
    assert (row["country"], row["language"]) == ("DE", "de")
    assert (row["email_opt_out"], row["consent_analytics"], row["archived"]) == (False, True, False)
    assert row["mobile"] is None


def test_order_amounts(warehouse: Warehouse, landing: Path) -> None:
    row = load_one(warehouse, landing, "crm_orders", "hubspot/orders", v.order(hs_refund_amount="15.50"))
    assert row["net_revenue"] == Decimal("74.5000")
    assert (row["order_id"], row["contact_id"], row["status"]) == ("W1", "70001", "paid")
    assert row["ordered_at"] == utc(2026, 3, 2, 10, 59)


def test_order_without_number_and_without_gross_price(warehouse: Warehouse, landing: Path) -> None:
    record = v.order(hs_external_order_id="", hs_subtotal_price=None)
    row = load_one(warehouse, landing, "crm_orders", "hubspot/orders", record)
    assert row["order_id"] == "80001"
    assert (row["gross_revenue"], row["net_revenue"]) == (Decimal(100), Decimal(90))


def test_ticket_survey_comment_post_and_advert(warehouse: Warehouse, landing: Path) -> None:
    ticket = load_one(warehouse, landing, "tickets", "hubspot/tickets", v.ticket())
    assert (ticket["priority"], ticket["category"], ticket["closed_at"]) == ("high", "delivery", None)
    answer = load_one(warehouse, landing, "surveys", "hubspot/feedback_submissions", v.survey())
    assert (answer["survey_type"], answer["score"], answer["contact_id"]) == ("NPS", 9.0, "70001")
    said = load_one(warehouse, landing, "social_comments", "meta/comments", v.comment())
    assert (said["post_id"], said["author_id"], said["likes"]) == ("2001_1", "55", 3)
    shown = load_one(warehouse, landing, "social_posts", "meta/posts", v.post())
    assert [shown[k] for k in ("impressions", "reach", "reactions", "shares", "clicks")] == [100, 80, 5, 2, 4]
    advert = load_one(warehouse, landing, "ad_insights", "meta/insights", v.advert())
    assert (advert["ad_id"], advert["spend"]) == ("23856469955990536", Decimal("53.95"))
    assert (advert["platform_conversions"], advert["platform_revenue"]) == (2.0, Decimal("119.8"))


@pytest.mark.parametrize(
    ("metric", "kind"),
    [("Received Email", "received"), ("Marked as Spam", "spam"), ("Viewed Product", "other")],
)
def test_email_event(warehouse: Warehouse, landing: Path, metric: str, kind: str) -> None:
    row = load_one(warehouse, landing, "email_events", "klaviyo/events", v.email(metric=metric))
    assert row["event_type"] == kind
    assert row["occurred_at"] == utc(2026, 3, 2, 12)
    assert (row["campaign"], row["message_id"], row["postcode"]) == ("spring", "M1", "01099")
    assert row["is_machine_open"] is False


def test_newest_version_is_current(warehouse: Warehouse, landing: Path) -> None:
    old, new = v.contact(city="Berlin"), v.contact(city="Bonn", lastmodifieddate="2026-03-02T18:00:00.000Z")
    v.land_lines(landing, "hubspot/contacts", [new, old], run="run=20260303T030000Z")
    later = v.contact(city="Köln", lastmodifieddate="2026-03-02T18:00:00.000Z")
    next_day = {"day": dt.date(2026, 3, 3), "as_of": dt.datetime(2026, 3, 4, 3, tzinfo=dt.UTC)}
    v.land_lines(landing, "hubspot/contacts", [later], run="run=20260304T030000Z", **next_day)
    load(warehouse, "contacts", landing, None, "run")
    assert warehouse.count("validated.contacts") == 3
    current = warehouse.sql("SELECT city FROM validated.contacts_current").fetchall()
    assert current == [("Köln",)]
