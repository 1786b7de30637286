"""What an asset tells the UI: columns, row counts, numbers that plot themselves, links."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import dagster as dg

from cja_pipeline.tables import TABLES, Table


def column_schema(table: Table) -> dg.TableSchema:
    """The declared columns with description, nullability and ``pii`` tag, for the UI."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == [name]),
                tags={"pii": ""} if column.pii else {},
            )
            for name, column in table.columns.items()
        ]
    )


def definition_metadata(tables: list[str], *, show_columns: bool = True) -> dict[str, Any]:
    """Static metadata of an asset whose main table is the first of `tables`."""
    if not tables:
        return {}
    main = TABLES[tables[0]]
    found: dict[str, Any] = {"dagster/table_name": main.full_name, "one_row_per": main.grain}
    if show_columns:
        found["dagster/column_schema"] = column_schema(main)
    if len(tables) > 1:
        found["also_writes"] = ", ".join(tables[1:])
    return found


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata values as Python scalars; floats are rounded, numpy is unwrapped, NaN is left out.

    Dagster refuses numpy scalars, and unrounded floats make unreadable plots.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if hasattr(value, "item") and not isinstance(value, dg.MetadataValue):
            value = value.item()
        if isinstance(value, float):
            if math.isnan(value):
                continue
            value = round(value, 4)
        if value is not None:
            found[key] = value
    return found
