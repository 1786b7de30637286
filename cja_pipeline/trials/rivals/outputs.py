"""What every contender has to deliver, and the proof that it did: the same rows in the compared columns."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from cja_pipeline.sql import literal, name

KPIS = (
    "sessions",
    "visitors",
    "bounce_rate",
    "session_duration",
    "pages_per_session",
    "product_view_rate",
    "add_to_cart_rate",
    "conversion_rate",
    "orders",
    "net_revenue",
    "gross_revenue",
    "average_order_value",
    "buyers",
    "new_customers",
)

# per output the table of the pipeline and the columns that are compared
COMPARED: Mapping[str, tuple[str, str]] = {
    "web_events": (
        "validated.web_events",
        "event_id visitor_id login_id occurred_at event_name page_path source medium campaign "
        "referrer device country order_id value currency engagement_ms session_engaged",
    ),
    "sessions": (
        "customers.sessions",
        "session_id customer_id customer_rule started_at ended_at business_date channel source "
        "medium campaign device country landing_page exit_page events page_views product_views "
        "searches carts checkouts orders order_id duration_seconds engagement_seconds engaged "
        "is_new_visitor is_bot",
    ),
    "orders": (
        "customers.orders",
        "order_id customer_id ordered_at business_date gross_revenue discount refund net_revenue "
        "is_first_order sales_channel session_id in_crm in_web web_reports",
    ),
    "touchpoints": (
        "customers.touchpoints",
        "touchpoint_id customer_id occurred_at business_date touchpoint_type channel campaign "
        "stage device session_id order_id value sequence state",
    ),
    "stage_spells": (
        "customers.stage_spells",
        "customer_id stage entered_at exited_at entry_touchpoint_id rule_id spell touchpoints",
    ),
    "customers": (
        "customers.customers",
        "customer_id is_known first_seen_at last_seen_at stage acquisition_channel sessions "
        "orders net_revenue first_order_at last_order_at touchpoints last_nps open_tickets",
    ),
    "funnel": ("kpis.funnel", "segment mode window_days step customers previous rate"),
    "transitions": ("kpis.transitions", "segment grain from_stage to_stage customers n rate"),
    "paths": ("kpis.paths", "segment outcome path journeys customers value"),
    "kpi_values": ("kpis.kpi_values", "kpi_id period_start numerator denominator"),
}


def differences(
    connection: duckdb.DuckDBPyConnection, table: str, ours: str, theirs: str
) -> tuple[int, int, int]:
    """Rows of the pipeline, those the other lacks, and those only the other has, in the compared columns.

    `ours` and `theirs` are relations (SQL). Their values are read as the types that the pipeline declares;
    fractions are compared to six significant places, all else exactly.
    """
    columns = COMPARED[table][1].split()
    kinds = {row[0]: row[1] for row in connection.sql(f"DESCRIBE SELECT * FROM {ours}").fetchall()}
    chosen = ", ".join(
        # first to the nine places that tables keep: halves of the sixth must go the same way on both sides
        f"round(round({name(c)}::DOUBLE, 9), 6) AS {name(c)}"
        if kinds[c] == "DOUBLE"
        else f"{name(c)}::{kinds[c]} AS {name(c)}"
        for c in columns
    )
    sides = [f"SELECT {chosen} FROM {side}" for side in (ours, theirs)]

    def count(query: str) -> int:
        return int(connection.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0])

    return (
        count(sides[0]),
        count(f"{sides[0]} EXCEPT ALL {sides[1]}"),
        count(f"{sides[1]} EXCEPT ALL {sides[0]}"),
    )


def of_pipeline(table: str) -> str:
    """The pipeline's rows of an output, as a relation."""
    source = COMPARED[table][0]
    if table == "kpi_values":
        kpis = ", ".join(map(literal, KPIS))
        return f"(FROM {source} WHERE grain = 'day' AND dimension = 'all' AND kpi_id IN ({kpis}))"
    return f"(FROM {source})"
