"""Values and names as SQL text, for statements that cannot bind them. DuckDB, SQLite and PostgreSQL agree."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any


def literal(value: Any) -> str:
    """A value as a literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float, Decimal)):
        return repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def name(column: str) -> str:
    """A column or table as a quoted identifier."""
    return '"' + column.replace('"', '""') + '"'
