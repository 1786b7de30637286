"""After publishing: does the serving database hold what the warehouse holds? Read back, table by table."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from cja_pipeline.journey_maps.serving import declared_tables, open_engine
from cja_pipeline.tables import TABLES, Table
from cja_pipeline.warehouse import Warehouse

MONEY_SLACK = 0.005  # SQLite keeps money as floating point


@dataclass
class Agreement:
    """What was compared, and every difference in words. `orders` and `net_revenue` are those published."""

    tables: int = 0
    totals: int = 0
    orders: int = 0
    net_revenue: float = 0.0
    differences: list[str] = field(default_factory=list)


def compare_published(warehouse: Warehouse, url: str) -> Agreement:
    """Compare rows and money of every published table with the warehouse, by a connection of its own."""
    found = Agreement()
    published = TABLES.published()
    targets = declared_tables(published)
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            for name, table in published.items():
                if warehouse.exists(table.full_name):
                    _compare(warehouse, connection, targets[name], table, found)
    finally:
        engine.dispose()
    return found


def _compare(
    warehouse: Warehouse, connection: sa.Connection, target: sa.Table, table: Table, found: Agreement
) -> None:
    money = [
        name for name, column in table.columns.items() if column.type.startswith("DECIMAL") and not column.pii
    ]
    sums = "".join(f', coalesce(sum("{name}"), 0)' for name in money)
    known = warehouse.sql(f"SELECT count(*){sums} FROM {table.full_name}").fetchall()[0]
    query = sa.select(
        sa.func.count(), *(sa.func.coalesce(sa.func.sum(target.c[name]), 0) for name in money)
    ).select_from(target)
    seen = connection.execute(query).one()
    found.tables, found.totals = found.tables + 1, found.totals + len(money)
    if seen[0] != known[0]:
        found.differences.append(f"{target.name}: {seen[0]} rows published, {known[0]} in the warehouse")
    for name, published, kept in zip(money, seen[1:], known[1:], strict=True):
        if abs(float(published) - float(kept)) > MONEY_SLACK + 1e-9 * abs(float(kept)):
            found.differences.append(
                f"{target.name}.{name}: {float(published):.2f} published, {float(kept):.2f} kept"
            )
    if table.full_name == "customers.orders":
        found.orders, found.net_revenue = int(seen[0]), float(seen[1 + money.index("net_revenue")])
