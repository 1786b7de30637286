"""The books across rooms: every hop balances, orders agree three ways, what is published is what is kept."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cja_pipeline.quality.across import across_checks, across_outcomes
from cja_pipeline.quality.hops import HOPS, close_books
from cja_pipeline.quality.published import compare_published
from cja_pipeline.quality.report import write_quality_page
from cja_pipeline.quality.waterfall import add_published, build_waterfall
from cja_pipeline.settings import get_settings
from cja_pipeline.validated.outcomes import Outcome
from cja_pipeline.validated.runner import check
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse

pytestmark = pytest.mark.slow
NOW = dt.datetime(2026, 4, 6)  # noqa: DTZ001  (naive UTC)


@pytest.fixture
def opened(night_copy: Path) -> Iterator[Warehouse]:
    with Warehouse(get_settings().warehouse_path) as warehouse:
        yield warehouse


def outcome(warehouse: Warehouse, table: str, check: str) -> Outcome:
    return next(one for one in across_outcomes(warehouse, table, "again", NOW) if one.check_id == check)


def test_every_validated_table_has_a_hop() -> None:
    assert {hop.source for hop in HOPS} == {f"validated.{name}" for name in load_streams()}
    for hop in HOPS:
        assert hop.check_id in {entry["check_id"] for entry in across_checks(hop.target)}


def test_all_books_balance_after_a_night(opened: Warehouse) -> None:
    for table in {hop.target for hop in HOPS}:
        for one in across_outcomes(opened, table, "again", NOW):
            assert one.passed, f"{one.check_id}: {one.observed} {one.error}"
    stages = opened.sql(
        "SELECT count(*) FROM quality.ledger WHERE offered <> accepted + rejected "
        "OR accepted <> valid + quarantined + duplicate + late"
    ).fetchall()
    assert stages == [(0,)]


@pytest.mark.parametrize(
    ("damage", "table", "check"),
    [
        ("DELETE FROM customers.touchpoints WHERE touchpoint_id = (SELECT min(touchpoint_id) FROM "
         "customers.touchpoints WHERE starts_with(touchpoint_id, 'mail:'))",
         "customers.touchpoints", "all_email_events_accounted_for"),
        ("INSERT INTO customers.touchpoints SELECT * FROM customers.touchpoints "
         "WHERE starts_with(touchpoint_id, 'web:') LIMIT 1",
         "customers.touchpoints", "all_web_events_accounted_for"),
        ("DELETE FROM customers.orders WHERE order_id = "
         "(SELECT min(order_id) FROM customers.orders WHERE in_crm)",
         "customers.orders", "all_crm_orders_accounted_for"),
        ("UPDATE customers.media SET spend = spend + 1 WHERE platform = 'meta_ads'",
         "customers.media", "all_ad_insights_accounted_for"),
    ],
)  # fmt: skip
def test_a_lost_or_doubled_row_is_noticed(opened: Warehouse, damage: str, table: str, check: str) -> None:
    opened.execute(damage)
    close_books(opened, table, "again")
    found = outcome(opened, table, check)
    assert (found.passed, found.blocking, found.error) == (False, True, None)


def test_orders_agree_and_a_wrong_amount_does_not(opened: Warehouse) -> None:
    opened.execute("DROP TABLE IF EXISTS quality.order_waterfall")
    assert add_published(opened, 8, 2.0)[-1] == ("published", "total", 8, 2.0)
    steps = add_published(opened, 7, 1.0)  # in place of what was there
    assert [step[0] for step in steps if step[1] == "total"] == [
        "web_purchases", "crm_orders", "customer_orders", "published",
    ]  # fmt: skip
    rests = {step[0]: step[2:] for step in steps if step[1] == "rest"}
    assert rests["rest_crm_orders"] == rests["rest_customer_orders"] == (0, 0.0)
    assert rests["rest_published"][0] != 0
    assert not outcome(opened, "customers.orders", "orders_reconcile").passed
    build_waterfall(opened)
    assert outcome(opened, "customers.orders", "orders_reconcile").passed
    opened.execute(
        "UPDATE customers.orders SET net_revenue = net_revenue + 0.5 "
        "WHERE order_id = (SELECT max(order_id) FROM customers.orders WHERE net_revenue IS NOT NULL)"
    )
    build_waterfall(opened)
    found = outcome(opened, "customers.orders", "orders_reconcile")
    assert not found.passed
    assert "0.5 unexplained" in found.observed


def test_what_belongs_together_is_checked(opened: Warehouse) -> None:
    """A row that loses what it belongs to fails the check that says so, and no other table's."""
    damages = {
        "customers.customers": ("UPDATE customers.customers SET open_tickets = open_tickets + 1 "
                                "WHERE customer_id = (SELECT min(customer_id) FROM customers.touchpoints)",
                                {"ticket_backlog_agrees"}),
        "customers.stage_spells": ("UPDATE customers.stage_spells SET entry_touchpoint_id = 'none' WHERE "
                                   "entry_touchpoint_id = (SELECT min(entry_touchpoint_id) "
                                   "FROM customers.stage_spells)",
                                   {"entries_known"}),
        "customers.identity_links": ("DELETE FROM customers.identity_links WHERE record_key = "
                                     "(SELECT min(record_key) FROM customers.identity_links "
                                     "WHERE kind = 'profile')",
                                     {"every_profile_linked"}),
        "customers.sessions": ("UPDATE customers.sessions SET events = 0 WHERE session_id = "
                               "(SELECT min(session_id) FROM customers.sessions)",
                               {"has_events", "events_counted_once"}),
    }  # fmt: skip
    for table, (damage, expected) in damages.items():
        before = {one.check_id for one in check(opened, table, "before") if not one.passed}
        opened.execute(damage)
        after = {one.check_id for one in check(opened, table, "after") if not one.passed}
        assert after - before == expected, table


def test_published_tables_are_read_back(opened: Warehouse, night_copy: Path) -> None:
    url = get_settings().published_url
    agreed = compare_published(opened, url)
    assert agreed.tables >= 20
    # the checks of publishing itself came after it
    assert [text for text in agreed.differences if not text.startswith("quality_results")] == []
    assert agreed.orders == opened.count("customers.orders")
    connection = sqlite3.connect(night_copy / "published.db")
    with connection:
        connection.execute("UPDATE orders SET net_revenue = net_revenue + 1 WHERE net_revenue IS NOT NULL")
        connection.execute("DELETE FROM sessions WHERE session_id = (SELECT min(session_id) FROM sessions)")
    connection.close()
    wrong = " ".join(compare_published(opened, url).differences)
    assert "orders.net_revenue" in wrong
    assert "sessions" in wrong


def test_the_page_says_what_the_map_says(opened: Warehouse, night_copy: Path) -> None:
    reports = get_settings().reports_dir
    page, chart = (reports / "latest" / name for name in ("quality.html", "journey_map.html"))
    assert 'href="quality.html"' in chart.read_text()
    for line in ("Records accounted for", "Sources up to date", "Held in quarantine"):
        told = [text.split(line)[1].split("</dd>")[0] for text in (page.read_text(), chart.read_text())]
        assert told[0] == told[1], line
    there = compare_published(opened, get_settings().published_url)
    before = write_quality_page(opened, get_settings(), there).latest.read_bytes()
    assert write_quality_page(opened, get_settings(), there).latest.read_bytes() == before
    days = [folder.name for folder in reports.iterdir() if (folder / "quality.html").exists()]
    assert "latest" in days
    assert len(days) == 2
