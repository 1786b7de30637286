"""The steps of the customer room in order; each brings its tables up to date and may run again at any time.

Small tables are made anew every night, the large ones key by key (`inputs`).
"""

from __future__ import annotations

import datetime as dt

from cja_pipeline.customers.channels import build_channel_map
from cja_pipeline.customers.config import config_tables
from cja_pipeline.customers.feedback import build_feedback
from cja_pipeline.customers.golden import write_rules
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline.customers.identity.nightly import measure_view
from cja_pipeline.customers.inputs import (
    CUSTOMERS,
    GOLDEN_VALUES,
    STAGE_SPELLS,
    TOUCHPOINTS,
    VISITS,
    WEB_ACTIVITY,
)
from cja_pipeline.keyed import build_keyed
from cja_pipeline.warehouse import Warehouse


def build_sessions(wh: Warehouse) -> int:
    """Visits and their channels (web_activity, channel_map, sessions) and what has no consent; returns the
    visits."""
    wh.build("customers.consent_spells")
    build_keyed(wh, WEB_ACTIVITY)
    wh.build("customers.consent_denied")
    wh.build("customers.consent_excluded")
    build_channel_map(wh)
    if wh.exists("validated.crm_orders_current"):
        wh.build("customers.orders_excluded")
    # visits can be built without a CRM: nothing is known as a test then
    wh.ensure("customers.orders_excluded")
    return build_keyed(wh, VISITS)


def build_orders(wh: Warehouse) -> int:
    """Orders that count, and those that do not (orders_excluded); needs the sessions' step."""
    wh.build("customers.orders_excluded")
    return wh.build("customers.orders")


def build_touchpoints(wh: Warehouse) -> int:
    """The one event log, with who brought whom; needs orders and feedback."""
    wh.build("customers.referrals")
    return build_keyed(wh, TOUCHPOINTS)


def build_stages(wh: Warehouse) -> int:
    """When each customer was in which stage; needs the touchpoints."""
    return build_keyed(wh, STAGE_SPELLS)


def build_customers(wh: Warehouse) -> dict[str, float]:
    """The golden record with the values that lost, the customers, and how far the silos have fallen.

    Returns:
        What identity did for the view, for the run's report.
    """
    write_rules(wh)
    build_keyed(wh, GOLDEN_VALUES)
    wh.build("customers.invited")
    build_keyed(wh, CUSTOMERS)
    wh.build("customers.silo_report")
    return measure_view(wh)


def build_all(wh: Warehouse, secret: bytes, as_of: dt.datetime | None = None) -> dict[str, int]:
    """Everything from the validated tables to the customers; returns rows per table.

    Args:
        secret: key of the pseudonyms. as_of: the moment the data are complete to (UTC).
    """
    config_tables(wh, as_of)
    resolve_warehouse(wh, secret)
    wh.build("customers.identity_evidence")
    rows = {"sessions": build_sessions(wh), "orders": build_orders(wh), "feedback": build_feedback(wh)}
    rows |= {"media": wh.build("customers.media"), "touchpoints": build_touchpoints(wh)}
    rows["stage_spells"] = build_stages(wh)
    build_customers(wh)
    return rows | {"customers": wh.count("customers.customers")}
