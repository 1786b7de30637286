"""Hand-made validated tables: one line of a test per row, every column not named is null."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cja_pipeline.customers.config import config_tables
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

SECRET = b"test key"
AS_OF = dt.datetime(2026, 11, 21, 3)  # noqa: DTZ001
CHANGELOGS = {
    "contacts": "contact_id",
    "crm_orders": "crm_order_id",
    "tickets": "ticket_id",
    "surveys": "submission_id",
}
SOURCES = ("web_events", "email_events", "ad_insights", "social_posts", "social_comments", *CHANGELOGS)
DEFAULTS: dict[str, dict[str, Any]] = {
    "web_events": {"event_name": "page_view", "visitor_id": "v1", "page_path": "/"},
    "contacts": {"archived": False, "updated_at": "2026-11-01"},
    "crm_orders": {
        "archived": False,
        "is_test": False,
        "is_canceled": False,
        "updated_at": "2026-11-01",
        "currency": "EUR",
        "discount": 0,
        "refund": 0,
        "sales_channel": "web",
    },
    "tickets": {"archived": False, "updated_at": "2026-11-01"},
    "surveys": {"updated_at": "2026-11-01"},
}


def warehouse(**tables: Iterable[Mapping[str, Any]]) -> Warehouse:
    """A warehouse in memory with these validated rows and the configuration tables."""
    wh = Warehouse(":memory:")
    for name in SOURCES:
        put(wh, name, tables.get(name, ()))
    for name, key in CHANGELOGS.items():
        wh.execute(
            f"CREATE OR REPLACE VIEW validated.{name}_current AS SELECT * FROM validated.{name} "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY updated_at DESC, _landed_at DESC) = 1"
        )
    config_tables(wh, AS_OF)
    return wh


def put(wh: Warehouse, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a validated table by these rows; events get a number as id if they have none."""
    table = TABLES[f"validated.{name}"]
    full = [{**DEFAULTS.get(name, {}), **row} for row in rows]
    if "event_id" in table.columns:
        full = [{"event_id": f"e{number:06d}", **row} for number, row in enumerate(full)]
    frame = pd.DataFrame(full, columns=list(table.columns), dtype=object)
    wh.write(table.full_name, frame)


def at(text: str, month: int = 11) -> dt.datetime:
    """``12 23:50`` or ``12 23:50:01`` on that day of a month of 2026 (UTC), November unless said."""
    day, clock = text.split()
    parts = [int(part) for part in clock.split(":")]
    return dt.datetime(2026, month, int(day), *parts)  # noqa: DTZ001  warehouse times are naive UTC
