"""The world looks like a shop: rates within wide, plausible bounds."""

from __future__ import annotations

import datetime as dt

import pytest

from cja_pipeline.simulator.build import build_world
from cja_pipeline.simulator.world import World


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("realism") / "world"
    build_world(folder, customers=3000, days=45, horizon_days=0, start=dt.date(2026, 8, 1), seed=5)
    return World.open(folder)


def value(shop: World, name: str) -> float:
    table = shop.truth("kpis")
    return float(table[(table.kpi_id == name) & (table.basis == "known") & table.day.isna()].value.iloc[0])


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("conversion_rate", 0.018, 0.036),
        ("engagement_rate", 0.5, 0.75),
        ("average_order_value", 60, 100),
        ("net_promoter_score", 5, 55),
        ("customer_satisfaction_score", 0.5, 0.95),
        ("repeat_buyers", 0.08, 0.35),
    ],
)
def test_rates_are_plausible(shop: World, name: str, low: float, high: float) -> None:
    assert low < value(shop, name) < high


def test_money_flows_are_plausible(shop: World) -> None:
    assert 0.02 < value(shop, "refunds") / value(shop, "gross_revenue") < 0.15
    assert 0.005 < value(shop, "ads_clicks") / value(shop, "ads_impressions") < 0.03
    assert 0.01 < value(shop, "ads_spend") / value(shop, "gross_revenue") < 0.3
    assert 0.01 < value(shop, "email_clicked") / value(shop, "email_received") < 0.08


def test_the_checkout_bug_stops_phones_only(shop: World) -> None:
    bug = shop.truth("incidents").set_index("name").loc["mobile_checkout_bug"]
    sessions = shop.truth("sessions")
    during = sessions[(sessions.started_at >= bug["from"]) & (sessions.started_at < bug["to"])]
    paying = during[during.depth >= 6]
    sold = (paying.depth == 7).groupby(paying.device).mean()
    assert sold["mobile"] < 0.5 < sold["desktop"]
    assert bug.lost_orders == sessions.stopped_by_incident.sum() > 0


def test_all_stages_are_populated(shop: World) -> None:
    sessions, persons = shop.truth("sessions"), shop.truth("persons")
    assert (sessions.depth == 2).sum() > (sessions.depth == 3).sum() > 0
    assert 0.1 < persons.known.mean() < 0.5
    assert sessions.robot.nunique() == 4
