"""Proof that funnel, paths, credit, value and KPIs count the same orders, buyers and money.

The truth is ``customers.orders``. Every number that claims to be a total of it is compared; a difference
means that one of the models lost or doubled rows, and nothing downstream should be published.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cja_pipeline.warehouse import Warehouse

Result = dict[str, Any]


class Claim(NamedTuple):
    """A total, the query that claims it, the query that knows it, and what to look at when they differ."""

    check_id: str
    claimed: str
    known: str
    advice: str
    needs: tuple[str, ...]


# credit is for complete business days: a night also learns of orders of the day that has just begun
CREDITED = (
    "FROM customers.orders AS o CROSS JOIN config.journey_params AS p "
    "WHERE o.business_date BETWEEN p.credit_from AND p.last_day"
)
CUT = "The event log was cut wrongly: compare kpis.journeys with customers.orders by order_id."

CLAIMS = (
    Claim(
        "funnel_buyers",
        "SELECT customers FROM kpis.funnel WHERE segment = 'all' AND mode = 'any' AND step_name = 'purchase'",
        "SELECT count(DISTINCT customer_id) FROM customers.orders",
        "The funnel lost buyers: compare kpis.journey_touches (type order) with customers.orders.",
        ("kpis.funnel",),
    ),
    Claim(
        "funnel_steps",
        "SELECT sum(customers) FROM kpis.funnel WHERE segment = 'all' AND mode = 'any' "
        "AND step_name <> 'purchase'",
        "SELECT count(*) FROM (SELECT DISTINCT t.customer_id, t.touchpoint_type "
        "FROM customers.touchpoints AS t "
        "INNER JOIN config.funnel_steps AS s ON s.step_name = t.touchpoint_type "
        "WHERE s.step_name <> 'purchase') AS reached",
        "The funnel lost customers at a step: compare kpis.journey_touches with customers.touchpoints.",
        ("kpis.funnel",),
    ),
    Claim(
        "funnel_visitors",
        "SELECT customers FROM kpis.funnel WHERE segment = 'all' AND mode = 'any' AND step_name = 'visit'",
        "SELECT count(DISTINCT customer_id) FROM customers.sessions WHERE NOT is_bot",
        "Funnel and visits know different visitors: compare visits in customers.touchpoints with sessions.",
        ("kpis.funnel",),
    ),
    Claim(
        "paths_new_customers",
        "SELECT sum(journeys) FROM kpis.paths WHERE segment = 'new' AND outcome = 'purchase'",
        "SELECT count(*) FROM customers.orders WHERE is_first_order",
        "Paths of new customers must end in first orders: see journey_touches.sql, bought_before.",
        ("kpis.paths",),
    ),
    Claim(
        "paths_orders",
        "SELECT sum(journeys) FROM kpis.paths WHERE segment = 'all' AND outcome = 'purchase'",
        "SELECT count(*) FROM customers.orders",
        CUT,
        ("kpis.paths",),
    ),
    Claim(
        "paths_net_revenue",
        "SELECT sum(value) FROM kpis.paths WHERE segment = 'all'",
        "SELECT sum(net_revenue) FROM customers.orders",
        CUT,
        ("kpis.paths",),
    ),
    Claim(
        "new_and_returning_orders",
        "SELECT sum(journeys) FROM kpis.paths WHERE segment IN ('new', 'returning') AND outcome = 'purchase'",
        "SELECT count(*) FROM customers.orders",
        "New and returning must split the orders: see journey_touches.sql, bought_before.",
        ("kpis.paths",),
    ),
    Claim(
        "transitions_orders",
        "SELECT sum(n) FROM kpis.transitions WHERE segment = 'all' AND grain = 'touchpoint' "
        "AND to_stage = 'purchase'",
        "SELECT count(*) FROM customers.orders",
        CUT,
        ("kpis.transitions",),
    ),
    Claim(
        "value_net_revenue",
        "SELECT sum(net_revenue) FROM kpis.customer_value",
        "SELECT sum(net_revenue) FROM customers.orders",
        "Customer value was built from other orders than the journeys: run it again.",
        ("kpis.customer_value",),
    ),
    Claim(
        "value_buyers",
        "SELECT count(*) FROM kpis.customer_value",
        "SELECT count(DISTINCT customer_id) FROM customers.orders",
        "Customer value was built from other orders than the journeys: run it again.",
        ("kpis.customer_value",),
    ),
    Claim(
        "cohort_customers",
        "SELECT sum(customers) FROM kpis.cohorts WHERE measure = 'retention' AND period = 0",
        "SELECT count(DISTINCT customer_id) FROM customers.orders",
        "Each buyer belongs to one cohort: see cohorts.sql.",
        ("kpis.cohorts",),
    ),
)
# KPIs of which the days add up, and what they add up to. Everybody is a new customer on one day only.
DAILY = (
    ("orders", "count(*)", "customers.orders WHERE TRUE"),
    ("net_revenue", "sum(net_revenue)", "customers.orders WHERE TRUE"),
    ("new_customers", "count(*)", "customers.orders WHERE is_first_order"),
    ("sessions", "count(*)", "customers.sessions WHERE NOT is_bot"),
)
MONTHS = """
    SELECT sum(k.value), sum(a.net_revenue)
    FROM kpis.kpi_values AS k
    INNER JOIN (
        SELECT period_start, sum(net_revenue) AS net_revenue FROM kpis.attribution
        WHERE model = (SELECT min(model) FROM kpis.attribution) GROUP BY period_start
    ) AS a ON a.period_start = k.period_start
    WHERE k.kpi_id = 'net_revenue' AND k.grain = 'month' AND k.dimension = 'all' AND k.value IS NOT NULL
        AND k.is_complete
