"""3_customer_view: one customer, one event log."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cja_pipeline.orchestration.rooms import Report, room_asset
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

GROUP = "3_customer_view"


def customer_assets() -> list[dg.AssetsDefinition]:
    """Identity first, then what each customer did, then who the customer is.

    `deps` name the nearest assets upstream; what those read in turn is implied. The lineage stays complete
    and fits one screen.
    """

    def view(*tables: str, deps: list[str], kinds: frozenset[str] = frozenset({"duckdb", "sql"})):  # type: ignore[no-untyped-def]
        return room_asset(
            GROUP,
            tables=[f"customers.{table}" for table in tables],
            deps=deps,
            kinds=set(kinds),
            owner="team:customer-data",
        )

    @view(
        "customer_identifiers",
        "identity_links",
        "visitor_map",
        "identity_log",
        "identity_quality",
        "identity_evidence",
        deps=["web_events", "contacts", "crm_orders", "email_events", "service", "social_activity"],
        kinds=frozenset({"duckdb", "python"}),
    )
    def identity(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Which cookies, logins and addresses are one person.

        Every pair of like records is scored; a CRM key or a login decides alone; devices never merge people.
        """
        from cja_pipeline.customers.config import config_tables
        from cja_pipeline.customers.identity import resolve_warehouse
        from cja_pipeline.customers.identity.nightly import measure_identity
        from cja_pipeline.customers.identity.truth import truth_folder
        from cja_pipeline.privacy.rotate import check_key

        settings = get_settings()
        check_key(settings)
        config_tables(warehouse)
        told = resolve_warehouse(warehouse, settings.hmac_key(), home=settings.home)
        warehouse.build("customers.identity_evidence")
        measured = measure_identity(warehouse, settings.home / "identity", truth_folder(settings.world_dir))
        return Report(metadata={**told, **measured})

    @view("sessions", deps=["identity"])
    def sessions(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Visits to the website, with the channel that brought them."""
        from cja_pipeline.customers.build import build_sessions

        build_sessions(warehouse)
        return Report()

    @view("orders", deps=["sessions"])
    def orders(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Orders of each customer, web, store and phone."""
        from cja_pipeline.customers.build import build_orders
        from cja_pipeline.quality.waterfall import build_waterfall

        with _books(context, warehouse, "customers.orders"):
            build_orders(warehouse)
            build_waterfall(warehouse)
        return Report()

    @view(
        "feedback",
        deps=["identity"],
        kinds=frozenset({"duckdb", "python"}),
    )
    def feedback(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What customers say, with topic and sentiment."""
        from cja_pipeline.customers.feedback import build_feedback

        build_feedback(warehouse)
        return Report()

    @view("media", deps=["identity"])
    def media(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What we showed, sent and spent, per campaign and day."""
        with _books(context, warehouse, "customers.media"):
            warehouse.build("customers.media")
        return Report()

    @view("touchpoints", deps=["orders", "feedback"])
    def touchpoints(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The one event log: every contact with a customer."""
        from cja_pipeline.customers.build import build_touchpoints

        with _books(context, warehouse, "customers.touchpoints"):
            build_touchpoints(warehouse)
        return Report()

    @view("stage_spells", deps=["touchpoints"])
    def stage_spells(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """When each customer was in which journey stage."""
        from cja_pipeline.customers.build import build_stages

        build_stages(warehouse)
        return Report()

    @view("customers", "golden_values", "silo_report", deps=["stage_spells"])
    def customers(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """One row per customer: the golden record."""
        from cja_pipeline.customers.build import build_customers

        with _books(context, warehouse, "customers.customers"):
            return Report(metadata=build_customers(warehouse))

    @room_asset(
        GROUP,
        tables=["kpis.customer_value"],
        deps=["customers"],
        kinds={"duckdb", "python"},
        owner="team:analytics",
    )
    def customer_value(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What each customer is worth, and who may leave.

        Recency, frequency and spending groups for every buyer; expected value of 12 months with its interval
        where history suffices.
        """
        from cja_pipeline.kpis.value import build_customer_value

        return Report(metadata=build_customer_value(warehouse))

    return [identity, sessions, orders, feedback, media, touchpoints, stage_spells, customers, customer_value]


@contextmanager
def _books(context: dg.AssetExecutionContext, warehouse: Warehouse, table: str) -> Iterator[None]:
    """One transaction for a table and the ledger of the rows that went into it."""
    from cja_pipeline.quality.hops import close_books

    with warehouse.transaction():
        yield
        close_books(warehouse, table, context.run.run_id)
