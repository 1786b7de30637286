"""2_validated: typed rows that passed their rules; the others are in quarantine with a reason."""

import dagster as dg

from cja_pipeline.orchestration.partitions import window_of
from cja_pipeline.orchestration.rooms import Report, room_asset
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

GROUP = "2_validated"


def validated_assets() -> list[dg.AssetsDefinition]:
    """One asset per kind of record; small tables of one kind share an asset."""

    def validated(source: str, *tables: str):  # type: ignore[no-untyped-def]
        return room_asset(
            GROUP,
            tables=[f"validated.{table}" for table in tables],
            deps=[source],
            kinds={"duckdb", "greatexpectations"},
            owner="team:data-eng",
            by_day=True,
        )

    @validated("web_analytics", "web_events")
    def web_events(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What visitors did on the website, checked."""
        return _load(context, warehouse, "web_events")

    @validated("crm", "contacts")
    def contacts(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """People the CRM knows, every version."""
        return _load(context, warehouse, "contacts")

    @validated("crm", "crm_orders")
    def crm_orders(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Orders from web, store and phone, every version."""
        return _load(context, warehouse, "crm_orders")

    @validated("crm", "tickets", "surveys")
    def service(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What customers asked the service and answered in surveys."""
        return _load(context, warehouse, "tickets", "surveys")

    @validated("email", "email_events")
    def email_events(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What happened to each e-mail we sent."""
        return _load(context, warehouse, "email_events")

    @validated("social", "social_posts", "social_comments", "ad_insights")
    def social_activity(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Our adverts and posts, and what people replied."""
        return _load(context, warehouse, "social_posts", "social_comments", "ad_insights")

    return [web_events, contacts, crm_orders, service, email_events, social_activity]


def _load(context: dg.AssetExecutionContext, warehouse: Warehouse, *tables: str) -> Report:
    from cja_pipeline.privacy.retention import expire
    from cja_pipeline.validated.load import load

    settings = get_settings()
    days = window_of(context).days()
    expired, loads = 0, []
    for table in (f"validated.{table}" for table in tables):
        expired += expire(warehouse, table, settings.landing_dir)
        loads.append(load(warehouse, table, settings.landing_dir, days, context.run.run_id))
    return Report(
        metadata={
            "offered": sum(one.offered for one in loads),
            "valid": sum(one.valid for one in loads),
            "quarantined": sum(one.quarantined for one in loads),
            "duplicates": sum(one.duplicate for one in loads),
            "days_loaded": max(len(one.days) for one in loads),
            "expired": expired,
        }
    )
