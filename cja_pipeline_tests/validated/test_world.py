"""End to end on a small simulated shop: what was injected is found, what is true is kept, to the row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cja_pipeline.validated.load import LoadReport, load
from cja_pipeline.validated.runner import check
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse

START = dt.date(2026, 1, 5)
DAYS = 28
END = START + dt.timedelta(days=DAYS - 1)
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass
class Shop:
    warehouse: Warehouse
    landing: Path
    truth: Path
    reports: dict[str, LoadReport]

    def count(self, query: str) -> int:
        return int(self.warehouse.scalar(query) or 0)

    def defects(self, *kinds: str, source: str = "ga4") -> int:
        """Injected defects of these kinds in the days of history."""
        named = ", ".join(f"'{kind}'" for kind in kinds)
        return self.count(
            f"SELECT count(*) FROM '{self.truth}/defects.parquet' WHERE source = '{source}' "
            f"AND kind IN ({named}) AND day <= DATE '{END}'"
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    from cja_pipeline.simulator.build import build_world
    from cja_pipeline.sources import pull
    from cja_pipeline.sources.registry import load_sources
    from cja_pipeline.sources.window import Window

    home = tmp_path_factory.mktemp("shop")
    world, landing = home / "world", home / "landing"
    build_world(
        world, customers=1500, days=DAYS, seed=5, start=START, time_zone="Europe/Berlin", currency="EUR"
    )
    night = dt.datetime.combine(END + dt.timedelta(days=1), dt.time(4), tzinfo=BERLIN).astimezone(dt.UTC)
    for source in load_sources().values():
        pull(source, Window(START, END), night, landing, world=world)
    with Warehouse(":memory:") as warehouse:
        reports = {name: load(warehouse, name, landing, None, "night") for name in load_streams()}
        yield Shop(warehouse, landing, world / "truth", reports)


def test_books_balance(shop: Shop) -> None:
    for name, report in shop.reports.items():
        assert report.conserved, name
        assert report.offered > 0, name


def test_offered_rows_are_those_that_the_world_sent(shop: Shop) -> None:
    known = dict(
        shop.warehouse.sql(
            f"SELECT stream, sum(known) FROM '{shop.truth}/counts.parquet' WHERE source = 'ga4' "
            f"AND day <= DATE '{END}' GROUP BY stream"
        ).fetchall()
    )
    assert shop.reports["web_events"].offered == known["events"]


WEB_DEFECTS = {
    "future_time": "far_future",
    "implausible_time": "zero_timestamp",
    "missing_event_name": "no_event_name",
    "negative_value": "negative_value",
    "malformed_line": "truncated_line",
}


def test_injected_web_defects_are_caught_one_for_one_and_nothing_else(shop: Shop) -> None:
    injected = {rule: shop.defects(kind) for rule, kind in WEB_DEFECTS.items()}
    found = dict(
        shop.warehouse.sql(
            "SELECT rule, CAST(sum(records) AS BIGINT) FROM quality.quarantine_summary "
            "WHERE table_name = 'validated.web_events' GROUP BY rule"
        ).fetchall()
    )
    assert sum(injected.values()) > 5
    assert found == {rule: count for rule, count in injected.items() if count}


# source and kind of defect -> how many rows of the warehouse show it
OTHER_DEFECTS = {
    ("hubspot", "broken_currency"): ("crm_orders", "bad_currency"),
    ("hubspot", "impossible_date"): ("crm_orders", "missing_ordered_at"),
    ("hubspot", "negative_total"): ("crm_orders", "negative_amount"),
    ("hubspot", "total_not_a_number"): ("crm_orders", "missing_amount"),
    ("hubspot", "no_creation"): ("tickets", "missing_created_at"),
    ("hubspot", "score_out_of_range"): ("surveys", "csat_range;nps_range;ces_range"),
}
WARNED_DEFECTS = {
    ("hubspot", "future_creation"): "SELECT count(*) FROM validated.contacts WHERE created_at > updated_at",
    (
        "hubspot",
        "closed_before_created",
    ): "SELECT count(*) FROM validated.tickets WHERE closed_at < created_at",
    ("hubspot", "missing_rate"): (
        "SELECT count(DISTINCT crm_order_id) FROM validated.crm_orders "
        "WHERE exchange_rate IS NULL AND currency <> 'EUR'"
    ),
    ("hubspot", "impossible_birth"): (
        "SELECT sum(records) FROM quality.drift WHERE kind = 'unreadable' AND field = 'birth_date'"
    ),
    ("hubspot", "score_not_a_number"): (
        "SELECT sum(records) FROM quality.drift WHERE kind = 'unreadable' AND field = 'score'"
    ),
    ("klaviyo", "without_properties"): (
        "SELECT count(*) FROM validated.email_events "
        "WHERE email IS NULL AND email_sha256 IS NULL AND phone IS NULL AND login_id IS NULL"
    ),
}


def test_injected_defects_of_the_other_sources_are_caught_one_for_one(shop: Shop) -> None:
    injected, found = {}, {}
    for (source, kind), (table, rules) in OTHER_DEFECTS.items():
        injected[kind] = shop.defects(kind, source=source)
        named = ", ".join(f"'{rule}'" for rule in rules.split(";"))
        found[kind] = shop.count(
            "SELECT sum(records) FROM quality.quarantine_summary "
            f"WHERE table_name = 'validated.{table}' AND rule IN ({named})"
        )
    # its defects are listed by the night on which the report showed them; the key names the day itself
    injected["negative_spend"] = shop.count(
        f"SELECT count(*) FROM '{shop.truth}/defects.parquet' WHERE kind = 'negative_spend' "
        f"AND CAST(split_part(key, '|', 2) AS INTEGER) < {DAYS}"
    )
    found["negative_spend"] = shop.count(
        "SELECT sum(records) FROM quality.quarantine_summary WHERE table_name = 'validated.ad_insights'"
    )
    for (source, kind), query in WARNED_DEFECTS.items():
        injected[kind] = shop.defects(kind, source=source)
        found[kind] = shop.count(query)
    assert found == injected
    assert sum(injected.values()) >= 5


def test_web_duplicates(shop: Shop) -> None:
    # hostile texts are planted in copies of events, which share the key of their original
    assert shop.reports["web_events"].duplicate == shop.defects("duplicate", "hostile_text") > 0


def test_events_without_consent_are_kept_and_anonymous(shop: Shop) -> None:
    denied = shop.count("SELECT count(*) FROM validated.web_events WHERE consent_analytics = FALSE")
    named = shop.count(
        "SELECT count(*) FROM validated.web_events WHERE consent_analytics = FALSE AND visitor_id IS NOT NULL"
    )
    assert denied > 0
    assert named == 0


def test_valid_purchases_are_the_tracked_web_orders(shop: Shop) -> None:
    """Purchases with a visitor or without: every tracked order of the past appears once, by its number."""
    tracked = shop.count(
        f"SELECT count(DISTINCT order_number) FROM '{shop.truth}/orders.parquet' "
        f"WHERE tracked AND CAST(ordered_at AS DATE) < DATE '{END}'"
    )
    seen = shop.count(
        "SELECT count(DISTINCT order_id) FROM validated.web_events WHERE event_name = 'purchase' "
        f"AND CAST(occurred_at AS DATE) < DATE '{END}'"
    )
    assert tracked > 0
    assert abs(seen - tracked) <= max(2, 0.02 * tracked)


def test_crm_orders_agree_with_the_truth(shop: Shop) -> None:
    wrong = shop.count(
        f"SELECT count(*) FROM '{shop.truth}/orders.parquet' AS t JOIN validated.crm_orders_current AS c "
        "ON c.order_id = t.order_number WHERE abs(c.gross_revenue - CAST(t.gross AS DECIMAL(18,4))) > 0.01 "
        "OR abs(c.discount - CAST(t.discount AS DECIMAL(18,4))) > 0.01"
    )
    joined = shop.count(
        f"SELECT count(*) FROM '{shop.truth}/orders.parquet' AS t JOIN validated.crm_orders_current AS c "
        "ON c.order_id = t.order_number"
    )
    assert joined > 20
    assert wrong == 0


def test_no_blocking_check_fails_on_an_ordinary_month(shop: Shop) -> None:
    for name in load_streams():
        outcomes = check(shop.warehouse, f"validated.{name}", "night")
        assert not [one.check_id for one in outcomes if one.error], name
        assert not [one.check_id for one in outcomes if one.blocking and not one.passed], name


def test_loading_again_changes_nothing(shop: Shop) -> None:
    for name in load_streams():
        assert load(shop.warehouse, name, shop.landing, None, "later").days == []
