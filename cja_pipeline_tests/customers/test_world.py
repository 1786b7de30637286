"""The whole room on a small simulated shop, compared with what truly happened there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.config import shop
from cja_pipeline.customers.build import build_all
from cja_pipeline.customers.identity.measure import cookie_quality, majority, quality
from cja_pipeline.simulator.build import build_world
from cja_pipeline.sources import pull
from cja_pipeline.sources.registry import load_sources
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse

START, DAYS, CUSTOMERS = dt.date(2026, 9, 1), 21, 1500
TABLES = ("web_events", "contacts", "crm_orders", "tickets", "surveys", "email_events", "ad_insights")
SOCIAL = ("social_posts", "social_comments")
SECRET = b"test key"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, Path]]:
    home = tmp_path_factory.mktemp("shop")
    build_world(
        home / "world",
        customers=CUSTOMERS,
        days=DAYS,
        seed=11,
        start=START,
        time_zone=shop().time_zone,
        currency=shop().currency,
    )
    window = Window(START, START + dt.timedelta(days=DAYS - 1))
    as_of = dt.datetime.combine(window.end + dt.timedelta(days=1), dt.time(4), tzinfo=shop().zone)
    for source in load_sources().values():
        pull(source, window, as_of.astimezone(dt.UTC), home / "landing", world=home / "world")
    with Warehouse(":memory:") as wh:
        for table in (*TABLES, *SOCIAL):
            load(wh, f"validated.{table}", home / "landing", None, "test")
        build_all(wh, SECRET)
        yield wh, home / "world" / "truth"


def truth(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def true_people(wh: Warehouse, folder: Path) -> dict[str, str]:
    """Person behind each record, by record key."""
    known = truth(folder, "identifiers")
    found: dict[str, str] = {}
    for kind in ("contact", "profile", "login"):
        mine = known[known["kind"] == kind]
        found |= dict(zip(f"{kind}:" + mine["value"], mine["person_id"], strict=True))
    orders = truth(folder, "orders").set_index("order_number")["person_id"]
    numbers = wh.df("SELECT crm_order_id, order_id FROM validated.crm_orders_current")
    return found | dict(zip("order:" + numbers["crm_order_id"], numbers["order_id"].map(orders), strict=True))


def test_people_are_found_and_never_mixed(world: tuple[Warehouse, Path]) -> None:
    wh, folder = world
    links = wh.df("SELECT * FROM customers.identity_links ORDER BY record_key")
    records = links[~links["kind"].isin(["visitor", "author"])].reset_index(drop=True)
    person = records["record_key"].map(true_people(wh, folder))
    result = quality(records["customer_id"], person)
    assert result.precision >= 0.99
    assert result.recall >= 0.85
    assert result.over_merged <= 0.01
    assert result.largest <= 30
    visits = truth(folder, "sessions")
    owners = visits.groupby(["cookie", "person_id"]).size().reset_index(name="n").sort_values("n")
    owner = owners.drop_duplicates("cookie", keep="last").set_index("cookie")["person_id"]
    devices = wh.df("SELECT * FROM customers.visitor_map WHERE rule IN ('sole', 'dominant')")
    attached = devices.set_index("visitor_id")["customer_id"]
    cookies = cookie_quality(attached, majority(records["customer_id"], person), owner)
    assert cookies["attached"] > 50
    assert cookies["wrong"] <= 0.015


def test_visits_are_those_that_happened(world: tuple[Warehouse, Path]) -> None:
    wh, folder = world
    visits = truth(folder, "sessions")
    last = wh.scalar("SELECT max(occurred_at) FROM validated.web_events")
    seen = visits[
        (visits["started_at"] <= last) & visits["measured"] & visits["consent"] & (visits["robot"] == "")
    ]
    ours = wh.scalar("SELECT count(*) FROM customers.sessions WHERE NOT is_bot")
    # some events arrive too late for the export, some visits pause for long
    assert abs(ours - len(seen)) <= 0.02 * len(seen)
    by_channel = wh.df("SELECT channel, count(*) AS n FROM customers.sessions GROUP BY 1").set_index(
        "channel"
    )["n"]
    true_share = seen["channel"].value_counts(normalize=True)
    for channel in ("Organic Search", "Paid Search", "Paid Social", "Direct", "Email"):
        assert by_channel[channel] / ours == pytest.approx(true_share[channel], abs=0.015), channel


def test_orders_are_those_that_were_placed(world: tuple[Warehouse, Path]) -> None:
    wh, folder = world
    as_of = wh.scalar("SELECT as_of FROM config.params")
    placed = truth(folder, "orders")
    placed = placed[(placed["in_crm_at"] <= as_of) & ~placed["is_test"] & ~placed["canceled"]]
    ours = wh.df("SELECT * FROM customers.orders WHERE in_crm")
    assert set(placed["order_number"]) <= set(ours["order_id"])
    # the CRM also holds a few broken orders that nobody placed
    assert len(ours) - len(placed) <= 5
    both = ours.merge(placed, left_on="order_id", right_on="order_number", suffixes=("", "_true"))
    both = both[both["money_status"] == "ok"]
    refunded = both["refund_true"].where(both["refunded_at"] <= pd.Timestamp(as_of), 0).fillna(0)
    expected = (both["gross"] - both["discount_true"] - refunded) * both["exchange_rate"]
    assert (both["net_revenue"].astype(float) - expected).abs().max() <= 0.02
    # a visit is known for every order that a consenting browser reported in time
    web = both[both["in_web"]]
    assert (web["web_reports"] >= 1).all()
    assert set(web["order_id"]) <= set(placed.loc[placed["tracked"], "order_number"])


def test_the_log_holds_together(world: tuple[Warehouse, Path]) -> None:
    wh, _ = world
    for name in ("sessions", "orders", "touchpoints", "stage_spells", "customers", "customer_identifiers"):
        key = {"customer_identifiers": "customer_id, identifier_type, identifier_hash, source"}.get(name)
        key = key or {"customers": "customer_id", "stage_spells": "customer_id, spell"}.get(
            name, f"{name[:-1]}_id"
        )
        assert wh.scalar(f"SELECT count(*) - count(DISTINCT ({key})) FROM customers.{name}") == 0, name
    orphans = (
        "SELECT count(*) FROM customers.{0} x ANTI JOIN customers.customers c USING (customer_id) "
        "WHERE x.customer_id IS NOT NULL"
    )
    for name in ("sessions", "orders", "touchpoints", "stage_spells", "feedback", "customer_identifiers"):
        assert wh.scalar(orphans.format(name)) == 0, name
    bought = wh.scalar(
        "SELECT count(*) FROM customers.touchpoints "
        "WHERE touchpoint_type IN ('purchase', 'store_order', 'phone_order')"
    )
    assert bought == wh.scalar("SELECT count(*) FROM customers.orders")
    assert wh.scalar("SELECT sum(orders) FROM customers.customers") == bought
    assert wh.scalar("SELECT count(*) FROM customers.touchpoints WHERE stage IS NULL") == 0
    mixed = (
        "SELECT count(*) FROM customers.touchpoints t JOIN customers.sessions s USING (session_id) "
        "WHERE t.customer_id <> s.customer_id AND t.source = 'web_analytics'"
    )
    assert wh.scalar(mixed) == 0
    open_spells = (
        "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM customers.stage_spells "
        "WHERE exited_at IS NULL GROUP BY customer_id)"
    )
    assert wh.scalar(open_spells) == 1
