"""Credit, value and insights of a shop in the warehouse: they sum to its orders, and say what is unknown."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.customers.parameters import touchpoint_rules
from cja_pipeline.kpis.attribution import attribute, build_attribution
from cja_pipeline.kpis.findings import build_findings
from cja_pipeline.kpis.insights import build_insights, stratified_ratio
from cja_pipeline.kpis.journeys import build_cohorts, build_funnel, build_paths
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.kpis.reconcile import reconcile
from cja_pipeline.kpis.value import build_customer_value
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill, write

LOOKBACK = dt.timedelta(days=30)


@pytest.fixture(scope="module")
def shop() -> Warehouse:
    wh = Warehouse(":memory:")
    fill(wh, customers=200, days=90)
    wh.execute("UPDATE customers.touchpoints SET campaign = 'spring' WHERE channel = 'Paid Social'")
    # the event log and the visits know the same visitors
    wh.execute(
        "DELETE FROM customers.touchpoints WHERE touchpoint_type = 'visit' "
        "AND customer_id NOT IN (SELECT customer_id FROM customers.sessions WHERE NOT is_bot)"
    )
    wh.execute(
        "UPDATE customers.sessions SET is_bot = TRUE WHERE customer_id NOT IN "
        "(SELECT customer_id FROM customers.touchpoints WHERE touchpoint_type = 'visit')"
    )
    write(wh, "config.touchpoint_rules", touchpoint_rules())
    for build in (build_customer_value, build_funnel, build_paths, build_cohorts, build_attribution):
        build(wh)
    build_insights(wh)
    return wh


def paths_by_hand(wh: Warehouse) -> pd.DataFrame:
    """Visits within the lookback of each order and after the order before; attempts that ended, as nulls."""
    now = wh.scalar("SELECT as_of FROM config.params")
    visits = wh.df(
        "SELECT customer_id, occurred_at, touchpoint_id, channel FROM customers.touchpoints "
        "WHERE touchpoint_type = 'visit' ORDER BY occurred_at, touchpoint_id"
    )
    orders = wh.df(
        "SELECT customer_id, ordered_at, CAST(net_revenue AS DOUBLE) AS value FROM customers.orders "
        "ORDER BY ordered_at, order_id"
    )
    touched = wh.df(
        "SELECT customer_id, occurred_at FROM customers.touchpoints WHERE touchpoint_type IN "
        "('visit', 'product_view', 'search')"
    )
    found = []
    for customer in sorted(set(visits["customer_id"]) | set(orders["customer_id"])):
        mine = visits[visits["customer_id"] == customer]
        since = pd.Timestamp.min
        for order in orders[orders["customer_id"] == customer].itertuples():
            near = (mine["occurred_at"] > since) & (mine["occurred_at"] <= order.ordered_at)
            near &= mine["occurred_at"] >= order.ordered_at - LOOKBACK
            days = [
                (order.ordered_at - at).total_seconds() // 1 / 86400 for at in mine.loc[near, "occurred_at"]
            ]
            found.append((list(mine.loc[near, "channel"]), 1, order.value, 0, days, order.ordered_at))
            since = order.ordered_at
        # what no order followed: attempts end with a pause of 30 days, and the last one may still be open
        bought = orders.loc[orders["customer_id"] == customer, "ordered_at"]
        times = touched.loc[touched["customer_id"] == customer, "occurred_at"]
        log = sorted([(at, 0) for at in times] + [(at, 1) for at in bought])
        attempt: list[pd.Timestamp] = []
        ends: list[list[pd.Timestamp]] = []
        for at, is_order in log:
            if attempt and at - attempt[-1] > LOOKBACK:
                ends.append(attempt)
                attempt = []
            attempt = [] if is_order else [*attempt, at]
        if attempt and now - attempt[-1] > LOOKBACK:
            ends.append(attempt)
        for attempt in ends:
            inside = mine["occurred_at"].between(max(attempt[0], attempt[-1] - LOOKBACK), attempt[-1])
            if inside.any():
                days = [0.0] * int(inside.sum())
                found.append((list(mine.loc[inside, "channel"]), 0, 0.0, 1, days, attempt[-1]))
    columns = ["path", "conversions", "value", "nulls", "days_before", "ended_at"]
    return pd.DataFrame(found, columns=columns)


def test_warehouse_credit_equals_the_public_function_on_paths_made_by_hand(shop):
    paths = paths_by_hand(shop)
    month = paths["ended_at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m")
    assert month.nunique() == 3
    periods = {"attribution_total": paths} | {f"attribution, {m}": paths[month == m] for m in set(month)}
    for place, inside in periods.items():
        table, _, chosen = place.partition(", ")
        expected = attribute(inside).set_index(["model", "channel"])
        made = shop.df(
            "SELECT model, channel, sum(conversions) AS conversions, sum(net_revenue) AS value "
            f"FROM kpis.{table} WHERE strftime(period_start, '%Y-%m') = '{chosen}' OR '{chosen}' = '' "
            "GROUP BY 1, 2 HAVING sum(conversions) > 0"
        ).set_index(["model", "channel"])
        assert set(made.index) == set(expected[expected["conversions"] > 0].index)
        for column in ("conversions", "value"):
            np.testing.assert_allclose(made[column], expected.loc[made.index, column], rtol=1e-8)


def test_months_add_up_to_the_whole_period(shop):
    keys = ["model", "channel", "campaign"]
    numbers = ["conversions", "net_revenue", "new_customers", "spend", "platform_conversions", "n"]
    whole = shop.read("kpis.attribution_total").set_index(keys).sort_index()
    months = shop.read("kpis.attribution").groupby(keys)[numbers].sum().sort_index()
    assert months.index.equals(whole.index)
    exact = ["spend", "platform_conversions", "n"]
    np.testing.assert_allclose(months[exact], whole[exact].fillna(0), rtol=1e-9)
    rules = ~whole.index.get_level_values("model").str.startswith("markov")
    np.testing.assert_allclose(months[rules], whole.loc[rules, numbers].fillna(0), rtol=1e-9, atol=1e-9)
    by_model = months.groupby("model")["conversions"].sum()
    np.testing.assert_allclose(by_model, whole.groupby("model")["conversions"].sum(), rtol=1e-9)
    spans = shop.read("kpis.attribution")[["period_start", "period_end"]].drop_duplicates()
    assert (spans["period_start"].dt.to_period("M") == spans["period_end"].dt.to_period("M")).all()


def test_costs_bands_and_intervals(shop):
    made = shop.read("kpis.attribution_total")
    orders = shop.scalar("SELECT count(*) FROM customers.orders")
    assert made.groupby("model")["conversions"].sum().round(6).eq(orders).all()
    known = made[made["channel"] != "Unattributed"]
    cell = known.groupby(["channel", "campaign"])["net_revenue"]
    assert (known["band_low"] - cell.transform("min")).abs().max() < 1e-9
    assert (known["band_high"] - cell.transform("max")).abs().max() < 1e-9
    linear = known[(known["model"] == "linear") & (known["conversions"] > 0)]
    for table in (linear, known[(known["model"] == "markov_1") & (known["conversions"] > 0)]):
        assert (table["ci_low"] <= table["net_revenue"]).all()
        assert (table["net_revenue"] <= table["ci_high"]).all()
        assert (table["channel_high"] > table["channel_low"]).all()
    paid = known[(known["model"] == "last") & (known["campaign"] == "spring")].iloc[0]
    spend = shop.scalar("SELECT sum(spend) FROM customers.media WHERE campaign = 'spring'")
    assert paid["spend"] == pytest.approx(float(spend))
    assert paid["roas"] == pytest.approx(paid["net_revenue"] / paid["spend"])
    if paid["new_customers"] >= 20:
        assert paid["cac"] == pytest.approx(paid["spend"] / paid["new_customers"])
    wasted = known[(known["model"] == "last") & (known["campaign"] == "summer")].iloc[0]
    assert (wasted["spend"] > 0, wasted["conversions"], wasted["n"]) == (True, 0, 0)
    assert known.loc[known["spend"] == 0, ["cac", "roas", "roi", "clv_to_cac"]].isna().all().all()
    assert paid["roi"] == pytest.approx((paid["net_revenue"] - paid["spend"]) / paid["spend"])
    assert made["clv_12m"].isna().all()  # too few customers for a value model


def test_value_of_the_customers_won_is_credited_like_the_customers(shop):
    """With a known value of every buyer, credit of it sums to the value of all new customers."""
    shop.execute("UPDATE kpis.customer_value SET clv_12m = 10 + 3 * length(customer_id) + r_score")
    build_attribution(shop)
    made = shop.read("kpis.attribution_total")
    worth = shop.scalar(
        "SELECT sum(v.clv_12m) FROM kpis.customer_value v JOIN customers.orders o USING (customer_id) "
        "WHERE o.is_first_order"
    )
    first = shop.df(
        "SELECT v.clv_12m FROM kpis.customer_value v JOIN customers.orders o USING (customer_id) "
        "JOIN kpis.journeys j USING (order_id) WHERE o.is_first_order AND NOT EXISTS (SELECT 1 FROM "
        "kpis.journey_touches t WHERE t.journey_id = j.journey_id AND t.earns_credit)"
    )
    build_customer_value(shop)
    build_attribution(shop)
    np.testing.assert_allclose(made.groupby("model")["clv_12m"].sum(), worth, rtol=1e-9)
    nobody = made[(made["model"] == "last") & (made["channel"] == "Unattributed")]
    assert nobody["clv_12m"].sum() >= first["clv_12m"].sum() - 1e-6
    paid = made[(made["spend"] > 0) & (made["new_customers"] >= 20)]
    np.testing.assert_allclose(paid["clv_to_cac"], (paid["clv_12m"] / paid["new_customers"]) / paid["cac"])


def test_tables_keep_what_they_declare(shop):
    """Keys are unique and columns declared without nulls have none, in every table of the room."""
    build_findings(shop)
    checked = [t for t in TABLES.values() if t.schema_name in ("kpis", "config") and shop.exists(t.full_name)]
    assert len(checked) >= 15
    for table in checked:
        frame = shop.read(table.full_name)
        assert not frame.duplicated(table.key).any(), table.full_name
        required = [name for name, column in table.columns.items() if not column.nullable]
        assert frame[required].notna().all().all(), table.full_name


def test_everything_agrees(shop):
    results = reconcile(shop)
    assert {r["check_id"] for r in results} >= {
        "funnel_buyers",
        "paths_orders",
        "paths_net_revenue",
        "attribution_conversions",
        "attribution_net_revenue",
        "attribution_new_customers",
        "attribution_spend",
        "attribution_total_conversions",
        "attribution_total_net_revenue",
        "value_buyers",
        "cohort_customers",
    }
    assert [r for r in results if not r["passed"]] == []


def test_a_lost_order_is_noticed_everywhere(shop):
    shop.execute("BEGIN TRANSACTION")
    lost = shop.scalar(
        "SELECT order_id FROM customers.orders WHERE net_revenue > 0 ORDER BY order_id LIMIT 1"
    )
    shop.execute("DELETE FROM customers.orders WHERE order_id = ?", [lost])
    failed = {r["check_id"]: r for r in reconcile(shop) if not r["passed"]}
    shop.execute("ROLLBACK")
    assert failed.keys() >= {
        "paths_orders",
        "paths_net_revenue",
        "attribution_conversions",
        "value_net_revenue",
    }
    assert failed["paths_orders"]["observed"] == failed["paths_orders"]["expected"] + 1
    assert all(r["advice"] for r in failed.values())


@pytest.fixture(scope="module")
def measured(shop):
    """The shop with its KPIs."""
    build_kpi_values(shop)
    return shop


@pytest.fixture
def change_of(measured):
    """Change a table and reconcile; it is as before afterwards."""
    shop, kept = measured, {}

    def change(table: str, update: str) -> set[str]:
        """Checks that fail after a change."""
        kept.setdefault(table, shop.read(table))
        shop.execute(update)
        return {r["check_id"] for r in reconcile(shop) if not r["passed"]}

    yield change
    for table, rows in kept.items():
        shop.write(table, rows)


# what is broken -> the check that must notice
MUTATIONS = {
    "kpi_orders": ("kpis.kpi_values", "value = value + 1 WHERE kpi_id = 'orders' AND grain = 'day'"),
    "kpi_net_revenue": ("kpis.kpi_values", "value = value * 1.001 WHERE kpi_id = 'net_revenue'"),
    "kpi_sessions": ("kpis.kpi_values", "value = value - 1 WHERE kpi_id = 'sessions' AND grain = 'day'"),
    "kpi_new_customers": ("kpis.kpi_values", "value = value * 2 WHERE kpi_id = 'new_customers'"),
    "kpi_months_of_attribution": (
        "kpis.attribution",
        "net_revenue = net_revenue + 5 WHERE period_start = (SELECT max(period_start) FROM kpis.attribution) "
        "- INTERVAL 1 MONTH AND channel = 'Email'",
    ),
    "funnel_steps": ("kpis.funnel", "customers = customers - 1 WHERE step_name = 'search' OR step = 2"),
    "funnel_visitors": ("kpis.funnel", "customers = customers + 1 WHERE step_name = 'visit'"),
    "funnel_buyers": ("kpis.funnel", "customers = customers + 1 WHERE step_name = 'purchase'"),
    "paths_new_customers": ("kpis.paths", "journeys = journeys + 1 WHERE segment = 'new'"),
    "paths_net_revenue": ("kpis.paths", "value = value + 1 WHERE segment = 'all' AND outcome = 'purchase'"),
    "transitions_orders": ("kpis.transitions", "n = n + 1 WHERE to_stage = 'purchase'"),
    "cohort_customers": ("kpis.cohorts", "customers = customers + 1 WHERE period = 0"),
    "attribution_spend": ("kpis.attribution", "spend = spend * 2"),
    "attribution_total_net_revenue": ("kpis.attribution_total", "net_revenue = 0 WHERE model = 'linear'"),
}


@pytest.mark.parametrize("check", sorted(MUTATIONS))
def test_each_disagreement_is_noticed(change_of, measured, check):
    assert [r for r in reconcile(measured) if not r["passed"]] == []
    table, change = MUTATIONS[check]
    assert check in change_of(table, f"UPDATE {table} SET {change}")


def test_too_little_history_gives_no_value_but_a_reason(shop):
    value = shop.read("kpis.customer_value")
    assert set(value["clv_status"]) == {"too_few_customers"}
    assert value[["clv_12m", "clv_12m_low", "p_active_90d"]].isna().all().all()
    assert value["rfm_segment"].notna().all()
    models = shop.read("kpis.value_models")
    assert models["status"].tolist() == ["too_little_history"]


def test_value_of_a_shop_with_history(warehouse):
    """Buyers of a known purchase process: the fit recovers totals, intervals contain the point."""
    random = np.random.default_rng(5)
    rows = []
    for i in range(900):
        day, rate = int(random.integers(0, 120)), random.gamma(1.2, 1 / 30)
        spend = random.gamma(6, 1 / random.gamma(4, 1 / 15))
        while day < 180:
            rows.append((f"c{i}", day, spend * random.gamma(8, 1 / 8)))
            if random.random() < 0.25:
                break
            day += max(1, int(random.exponential(1 / rate)))
    orders = pd.DataFrame(rows, columns=["customer_id", "day", "net_revenue"])
    orders["order_id"] = [f"o{i}" for i in range(len(orders))]
    orders["business_date"] = [FIRST + dt.timedelta(days=int(d)) for d in orders["day"]]
    orders["ordered_at"] = pd.to_datetime(orders["business_date"]) + pd.Timedelta(hours=9)
    fill(warehouse, customers=20, days=180)
    write(warehouse, "customers.orders", orders)
    told = build_customer_value(warehouse)
    assert told["clv_status"] == "ok"
    assert abs(told["back_test_error_percent"]) < 35
    value = warehouse.read("kpis.customer_value")
    assert len(value) == orders["customer_id"].nunique()
    assert value["p_active_90d"].between(0, 1).all()
    assert (value["clv_12m_low"] <= value["clv_12m"]).all()
    assert (value["clv_12m"] <= value["clv_12m_high"]).all()
    one = value.set_index("customer_id").loc["c3"]
    mine = orders[orders["customer_id"] == "c3"].groupby("day")["net_revenue"].sum()
    assert one["frequency"] == len(mine) - 1
    assert one["age_days"] == 179 - mine.index[0]
    assert float(one["net_revenue"]) == pytest.approx(mine.sum(), abs=0.02)
    items = warehouse.read("kpis.value_models").set_index(["model", "item"])
    assert items.loc[("mbg_nbd", "gradient"), "value"] < 1e-6
    assert ("back_test", "auc") in items.index
    tested = items.loc["back_test"]
    for item in ("predicted_purchases", "predicted_active", "error"):
        low, middle, high = tested.loc[item, ["low", "value", "high"]]
        assert low < middle < high
    # buyers of the very process that the model assumes: what came lies in what was foretold
    for said, came in (("predicted_purchases", "actual_purchases"), ("predicted_active", "actual_active")):
        assert tested.loc[said, "low"] <= tested.loc[came, "value"] <= tested.loc[said, "high"]


def test_insights_of_a_shop_without_any_effect_say_so(shop):
    found = shop.read("kpis.insights")
    assert len(found) >= 5
    assert "associated" not in set(found["status"])
    assert found["finding"].str.len().gt(20).all()


def test_activity_is_no_insight():
    """Active people search more and buy more; among equally active people searching changes nothing."""
    people = np.array([5000.0, 3000.0, 1000.0])
    searched = people * [0.1, 0.4, 0.8]
    risk = np.array([0.01, 0.04, 0.12])
    found = stratified_ratio(searched, searched * risk, people - searched, (people - searched) * risk)
    assert found.naive_ratio > 2
    assert found.risk_ratio == pytest.approx(1)
    assert found.p_value == pytest.approx(1)
    # one stratum: the ratio is the plain one, its interval the well-known one (Katz 1978)
    one = stratified_ratio([200], [30], [300], [20])
    se = np.sqrt(1 / 30 - 1 / 200 + 1 / 20 - 1 / 300)
    assert one.risk_ratio == pytest.approx(2.25)
    assert one.low == pytest.approx(2.25 * np.exp(-1.96 * se))


def test_a_channel_that_comes_after_the_decision_is_exposed(warehouse):
    """Vouchers: visitors come by search, fill the cart, fetch a voucher and order. Last click praises it."""
    fill(warehouse, customers=20, days=40)
    random, touches, orders = np.random.default_rng(1), [], []
    for i in range(400):
        start = pd.Timestamp(FIRST) + pd.Timedelta(hours=float(random.uniform(0, 800)))
        rows = [("visit", "Search", 0), ("add_to_cart", "Search", 5)]
        voucher = random.random() < 0.4
        if voucher:
            rows.append(("visit", "Voucher", 60))
        touches += [(f"c{i}", kind, channel, start + pd.Timedelta(minutes=m)) for kind, channel, m in rows]
        if voucher or random.random() < 0.3:
            orders.append((f"o{i}", f"c{i}", start + pd.Timedelta(minutes=70), 50.0, True))
    log = pd.DataFrame(touches, columns=["customer_id", "touchpoint_type", "channel", "occurred_at"])
    log["touchpoint_id"] = [f"t{i}" for i in range(len(log))]
    write(warehouse, "customers.touchpoints", log.assign(business_date=log["occurred_at"].dt.date))
    bought = pd.DataFrame(
        orders, columns=["order_id", "customer_id", "ordered_at", "net_revenue", "is_first_order"]
    )
    write(warehouse, "customers.orders", bought.assign(business_date=bought["ordered_at"].dt.date))
    write(warehouse, "config.touchpoint_rules", touchpoint_rules())
    build_attribution(warehouse)
    build_insights(warehouse)
    late = warehouse.df("SELECT * FROM kpis.insights WHERE status = 'late_touch'")
    assert late["feature"].tolist() == ["channel:Voucher"]
    assert late["exposed_rate"][0] == 1.0
    credit = warehouse.df("SELECT model, conversions FROM kpis.attribution_total WHERE channel = 'Voucher'")
    by_model = dict(zip(credit["model"], credit["conversions"], strict=True))
    assert by_model["first"] == 0
    assert by_model["last"] > by_model["markov_1"] > 0
