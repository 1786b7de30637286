"""What the map says first: the finding, what to fix, the state of the data, what changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from cja_pipeline.journey_maps.build import build_journey_map
from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.journey_maps.rows import Map, read_map
from cja_pipeline.journey_maps.suppress import SUPPRESS
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.small_shop import LAST, NOW, SmallShop, insert, loss

SHOP = SmallShop()


@pytest.fixture
def wh() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as warehouse:
        SHOP.write(warehouse)
        yield warehouse


def section(wh: Warehouse) -> Map:
    return read_map(build_journey_map(wh))


def test_the_headline_is_the_largest_proven_loss(wh: Warehouse) -> None:
    insert(
        wh,
        "kpis.friction",
        [
            loss(),
            loss(
                step="visit",
                dimension="landing_page",
                dimension_value="/",
                lost_revenue=3_000.0,
                lost_per_month=3_214.0,
                lost_low=10.0,
            ),
            loss(step="add_to_cart", lost_revenue=90_000.0, lost_low=-5.0),  # its interval holds zero
            loss(step="product_view", lost_revenue=70_000.0, status="unclear", q_value=0.4),
            loss(step="purchase", lost_revenue=99_000.0, customers=SUPPRESS - 1),
        ],
    )
    page = section(wh)
    row = page.find("header", "headline")
    assert row is not None
    assert row.label == "Too many checkouts on phones are left"
    assert row.status == "finding"
    assert row.value == 12_857.0
    assert "*600 of 1,000 visits at least as far as the checkout* on phones" in row.text
    assert "(€\u00a08.6 to 17\u00a0k)" in row.text  # 8 and 16 k in 28 days, told per month
    assert "usually" not in row.text
    assert "*450*" in row.text
    assert "€\u00a013\u00a0k a month" in row.text
    first = [chance for chance in page.section("opportunity") if chance.status.endswith("first")]
    assert [chance.stage for chance in first] == ["purchase"]
    assert first[0].low == pytest.approx(8_000 * 12_857 / 12_000)
    assert [row.status for row in page.section("friction")].count("proven") == 2


def test_an_incident_is_told_as_such(wh: Warehouse) -> None:
    insert(
        wh,
        "kpis.friction",
        [loss(kind="incident", period_start=dt.date(2026, 10, 3), period_end=dt.date(2026, 10, 5))],
    )
    page = section(wh)
    row = page.find("header", "headline")
    assert row is not None
    assert row.label == "Too many checkouts on phones are left for 3\u00a0days"
    assert "It cost about" in row.text
    assert page.section("opportunity") == []  # it is over: nothing to win each month


def test_without_a_proven_loss_the_headline_is_calm(wh: Warehouse) -> None:
    insert(wh, "kpis.friction", [loss(status="unclear")])
    row = section(wh).find("header", "headline")
    assert row is not None
    assert row.status == "calm"
    assert row.value is None
    reached = section(wh).find("volume", "reached", "awareness")
    assert reached is not None
    assert f"*{reached.value:.0f} customers*" in row.text


def test_records_and_checks_of_the_ledger(wh: Warehouse) -> None:
    blank = {"run_id": "r", "stream": "s", "fingerprint": "f", "rules_hash": "h", "rejected": 0, "late": 0}
    counts = {"quarantined": 0, "duplicate": 0, "accepted": 100, "valid": 100, "written": 100, "offered": 100}
    none = dict.fromkeys(counts, 0)
    base = blank | counts | {"table_name": "validated.web_events", "day": LAST, "as_of": NOW}
    insert(
        wh,
        "quality.ledger",
        [
            base | {"source": "web_analytics", "stage": "landed", "duplicate": 10, "valid": 90},
            base
            | {"source": "web_analytics", "stage": "validated", "offered": 90, "accepted": 88, "rejected": 2}
            | {"quarantined": 3, "valid": 85},
            base | {"source": "crm", "stage": "landed", "day": LAST - dt.timedelta(days=2), "valid": 99},
            base | none | {"source": "crm", "stage": "validated", "day": LAST - dt.timedelta(days=2)},
        ],
    )
    result = {"run_id": "r", "table_name": "t", "checked_at": NOW, "severity": "warning", "action": "warn"}
    insert(
        wh,
        "quality.results",
        [
            result | {"check_id": "a", "passed": True},
            result
            | {"check_id": "b", "passed": False, "checked_at": NOW - dt.timedelta(days=1), "run_id": "q"},
            result | {"check_id": "b", "passed": True},  # the newer result counts
            result | {"check_id": "c", "passed": False},
            result | {"check_id": "d", "passed": False, "severity": "critical"},
        ],
    )
    page = section(wh)
    rows = {row.item: row for row in page.section("health")}
    assert (rows["records"].value, rows["records"].target) == (100.0, 200.0)
    assert rows["quarantine"].value == 3.0
    assert (rows["sources"].value, rows["sources"].target) == (1.0, 2.0)
    assert (rows["checks"].value, rows["checks"].target) == (2.0, 4.0)
    assert rows["checks"].parts() == {"warnings": 1, "failures": 1}
    assert rows["refreshed"].text == "2026-11-21T04:00:00"
    html = render(build_journey_map(wh))
    assert "Some sources are behind: CRM." in html
    assert "100 records are not accounted for" in html
    assert "A blocking quality check has failed" in html


def test_what_changed_since_an_earlier_map(wh: Warehouse) -> None:
    now = build_journey_map(wh)
    before = now.copy()
    before["period_end"] = LAST - dt.timedelta(days=1)
    reached = (
        (before["section"] == "volume") & (before["item"] == "reached") & (before["stage"] == "awareness")
    )
    before.loc[reached, "value"] -= 40
    page = read_map(build_journey_map(wh, {"previous": before}))
    assert page.text("note", "since") == "Since 19 November 2026"
    assert [(row.label, row.text) for row in page.section("note")[1:]] == [("Awareness", "+40")]
    assert read_map(build_journey_map(wh, {"previous": now})).section("note") == []
    week = before.assign(period_end=LAST - dt.timedelta(days=7))
    both = read_map(build_journey_map(wh, {"previous": before, "week": week}))
    assert both.text("note", "since_week") == "Since 13 November 2026"
    assert both.find("note", "week/0") is not None
    html = render(build_journey_map(wh, {"previous": before, "week": week}))
    assert html.count("Since ") == 2
    # the same map twice says nothing new
    assert (
        read_map(build_journey_map(wh, {"previous": week, "week": week})).find("note", "since_week") is None
    )
