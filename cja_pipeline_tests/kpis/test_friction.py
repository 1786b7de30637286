"""Friction: planted losses come first, nothing planted stays quiet, slumps are found within a day."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.kpis.friction import build_friction
from cja_pipeline.kpis.friction_stats import Counts, dispersion, run_gap, slumps, standing_gaps
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, PARAMS, write

DAYS = 60
LAST = FIRST + dt.timedelta(days=DAYS - 1)
STEPS = ["visit", "product_view", "add_to_cart", "begin_checkout", "add_payment_info"]
RATES = np.array([0.65, 0.30, 0.55, 0.75, 0.82])  # of going on from each step


def fill(wh: Warehouse, seed: int, change=None, visits: int = 20_000, errors=None) -> pd.DataFrame:
    """Visits of a shop in which everybody goes on at the same rates but for `change(visits, step)`."""
    random = np.random.Generator(np.random.Philox(seed))
    day = random.integers(0, DAYS, visits)
    sessions = pd.DataFrame(
        {
            "session_id": [f"s{i}" for i in range(visits)],
            "customer_id": [f"c{i}" for i in random.integers(0, visits // 2, visits)],
            "started_at": pd.Timestamp(FIRST) + pd.to_timedelta(day * 86_400 + 40_000, unit="s"),
            "business_date": [FIRST + dt.timedelta(days=int(i)) for i in day],
            "device": random.choice(["mobile", "desktop", "tablet"], visits, p=[0.6, 0.35, 0.05]),
            "channel": random.choice(["Direct", "Email", "Paid Search", "Paid Social"], visits),
            "landing_page": random.choice(["/", "/c/tents", "/c/boots", "/p/tent-1", "/p/boot-2"], visits),
            "country": random.choice(["DE", "AT", "CH"], visits),
            "is_new_visitor": random.random(visits) < 0.5,
        }
    )
    furthest = np.zeros(visits, dtype=int)
    here = np.ones(visits, dtype=bool)
    for step, rate in enumerate(RATES):
        factor = change(sessions, step) if change else 1.0
        here &= random.random(visits) < rate * factor
        furthest += here
    sessions["furthest"] = furthest
    bought = furthest == len(RATES)
    sessions["order_id"] = [f"o{i}" if b else None for i, b in enumerate(bought)]
    sessions["errors"] = errors(sessions) if errors else 0
    params = PARAMS | {
        "as_of": pd.Timestamp(LAST) + pd.Timedelta(days=1),
        "first_day": FIRST,
        "last_day": LAST,
    }
    write(wh, "config.params", pd.DataFrame([params]))
    write(wh, "customers.sessions", sessions)
    touch = [
        sessions.loc[furthest >= i, ["session_id", "customer_id", "business_date"]].assign(
            touchpoint_id=lambda f, i=i: f"t{i}:" + f["session_id"],
            occurred_at=sessions["started_at"] + pd.Timedelta(minutes=i),
            touchpoint_type=name,
            channel=sessions["channel"],
        )
        for i, name in enumerate(STEPS)
    ]
    write(wh, "customers.touchpoints", pd.concat(touch, ignore_index=True))
    orders = sessions.loc[bought, ["order_id", "customer_id", "session_id", "business_date"]]
    value = random.gamma(4, 20, len(orders)).round(2)
    at = sessions.loc[bought, "started_at"] + pd.Timedelta(minutes=9)
    write(wh, "customers.orders", orders.assign(ordered_at=at, net_revenue=value))
    return sessions


def test_planted_losses_take_the_first_ranks(warehouse):
    def change(visits, step):
        factor = np.ones(len(visits))
        if step == 3:
            factor = np.where(visits["device"] == "mobile", 0.85, factor)
        if step == 1:
            factor = np.where(visits["landing_page"] == "/c/boots", 0.75, factor)
        return factor

    sessions = fill(warehouse, 1, change)
    build_friction(warehouse)
    found = warehouse.read("kpis.friction").sort_values("rank")
    proven = found[found["status"] == "proven"]
    cells = list(zip(proven["step"], proven["dimension"], proven["dimension_value"], strict=True))
    assert set(cells[:2]) == {
        ("begin_checkout", "device", "mobile"),
        ("product_view", "landing_page", "/c/boots"),
    }
    row = proven[proven["dimension"] == "device"].iloc[0]
    recent = sessions[
        (sessions["business_date"] > LAST - dt.timedelta(days=28))
        & (sessions["device"] == "mobile")
        & (sessions["furthest"] >= 3)
    ]
    assert row["sessions"] == len(recent)
    assert row["customers"] == recent["customer_id"].nunique()
    assert row["observed_rate"] == pytest.approx((recent["furthest"] >= 4).mean())
    assert row["expected_rate"] == pytest.approx(0.75, abs=0.04)
    # what was lost: 15 % of three quarters of these visits, each worth 0.82 orders of 80 on average
    assert row["lost_low"] < 0.15 * 0.75 * len(recent) * 0.82 * 80 < row["lost_high"]
    assert row["owner"] == "Payments team"
    assert "visits by mobile went on" in row["finding"]


def test_nothing_planted_is_quiet(warehouse):
    loud = 0
    for seed in range(2):
        fill(warehouse, 100 + seed)
        build_friction(warehouse)
        loud += int(warehouse.scalar("SELECT count(*) > 0 FROM kpis.friction WHERE status = 'proven'"))
    assert loud == 0


def test_a_bug_of_three_days_is_dated(warehouse):
    bad = [LAST - dt.timedelta(days=i) for i in (12, 11, 10)]

    def change(visits, step):
        hit = visits["business_date"].isin(bad) & (visits["device"] == "mobile")
        return np.where(hit & (step == 4), 0.2, 1.0)

    fill(warehouse, 2, change)
    build_friction(warehouse)
    found = warehouse.read("kpis.friction")
    proven = found[found["status"] == "proven"]
    assert len(proven) == 1
    row = proven.iloc[0]
    assert (row["kind"], row["step"], row["dimension_value"]) == ("incident", "add_payment_info", "mobile")
    assert (row["period_start"].date(), row["period_end"].date()) == (bad[0], bad[-1])
    assert row["lost_low"] > 0
    # other cells that show the same are not told as findings of their own, nor as a standing loss
    assert set(found.loc[found["kind"] == "incident", "status"]) <= {"proven", "related"}


def test_errors_give_a_bug_away_on_its_first_day(warehouse):
    def hit(visits):
        return (visits["business_date"] == LAST) & (visits["device"] == "mobile")

    def change(visits, step):
        return np.where(hit(visits) & (step == 4), 0.3, 1.0)

    def errors(visits):
        return np.where(hit(visits) & (visits["furthest"] == 4), 1, 0)

    fill(warehouse, 5, change, errors=errors)
    build_friction(warehouse)
    proven = warehouse.df("SELECT * FROM kpis.friction WHERE status = 'proven'")
    assert proven["dimension_value"].tolist() == ["mobile"]
    assert proven["period_start"].dt.date.tolist() == [LAST]
    assert "errors shown per visit" in proven["evidence"][0]


def test_an_empty_shop_has_no_friction(warehouse):
    params = PARAMS | {"as_of": pd.Timestamp(LAST), "first_day": FIRST, "last_day": LAST}
    write(warehouse, "config.params", pd.DataFrame([params]))
    for table in ("sessions", "touchpoints", "orders"):
        warehouse.ensure(f"customers.{table}")
    assert build_friction(warehouse) == 0


def test_gaps_are_compared_within_strata():
    """Each stratum alike, but the first cell lives in the bad one: no gap of its own (Simpson's paradox)."""
    n = np.array([[900.0, 100.0], [100.0, 900.0]])
    k = n * np.array([0.2, 0.6])
    gap = standing_gaps(n, k)
    np.testing.assert_allclose(gap.observed - gap.expected, 0, atol=1e-12)
    assert (gap.p_value > 0.3).all()


def test_one_stratum_is_the_plain_difference():
    gap = standing_gaps(np.array([[200.0], [300.0]]), np.array([[60.0], [150.0]]))
    assert gap.expected[0] == pytest.approx(0.5)
    assert gap.se[0] == pytest.approx(np.sqrt(0.3 * 0.7 / 200 + 0.5 * 0.5 / 300))
    assert gap.p_value[0] < 1e-5
    assert gap.p_value[1] > 0.99


def test_dispersion_ignores_a_few_bad_days():
    random = np.random.default_rng(1)
    n = np.full(90, 400.0)
    k = random.binomial(400, 0.5, 90).astype(float)
    k[:3] = 40
    assert dispersion(n, k) == pytest.approx(1.0, abs=0.6)
    wobbly = random.binomial(400, np.clip(random.normal(0.5, 0.08, 90), 0, 1)).astype(float)
    assert dispersion(n, wobbly) > 4


def test_what_all_others_lose_too_is_not_the_cells_own_slump():
    n = np.full((1, 60), 300.0)
    k = np.full((1, 60), 150.0)
    k[0, 30:32] = 60
    others_k = k * 3
    alone, _ = slumps(Counts(n, k), max_days=7, min_n=10)
    shared, _ = slumps(Counts(n, k, n * 3, others_k), max_days=7, min_n=10)
    assert (alone[0].first, alone[0].last) == (30, 31)
    assert shared == []
    gap = run_gap(Counts(n, k), alone[0])
    assert (gap["observed"], round(gap["expected"], 3)) == (0.2, 0.5)
