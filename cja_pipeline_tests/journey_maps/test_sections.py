"""Each section of the map recounted by hand from the same small shop."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cja_pipeline.journey_maps.build import build_journey_map, shop_context
from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.journey_maps.reconcile import reconcile
from cja_pipeline.journey_maps.rows import STAGES, Map, Rows, read_map
from cja_pipeline.journey_maps.sections.flows import draw_flows
from cja_pipeline.journey_maps.sections.kpis import verdict
from cja_pipeline.journey_maps.sections.volumes import volumes
from cja_pipeline.journey_maps.suppress import SUPPRESS
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.small_shop import LAST, NOW, SmallShop, curve, insert, loss

SHOP = SmallShop()
FIRST = LAST - dt.timedelta(days=89)


@pytest.fixture
def wh() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as warehouse:
        SHOP.write(warehouse)
        yield warehouse


def section(wh: Warehouse, segment: str = "all") -> Map:
    return read_map(build_journey_map(wh), segment)


def members(segment: str) -> tuple[dict[str, int], dict[str, dt.datetime]]:
    """Furthest stage and last contact of each customer of the period, counted in plain Python."""
    keys = {key["customer_id"]: key for key in SHOP.keys}
    furthest: dict[str, int] = {}
    for spell in SHOP.spells:
        key = keys.get(spell["customer_id"], {"main_device": None, "first_order_at": None})
        bought = key["first_order_at"]
        if segment == "mobile" and key["main_device"] != "mobile":
            continue
        if segment == "new" and bought is not None and spell["entered_at"] > bought:
            continue
        place = STAGES.index(spell["stage"]) + 1
        furthest[spell["customer_id"]] = max(furthest.get(spell["customer_id"], 0), place)
    last: dict[str, dt.datetime] = {}
    for touch in SHOP.touchpoints:
        if FIRST <= touch["business_date"] <= LAST:
            customer = touch["customer_id"]
            last[customer] = max(last.get(customer, touch["occurred_at"]), touch["occurred_at"])
    return {customer: place for customer, place in furthest.items() if customer in last}, last


@pytest.mark.parametrize("segment", ["all", "new", "mobile"])
def test_volumes_are_those_of_a_recount(wh: Warehouse, segment: str) -> None:
    furthest, last = members(segment)
    page = section(wh, segment)
    for place, stage in enumerate(STAGES, 1):
        ended = [customer for customer, reached in furthest.items() if reached == place]
        still = sum(NOW - last[customer] <= dt.timedelta(days=30) for customer in ended)
        expected = {
            "reached": sum(reached >= place for reached in furthest.values()),
            "go_on": sum(reached > place for reached in furthest.values()),
            "open": still,
            "leave": len(ended) - still,
        }
        for item, count in expected.items():
            row = page.find("volume", item, stage)
            assert row is not None
            if row.status == "":
                assert row.value == count, (stage, item)
            elif row.status == "suppressed":
                assert row.value is None
                assert count < SUPPRESS or expected["reached"] < SUPPRESS
            else:
                assert row.value == pytest.approx(count, abs=25)


def test_touchpoints_are_those_of_a_recount(wh: Warehouse) -> None:
    page = section(wh)
    for stage in STAGES[:2]:
        found = [t for t in SHOP.touchpoints if t["stage"] == stage and FIRST <= t["business_date"] <= LAST]
        names = [t["channel"] if t["touchpoint_type"] == "visit" else t["touchpoint_type"] for t in found]
        rows = page.section("touchpoint", stage)
        assert rows
        assert sum(row.share or 0 for row in rows) == pytest.approx(1)
        for row in rows:
            if row.item != "other":
                assert row.value == names.count(row.item)


def test_feelings_have_the_mean_and_interval_of_their_answers(wh: Warehouse) -> None:
    page = section(wh)
    for topic, stage, item in (
        ("delivery", "retention", "delivery"),
        ("size", "consideration", "size"),
        ("other", "awareness", "about_comment"),
    ):
        values = [
            said["sentiment"] * 100
            for said in SHOP.feedback
            if said["topic"] == topic and FIRST <= said["business_date"] <= LAST
        ]
        row = page.find("emotion", item, stage)
        assert row is not None
        assert row.n == len(values)
        assert row.value == pytest.approx(statistics.fmean(values), abs=0.01)
        half = 1.96 * statistics.stdev(values) / len(values) ** 0.5
        assert row.low == pytest.approx(statistics.fmean(values) - half, abs=0.1)


def test_a_pain_point_is_told_without_names_and_addresses(wh: Warehouse) -> None:
    insert(wh, "validated.contacts", [])
    wh.execute("CREATE VIEW validated.contacts_current AS SELECT 'Petrova' AS last_name, 'Ana' AS first_name")
    page = section(wh)
    rows = page.section("pain", "retention")
    assert [row.item for row in rows] == ["topic/delivery"]
    assert "mentions" in rows[0].evidence
    for row in page:
        assert "petrova" not in f"{row.label} {row.text} {row.evidence}".lower()
        assert "example.com" not in row.text


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
    assert "*600 of 1,000 visits* on phones" in row.text
    assert "usually" not in row.text
    assert "*450*" in row.text
    assert "€\u00a013\u00a0k a month" in row.text
    first = [chance for chance in page.section("opportunity") if chance.status.endswith("first")]
    assert [chance.stage for chance in first] == ["purchase"]
    assert first[0].low == pytest.approx(8_000 * 12_857 / 12_000)
    assert [row.status for row in page.section("friction")].count("proven") == 2
    assert "SUPPRESS" not in render(build_journey_map(wh))


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
    furthest, _ = members("all")
    assert f"*{len(furthest)} customers*" in row.text


def test_nothing_is_invented_without_tables() -> None:
    with Warehouse(":memory:") as bare:
        frame = build_journey_map(bare)
        assert frame["value"].notna().sum() == 0
        assert read_map(frame).find("header", "headline").status == "no_data"  # type: ignore[union-attr]
        assert "Not enough data" in render(frame)


def test_small_groups_leave_no_trace() -> None:
    tiny = SmallShop(customers=12, seed=3)
    with Warehouse(":memory:") as warehouse:
        tiny.write(warehouse)
        frame = build_journey_map(warehouse)
        people = frame[~frame["section"].isin(["header", "health"])]
        assert not people["value"].notna().any()
        assert people["n"].notna().sum() == 0
        assert (people["text"].fillna("") == "").all()
        html = render(frame)
        assert html.count("Fewer than 20") >= len(STAGES)


def test_times_tell_what_was_not_reached(wh: Warehouse) -> None:
    known = {"segment": "all", "measure": "stage", "events": 90, "censored": 10, "rmst_30d": 1.0}
    insert(
        wh,
        "kpis.durations",
        [
            known
            | {
                "stage": "awareness",
                "n": 100,
                "median_days": 2.0,
                "p25_days": 1.0,
                "p75_days": 5.0,
                "status": "ok",
            }
            | {"curve": curve([[0, 1.0], [2, 0.5]])},
            known
            | {"stage": "consideration", "n": 100, "p25_days": 3.0, "status": "not_reached"}
            | {"curve": curve([[0, 1.0], [66, 0.6]])},
            known | {"stage": "purchase", "n": 12, "median_days": 2.0, "status": "few", "curve": "[]"},
        ],
    )
    html = render(build_journey_map(wh))
    assert "2\u00a0days" in html
    assert "half take 1\u00a0day to 5\u00a0days" in html
    assert "more than 66\u00a0days" in html
    assert "a quarter moves on within 3\u00a0days" in html
    assert section(wh).find("time", "spell", "purchase").value is None  # type: ignore[union-attr]


def test_flows_keep_every_attempt_or_drop_it_everywhere(wh: Warehouse) -> None:
    rows = Rows()
    draw_flows(
        shop_context(wh),
        rows,
        [
            ("Direct", "product_view", "add_to_cart", "bought", 120),
            ("Direct", "product_view", "add_to_cart", "left_at_checkout", 60),
            ("Direct", "left_at_once", "left_looking", "left_at_cart", 300),
            ("Email", "search", "left_looking", "left_at_cart", 45),
            (
                "Email",
                "search",
                "add_to_cart",
                "left_at_payment",
                7,
            ),  # a ribbon of seven is nobody's business
            ("Rare", "product_view", "add_to_cart", "bought", 5),
        ],
    )
    frame = rows.frame()
    assert reconcile(frame) == []
    sizes = {row.item: row.value for row in read_map(frame).section("path") if row.item.startswith("node/")}
    assert sizes["node/0/Direct"] == 480
    assert sizes["node/0/Email"] == 45
    assert sizes["node/2/add_to_cart"] == 180
    assert sizes["node/3/bought"] == 120
    assert not any("Rare" in item or "payment" in item for item in sizes)
    callout = read_map(frame).find("path", "callout")
    assert callout is not None
    assert callout.share == pytest.approx(60 / 180)


def test_records_and_checks_of_the_ledger(wh: Warehouse) -> None:
    blank = {"run_id": "r", "stream": "s", "fingerprint": "f", "rules_hash": "h", "rejected": 0, "late": 0}
    counts = {"quarantined": 0, "duplicate": 0, "accepted": 100, "valid": 100, "written": 100, "offered": 100}
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
        ],
    )
    result = {"run_id": "r", "table_name": "t", "checked_at": NOW, "severity": "warning", "action": "warn"}
    insert(
        wh,
        "quality.results",
        [
            result | {"check_id": "a", "passed": True},
            result | {"check_id": "b", "passed": False, "checked_at": NOW - dt.timedelta(days=1)},
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


@pytest.mark.parametrize(
    ("value", "target", "better", "low", "high", "status"),
    [
        (3.0, 2.0, "up", None, None, "on"),
        (1.9, 2.0, "up", 1.7, 2.1, "near"),
        (1.5, 2.0, "up", 1.4, 1.6, "off"),
        (1.5, 2.0, "up", None, None, "off"),
        (1.5, 2.0, "down", None, None, "on"),
        (2.1, 2.0, "down", 1.9, 2.3, "near"),
        (3.0, None, "up", None, None, "none"),
        (None, 2.0, "up", None, None, "no_data"),
    ],
)
def test_verdicts(
    value: float | None, target: float | None, better: str, low: float | None, high: float | None, status: str
) -> None:
    assert verdict({"target": target, "better": better, "ci_low": low, "ci_high": high}, value) == status


def test_what_changed_since_an_earlier_map(wh: Warehouse) -> None:
    now = build_journey_map(wh)
    before = now.copy()
    before["period_end"] = LAST - dt.timedelta(days=1)
    reached = (
        (before["section"] == "volume") & (before["item"] == "reached") & (before["stage"] == "awareness")
    )
    before.loc[reached, "value"] -= 40
    page = read_map(build_journey_map(wh, {"previous": before}))
    assert page.text("note", "since") == "Against the map of 19 November 2026."
    assert [(row.label, row.text) for row in page.section("note")[1:]] == [("Awareness", "+40")]
    assert read_map(build_journey_map(wh, {"previous": now})).section("note") == []


def test_one_group_does_not_see_another(wh: Warehouse) -> None:
    context = replace(shop_context(wh), segment="nobody")
    rows = Rows("nobody")
    volumes(context, rows)
    assert all(row.get("value") in (None, 0.0) for row in rows.rows)
