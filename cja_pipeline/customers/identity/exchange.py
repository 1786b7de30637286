"""Rows between the warehouse and Python, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


def arrow(wh: Warehouse, select: str) -> pa.Table:
    """The result of a query; without rows it still has a piece of each column, which Spark needs."""
    found = wh.connection.sql(select).to_arrow_table()
    return found if found.num_rows else found.schema.empty_table()


def fill(
    wh: Warehouse,
    name: str,
    rows: pa.Table,
    keyed: str = "",
    pads: Sequence[bytes] = (),
    *,
    more: bool = False,
) -> None:
    """Make the temporary table `name` of rows, or add them to it.

    Args:
        keyed: more columns, as SQL on those there are. pads: its parameters. more: add to the table.
    """
    make = f"INSERT INTO {name}" if more else f"CREATE OR REPLACE TEMP TABLE {name} AS"
    wh.connection.register("given_rows", rows)
    try:
        wh.execute(f"{make} SELECT *{keyed} FROM given_rows", list(pads))
    finally:
        wh.connection.unregister("given_rows")


def text_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pa.Table:
    """Rows of texts as columns."""
    import pyarrow as pa

    found: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    return pa.table(
        {name: pa.array(values, pa.string()) for name, values in zip(columns, found, strict=True)}
    )