"""
KPI_DAYS = "grain = 'day' AND dimension = 'all' AND value IS NOT NULL"


def reconcile(wh: Warehouse) -> list[Result]:
    """Compare all totals.

    Returns:
        ``check_id, passed, observed, expected, advice`` per comparison. Counts must be equal, and money but
        for the rounding of credit shares (1e-8). Tables that are not built yet are left out.
    """
    found = [
        _result(claim.check_id, wh.scalar(claim.claimed), wh.scalar(claim.known), claim.advice)
        for claim in CLAIMS
        if all(wh.exists(table) for table in claim.needs)
    ]
    for table in ("attribution", "attribution_total"):
        if wh.exists(f"kpis.{table}"):
            found += _credit(wh, table)
    if wh.exists("kpis.kpi_values"):
        found += _kpis(wh)
    return found


def _credit(wh: Warehouse, table: str) -> list[Result]:
    """The worst model of each total: every model must give away exactly what there is."""
    known = {
        "conversions": wh.scalar(f"SELECT count(*) {CREDITED}"),
        "net_revenue": wh.scalar(f"SELECT sum(o.net_revenue) {CREDITED}"),
        "new_customers": wh.scalar(f"SELECT count(CASE WHEN o.is_first_order THEN 1 END) {CREDITED}"),
    }
    results = []
    for column, total in known.items():
        expected = float(total or 0)
        sums = wh.sql(
            f"SELECT model, sum({column}) FROM kpis.{table} GROUP BY model ORDER BY model"
        ).fetchall()
        worst = max(sums, key=lambda row: abs(row[1] - expected), default=("no model", 0.0))
        advice = f"Credit of {worst[0]} does not sum to the orders: see attribution_build.py."
        results.append(_result(f"{table}_{column}", worst[1], expected, advice))
    spend = wh.scalar(
        "SELECT sum(m.spend) FROM customers.media AS m CROSS JOIN config.journey_params AS p "
        "WHERE m.day BETWEEN p.credit_from AND p.last_day"
    )
    joined = wh.scalar(
        f"SELECT sum(spend) FROM kpis.{table} WHERE model = (SELECT min(model) FROM kpis.{table})"
    )
    advice = "Spend was lost or doubled when it was joined to credit: look for doubled channel and campaign."
    results.append(_result(f"{table}_spend", joined, spend, advice))
    return results


def _kpis(wh: Warehouse) -> list[Result]:
    """KPIs that may be added up over days, against the rows of exactly the days that have a value, and the
    revenue of whole months against what attribution gives away in them."""
    results = []
    for kpi_id, total, table in DAILY:
        days = f"SELECT period_start FROM kpis.kpi_values WHERE kpi_id = '{kpi_id}' AND {KPI_DAYS}"
        if not wh.scalar(f"SELECT count(*) FROM ({days})"):
            continue
        claimed = wh.scalar(
            f"SELECT sum(value) FROM kpis.kpi_values WHERE kpi_id = '{kpi_id}' AND {KPI_DAYS}"
        )
        known = wh.scalar(f"SELECT {total} FROM {table} AND business_date IN ({days})")
        advice = f"KPI {kpi_id} and {table.split()[0]} differ on complete days: run kpi_values again."
        results.append(_result(f"kpi_{kpi_id}", claimed, known, advice))
    if wh.exists("kpis.attribution"):
        claimed, known = wh.sql(MONTHS).fetchall()[0]
        advice = (
            "KPIs and attribution know different revenue of a month: run attribution and kpi_values again."
        )
        if claimed is not None:  # there is a whole month that both know
            results.append(_result("kpi_months_of_attribution", claimed, known, advice))
    return results


def _result(check_id: str, observed: Any, expected: Any, advice: str) -> Result:
    seen, known = float(observed or 0), float(expected or 0)
    return {
        "check_id": check_id,
        "passed": abs(seen - known) <= 0.005 + 1e-8 * abs(known),
        "observed": round(seen, 2),
        "expected": round(known, 2),
        "advice": advice,
    }
