"""The journey tables of a random shop against plain Python over the same rows."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.kpis.journey_config import journey_config
from cja_pipeline.kpis.journey_params import ensure_journeys
from cja_pipeline.kpis.journeys import build_cohorts, build_funnel, build_paths, funnel
from cja_pipeline.kpis.survival import kaplan_meier
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import fill

IDLE = dt.timedelta(days=30)
TYPES = [
    "visit",
    "product_view",
    "add_to_cart",
    "begin_checkout",
    "add_payment_info",
    "search",
    "email_received",
]


@pytest.fixture(scope="module")
def shop() -> Warehouse:
    """A random shop whose touches are steps of the funnel, with all journey tables built."""
    wh = Warehouse(":memory:")
    fill(wh, customers=250, days=100, visits=3.0)
    wh.execute(
        "UPDATE customers.touchpoints SET "
        "touchpoint_type = $types[1 + CAST(hash(touchpoint_id) % 7 AS INTEGER)] WHERE order_id IS NULL",
        {"types": TYPES},
    )
    # ties: the same second for touches and orders of one customer must not change any count
    wh.execute(
        "UPDATE customers.touchpoints SET occurred_at = date_trunc('day', occurred_at) WHERE order_id IS NULL"
    )
    build_funnel(wh)
    build_paths(wh)
    build_cohorts(wh)
    return wh


@pytest.fixture(scope="module")
def log(shop: Warehouse) -> pd.DataFrame:
    """Touches that journeys are made of, and orders, per customer in order."""
    touches = shop.df(
        "SELECT customer_id, occurred_at, touchpoint_type AS kind, channel, 0 AS is_order, "
        "touchpoint_id AS id, 0.0 AS value FROM customers.touchpoints "
        "WHERE list_contains($types, touchpoint_type) AND order_id IS NULL "
        "AND touchpoint_type <> 'email_received'",
        {"types": TYPES},
    )
    orders = shop.df(
        "SELECT customer_id, ordered_at AS occurred_at, 'purchase' AS kind, NULL AS channel, 1 AS is_order, "
        "'order:' || order_id AS id, CAST(net_revenue AS DOUBLE) AS value FROM customers.orders"
    )
    rows = pd.concat([touches, orders]).sort_values(["customer_id", "occurred_at", "is_order", "id"])
    first = orders.groupby("customer_id")["occurred_at"].min()
    rows["bought_before"] = rows["occurred_at"] > rows["customer_id"].map(first)
    return rows.reset_index(drop=True)


@pytest.fixture(scope="module")
def attempts(log: pd.DataFrame, shop: Warehouse) -> list[dict]:
    """Purchase attempts, cut by hand."""
    now = shop.scalar("SELECT as_of FROM config.params")
    found = []
    for customer, rows in log.groupby("customer_id"):
        current: list = []
        for row in rows.itertuples():
            if current and (current[-1].is_order or row.occurred_at - current[-1].occurred_at > IDLE):
                found.append((customer, current))
                current = []
            current.append(row)
        found.append((customer, current))
    told = []
    for customer, rows in found:
        items = [row.channel if row.kind == "visit" else row.kind for row in rows if not row.is_order]
        ended = rows[-1]
        outcome = "purchase" if ended.is_order else "exit" if now - ended.occurred_at > IDLE else "open"
        told.append(
            {
                "customer_id": customer,
                "outcome": outcome,
                "items": items,
                "path": " > ".join(list(dict.fromkeys(items))[:9]) or "(no known touch)",
                "value": sum(row.value for row in rows),
                "bought_before": bool(rows[0].bought_before),
                "started_at": rows[0].occurred_at,
                "ended_at": ended.occurred_at,
            }
        )
    return told


def test_attempts_equal_brute_force(shop, attempts):
    made = shop.df("SELECT * FROM kpis.journeys").sort_values(["customer_id", "started_at", "ended_at"])
    columns = ["customer_id", "outcome", "path", "bought_before", "started_at", "ended_at"]
    assert Counter(made[columns].itertuples(index=False, name=None)) == Counter(
        tuple(pd.Timestamp(a[c]) if c.endswith("_at") else a[c] for c in columns) for a in attempts
    )
    assert float(made["value"].astype(float).sum()) == pytest.approx(sum(a["value"] for a in attempts))


def members(shop: Warehouse, segment: str) -> set[str]:
    """Customers by the device of most of their visits, on a tie the first in the alphabet."""
    visits = shop.df("SELECT customer_id, device FROM customers.sessions WHERE NOT is_bot")
    counts = visits.value_counts().reset_index().sort_values(["count", "device"], ascending=[False, True])
    return set(counts.drop_duplicates("customer_id").query("device == @segment")["customer_id"])


def in_segment(shop: Warehouse, log: pd.DataFrame, segment: str) -> pd.DataFrame:
    if segment in ("new", "returning"):
        return log[log["bought_before"] == (segment == "returning")]
    return log if segment == "all" else log[log["customer_id"].isin(members(shop, segment))]


@pytest.mark.parametrize("segment", ["all", "new", "returning", "mobile", "desktop"])
@pytest.mark.parametrize("mode", ["best_chain", "first_entry"])
def test_funnel_of_a_segment_equals_the_public_function(shop, log, segment, mode):
    steps = [step.step_name for step in journey_config().steps]
    rows = in_segment(shop, log, segment)
    events = pd.DataFrame({"user": rows["customer_id"], "ts": rows["occurred_at"], "event": rows["kind"]})
    now = shop.scalar("SELECT as_of FROM config.params")
    expected = funnel(events, steps, window=dt.timedelta(days=30), counting=mode, now=now)
    made = shop.df("SELECT * FROM kpis.funnel WHERE segment = ? AND mode = ? ORDER BY step", [segment, mode])
    for column, name in (("customers", "users"), ("immature", "immature")):
        assert made[column].tolist() == expected[name].tolist()
    np.testing.assert_allclose(made["rate"], expected["rate"].astype(float))
    np.testing.assert_allclose(made["median_seconds"], expected["median_seconds"].astype(float))


def test_any_order_counts_everyone_who_did_it(shop, log):
    made = shop.df("SELECT * FROM kpis.funnel WHERE segment = 'all' AND mode = 'any' ORDER BY step")
    did = log.groupby("kind")["customer_id"].agg(set)
    assert made["customers"].tolist() == [len(did[name]) for name in made["step_name"]]
    assert made["rate"][5] == pytest.approx(
        len(did["purchase"] & did["add_payment_info"]) / len(did["add_payment_info"])
    )


@pytest.mark.parametrize("segment", ["all", "returning", "mobile"])
def test_transitions_equal_brute_force(shop, attempts, segment):
    inside = members(shop, segment) if segment == "mobile" else None
    moves, who, leaving = Counter(), defaultdict(set), Counter()
    for attempt in attempts:
        if inside is not None and attempt["customer_id"] not in inside:
            continue
        if segment == "returning" and not attempt["bought_before"]:
            continue
        steps = [s for i, s in enumerate(attempt["items"]) if i == 0 or s != attempt["items"][i - 1]]
        chain = ["start", *steps, attempt["outcome"]]
        for pair in itertools.pairwise(chain):
            moves[pair] += 1
            leaving[pair[0]] += 1
            who[pair].add(attempt["customer_id"])
    made = shop.df("SELECT * FROM kpis.transitions WHERE grain = 'touchpoint' AND segment = ?", [segment])
    found = {(r.from_stage, r.to_stage): (r.n, r.customers) for r in made.itertuples()}
    assert found == {pair: (n, len(who[pair])) for pair, n in moves.items()}
    for row in made.itertuples():
        assert row.rate == pytest.approx(row.n / leaving[row.from_stage])
        assert row.ci_low <= row.rate <= row.ci_high


def test_paths_pool_what_is_rare_and_still_sum(shop, attempts):
    made = shop.df("SELECT * FROM kpis.paths WHERE segment = 'all'")
    assert made.groupby("outcome")["journeys"].sum().to_dict() == Counter(a["outcome"] for a in attempts)
    shown = made[made["path"] != "(other paths)"]
    assert (shown["customers"] >= journey_config().journey.min_customers).all()
    paths = Counter((a["outcome"], a["path"]) for a in attempts)
    assert all(paths[row.outcome, row.path] == row.journeys for row in shown.itertuples())
    row = shown.sort_values("journeys").iloc[-1]
    closed = [a for a in attempts if a["path"] == row["path"] and a["outcome"] != "open"]
    assert row["conversion_rate"] == pytest.approx(np.mean([a["outcome"] == "purchase" for a in closed]))
    assert made["share"].sum() == pytest.approx(1)


def test_durations_are_kaplan_meier(shop):
    orders = shop.df("SELECT customer_id, ordered_at FROM customers.orders ORDER BY ordered_at, order_id")
    now = shop.scalar("SELECT as_of FROM config.params")
    spans = []
    for _, times in orders.groupby("customer_id")["ordered_at"]:
        second = times.iloc[1] if len(times) > 1 else None
        spans.append((((second or now) - times.iloc[0]).total_seconds() // 1 / 86400, second is not None))
    curve = kaplan_meier([days for days, _ in spans], [ended for _, ended in spans])
    row = shop.df("SELECT * FROM kpis.durations WHERE segment = 'all' AND measure = 'second_order'").iloc[0]
    assert (row["n"], row["events"]) == (len(spans), sum(ended for _, ended in spans))
    assert row["median_days"] == pytest.approx(curve.quantile(0.5)[0])
    assert row["rmst_30d"] == pytest.approx(curve.restricted_mean(30))
    stages = shop.df("SELECT * FROM kpis.durations WHERE segment = 'all' AND measure = 'stage'")
    spells = shop.df("SELECT stage, count(*) AS n FROM customers.stage_spells GROUP BY 1")
    assert dict(zip(stages["stage"], stages["n"], strict=True)) == dict(
        zip(spells["stage"], spells["n"], strict=True)
    )


def test_a_spell_from_before_all_was_watched_is_no_time_in_stage(shop):
    count = "SELECT n FROM kpis.durations WHERE segment = 'all' AND measure = 'stage' AND stage = 'advocacy'"
    before = shop.scalar(count)
    spells = shop.df("SELECT * FROM customers.stage_spells")
    old = spells.head(30).assign(
        customer_id=[f"old{number}" for number in range(30)],
        stage="advocacy",
        entered_at=pd.Timestamp("2020-05-01"),
        exited_at=pd.NaT,
    )
    shop.write("customers.stage_spells", pd.concat([spells, old], ignore_index=True))
    build_paths(shop)
    assert shop.scalar(count) == before
    shop.write("customers.stage_spells", spells)
    build_paths(shop)


def test_cohorts_count_months_and_leave_open_ones_empty(shop):
    orders = shop.df(
        "SELECT customer_id, business_date, net_revenue FROM customers.orders ORDER BY business_date"
    )
    orders["month"] = pd.to_datetime(orders["business_date"]).dt.to_period("M")
    first = orders.groupby("customer_id")["month"].min()
    made = shop.df("SELECT * FROM kpis.cohorts")
    last = pd.Timestamp(shop.scalar("SELECT last_day FROM config.params"))
    for row in made.itertuples():
        month = pd.Period(row.cohort_month, "M") + row.period
        people = set(first[first == pd.Period(row.cohort_month, "M")].index)
        assert row.customers == len(people)
        if month.end_time.date() > last.date():
            assert pd.isna(row.value)
            assert pd.isna(row.active)
            continue
        here = orders[(orders["month"] == month) & orders["customer_id"].isin(people)]
        if row.measure == "revenue":
            assert row.value == pytest.approx(float(here["net_revenue"].sum()) / len(people))
        elif row.period:
            assert row.active == here["customer_id"].nunique()
            assert row.ci_low <= row.value <= row.ci_high
    assert made["value"].notna().any()
    assert made["value"].isna().any()


def test_attempts_are_cut_once_and_again_when_rows_change(shop):
    before = shop.scalar("SELECT fingerprint FROM config.journey_params")
    shop.execute("DELETE FROM kpis.journeys WHERE outcome = 'open'")
    ensure_journeys(shop)  # nothing changed: not cut again, the deleted rows stay away
    assert shop.scalar("SELECT count(*) FROM kpis.journeys WHERE outcome = 'open'") == 0
    shop.execute("UPDATE config.params SET as_of = as_of + INTERVAL 1 HOUR")
    ensure_journeys(shop)
    assert shop.scalar("SELECT fingerprint FROM config.journey_params") != before
    assert shop.scalar("SELECT count(*) FROM kpis.journeys WHERE outcome = 'open'") > 0


def test_attempts_must_outlast_the_lookback(warehouse):
    fill(warehouse, customers=20, days=20)
    warehouse.execute("UPDATE config.params SET lookback_days = 45")
    with pytest.raises(ConfigError, match="idle_days: expected at least 45"):
        build_funnel(warehouse)
