"""Orders three ways: web purchases, CRM orders, published revenue, with what steps do not explain."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cja_pipeline.config import shop
from cja_pipeline.validated.outcomes import Outcome, number
from cja_pipeline.warehouse import Warehouse

MODEL = Path(__file__).parent / "order_waterfall.sql"
TABLE = "quality.order_waterfall"
TARGET = "customers.orders"
PUBLISHED = "published"
CENT = 0.005
CHECK = {
    "check_id": "orders_reconcile",
    "description": "Web purchases, CRM orders and the orders that count agree, but for explained steps.",
    "severity": "critical",
    "action": "block",
    "advice": "The rest stands in quality.order_waterfall: find the orders that are on one side only, "
    "beginning with the step before it; do not publish before it is explained.",
}
Step = tuple[str, str, int, float]


def build_waterfall(warehouse: Warehouse) -> list[Step]:
    """Write ``quality.order_waterfall`` up to the orders that count; returns (step, kind, orders, money)."""
    return _write(warehouse, _rows(warehouse, f"({MODEL.read_text('utf-8')})"))


def add_published(warehouse: Warehouse, orders: int, net_revenue: float) -> list[Step]:
    """End ``quality.order_waterfall`` with what the serving database holds; returns its steps."""
    held = _rows(warehouse, TABLE) if warehouse.exists(TABLE) else []
    steps = held or build_waterfall(warehouse)
    before = [step for step in steps if step[0] != PUBLISHED and step[1] != "rest"]
    return _write(warehouse, [*before, (PUBLISHED, "total", orders, float(net_revenue))])


def _rows(warehouse: Warehouse, place: str) -> list[Step]:
    rows = warehouse.sql(f"SELECT step, kind, orders, money FROM {place} ORDER BY position").fetchall()
    return [(step, kind, int(orders or 0), float(money or 0)) for step, kind, orders, money in rows]


def _write(warehouse: Warehouse, found: Sequence[Step]) -> list[Step]:
    steps = with_rests(found)
    warehouse.ensure(TABLE)
    with warehouse.transaction():
        warehouse.execute(f"DELETE FROM {TABLE}")
        for position, (step, kind, orders, money) in enumerate(steps, 1):
            warehouse.execute(
                f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?)",
                [position, step, kind, orders, round(money, 2), shop().currency],
            )
    return steps


def with_rests(steps: Sequence[Step]) -> list[Step]:
    """The steps with a rest before each total but the first: what the steps before it do not explain."""
    found: list[Step] = []
    orders, money = 0, 0.0
    for step in steps:
        if step[1] == "total":
            if found:
                found.append((f"rest_{step[0]}", "rest", step[2] - orders, round(step[3] - money, 2)))
            orders, money = step[2], step[3]
        else:
            orders, money = orders + step[2], money + step[3]
        found.append(step)
    return found


def waterfall_outcome(warehouse: Warehouse, run_id: str, checked_at: dt.datetime) -> Outcome:
    """The blocking check that nothing is left unexplained."""
    outcome = Outcome(
        run_id, checked_at, TARGET, CHECK["check_id"], CHECK["description"], CHECK["severity"],
        CHECK["action"], False, "not evaluated", "no order and no money unexplained", advice=CHECK["advice"],
    )  # fmt: skip
    if not warehouse.exists(TABLE):
        outcome.error = "could not be evaluated: the waterfall was never built"
        return outcome
    rows = _rows(warehouse, TABLE)
    rests = [row for row in rows if row[1] == "rest" and (row[2] or abs(row[3]) > CENT)]
    totals = ", ".join(f"{row[0].replace('_', ' ')} {number(row[2])}" for row in rows if row[1] == "total")
    outcome.rows_checked = max((row[2] for row in rows if row[1] == "total"), default=0)
    outcome.rows_failed = sum(abs(row[2]) for row in rests)
    outcome.share_failed = outcome.rows_failed / outcome.rows_checked if outcome.rows_checked else 0.0
    outcome.passed = bool(rows) and not rests
    outcome.observed = totals + "".join(
        f"; before {row[0].removeprefix('rest_').replace('_', ' ')}: {number(row[2])} orders and "
        f"{number(row[3])} unexplained"
        for row in rests
    )
    return outcome


def read_waterfall(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The waterfall as written last; empty before the first."""
    if not warehouse.exists(TABLE):
        return []
    rows = warehouse.sql(
        f"SELECT step, kind, orders, money, currency FROM {TABLE} ORDER BY position"
    ).fetchall()
    names = ("step", "kind", "orders", "money", "currency")
    return [dict(zip(names, row, strict=True)) for row in rows]
