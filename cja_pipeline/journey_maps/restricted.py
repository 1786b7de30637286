"""The restricted schema ``pii`` of a PostgreSQL serving database: which record belongs to which customer.

Systems that write the customer id back to the CRM need it; people who read figures must not see it. It is
filled only where an administrator made the schema (``cja privacy roles``); SQLite has no roles and gets none.
"""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa

from cja_pipeline.journey_maps.publish_rows import csv_blocks
from cja_pipeline.journey_maps.publish_write import merge
from cja_pipeline.warehouse import Warehouse

SCHEMA, SOURCE = "pii", "customers.identity_links"
COLUMNS = ("record_key", "kind", "source", "customer_id")
LINKS = sa.Table(
    "identity_links",
    sa.MetaData(schema=SCHEMA),
    *(sa.Column(name, sa.Text, primary_key=name == "record_key") for name in COLUMNS),
    comment="Which customer every record of a vendor belongs to. Personal data.",
)


def roles_sql() -> str:
    """The statements that an administrator runs once."""
    return (files("cja_pipeline.journey_maps") / "roles.sql").read_text(encoding="utf-8")


def publish_restricted(connection: sa.Connection, warehouse: Warehouse) -> int | None:
    """Bring ``pii.identity_links`` to tonight's rows within the caller's transaction; returns its rows, or
    None where there is no such schema."""
    if connection.dialect.name != "postgresql" or not warehouse.exists(SOURCE):
        return None
    writable = sa.text("SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = :name")
    if not connection.execute(writable, {"name": SCHEMA}).scalar():
        return None
    LINKS.create(connection, checkfirst=True)
    merge(
        connection, LINKS, list(COLUMNS), csv_blocks(warehouse, f"SELECT {', '.join(COLUMNS)} FROM {SOURCE}")
    )
    return warehouse.count(SOURCE)
