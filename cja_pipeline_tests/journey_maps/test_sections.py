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
from cja_pipeline.journey_maps.sections.volumes import volumes
from cja_pipeline.journey_maps.suppress import SUPPRESS
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.small_shop import LAST, NOW, SmallShop, curve, insert

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


def test_who_only_recommends_has_bought_nothing(wh: Warehouse) -> None:
    """Fifty people who recommend the shop, half of whom looked around before."""
    before = section(wh)
    spells, touches = [], []
    for number in range(50):
        for place, stage in enumerate(["consideration"] * (number % 2) + ["advocacy"]):
            known = {"customer_id": f"friend{number}", "stage": stage}
            spells.append(known | {"entered_at": NOW - dt.timedelta(days=9 - place), "spell": place + 1})
        touches.append(
            known
            | {
                "touchpoint_id": f"t{number}",
                "occurred_at": NOW - dt.timedelta(days=8),
                "business_date": LAST,
            }
        )
    for name, rows, old in (
        ("customers.stage_spells", spells, SHOP.spells),
        ("customers.touchpoints", touches, SHOP.touchpoints),
    ):
        insert(wh, name, [*old, *rows])
    page = section(wh)
    for stage, more in zip(STAGES, (50, 25, 0, 0, 0), strict=True):
        was, now = (each.find("volume", "reached", stage) for each in (before, page))
        assert was is not None
        assert now is not None
        assert now.value == (was.value or 0) + more or was.value is None


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
            | {"curve": curve([[0, 1.0, 1.0, 1.0], [2, 0.5, 0.4, 0.6]])},
            known
            | {"stage": "consideration", "n": 100, "p25_days": 3.0, "status": "not_reached"}
            | {"curve": curve([[0, 1.0, 1.0, 1.0], [66, 0.6, 0.5, 0.7]])},
            known | {"stage": "purchase", "n": 12, "median_days": 2.0, "status": "few", "curve": "[]"},
        ],
    )
    html = render(build_journey_map(wh))
    assert "2\u00a0days" in html
    assert "half take 1\u00a0day to 5\u00a0days" in html
    assert "Fewer than half move on" in html
    assert "a quarter moves on within 3\u00a0days; watched for up to 66\u00a0days" in html
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


def test_the_month_in_which_the_watching_began_is_marked(wh: Warehouse) -> None:
    insert(wh, "config.params", [{"first_day": dt.date(2026, 7, 27)}])
    months = [dt.date(2026, 7, 1), dt.date(2026, 8, 1)]
    known = {
        "measure": "retention",
        "period": 1,
        "customers": 80,
        "value": 0.2,
        "ci_low": 0.1,
        "ci_high": 0.3,
    }
    insert(wh, "kpis.cohorts", [known | {"cohort_month": month} for month in months])
    html = render(build_journey_map(wh))
    assert "Jul, in part" in html
    assert "Aug, in part" not in html


def test_one_group_does_not_see_another(wh: Warehouse) -> None:
    context = replace(shop_context(wh), segment="nobody")
    rows = Rows("nobody")
    volumes(context, rows)
    assert all(row.get("value") in (None, 0.0) for row in rows.rows)


def test_any_kpi_of_the_catalogue_is_on_the_page(wh: Warehouse) -> None:
    insert(
        wh,
        "kpis.kpi_catalogue",
        [{"kpi_id": "gift_cards", "stage": "purchase", "label": "Gift cards sold", "format": "number"}],
    )
    row = {
        "kpi_id": "gift_cards",
        "stage": "purchase",
        "grain": "rolling_28d",
        "period_start": LAST - dt.timedelta(days=27),
        "period_end": LAST,
        "dimension": "all",
        "dimension_value": "all",
        "value": 137.0,
        "n": 137,
        "ci_method": "exact",
    }
    phones = row | {"dimension": "device", "dimension_value": "mobile", "value": 11.0, "n": SUPPRESS - 1}
    insert(wh, "kpis.kpi_values", [row, phones])
    frame = build_journey_map(wh)
    found = [(r.item, r.value, r.n) for r in read_map(frame).section("figure")]
    assert found == [("gift_cards", 137.0, 137)]
    assert "Gift cards sold" in render(frame)
    assert [r.value for r in read_map(frame, "mobile").section("figure")] == [None]  # a small group
