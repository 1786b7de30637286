"""4_kpis: the journey measured."""

import dagster as dg

from cja_pipeline.orchestration.rooms import Report, room_asset
from cja_pipeline.warehouse import Warehouse

GROUP = "4_kpis"


def kpi_assets() -> list[dg.AssetsDefinition]:
    """KPIs, journeys and credit from the customer view, then what they show together."""

    def measured(*tables: str, deps: list[str], own_checks: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
        return room_asset(
            GROUP,
            tables=[f"kpis.{table}" for table in tables],
            deps=deps,
            kinds={"duckdb", "python"},
            owner="team:analytics",
            own_checks=own_checks,
        )

    @measured("kpi_values", "restatements", deps=["customer_value", "media"])
    def kpi_values(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Every KPI by day, week and month; why past ones changed."""
        from cja_pipeline.kpis.kpi_values import build_kpi_values, headline_numbers

        build_kpi_values(warehouse)
        return Report(metadata=headline_numbers(warehouse))

    @measured("funnel", deps=["customers"])
    def funnel(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """How many customers reach each step, and how many stop."""
        from cja_pipeline.kpis.journey_build import build_funnel

        return Report(metadata=build_funnel(warehouse))

    @measured("paths", "transitions", "durations", deps=["customers"])
    def paths(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The ways customers take, and how long each part lasts."""
        from cja_pipeline.kpis.journey_build import build_paths

        return Report(metadata=build_paths(warehouse))

    @measured("cohorts", deps=["customers"])
    def cohorts(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Do new buyers come back, month by month."""
        from cja_pipeline.kpis.journey_build import build_cohorts

        return Report(metadata=build_cohorts(warehouse))

    @measured(
        "customer_segments",
        "segment_summary",
        "audiences",
        "audience_summary",
        deps=["customer_value"],
    )
    def segments(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Groups of customers, their worth, whom we may write to."""
        from cja_pipeline.kpis.groups import build_groups

        return Report(metadata=build_groups(warehouse))

    @measured("attribution", "attribution_total", deps=["customer_value", "media"])
    def attribution(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Which channel deserves the credit, by ten models."""
        from cja_pipeline.kpis.attribution import build_attribution

        return Report(metadata=build_attribution(warehouse))

    @measured(
        "friction",
        "anomalies",
        "insights",
        "experiments",
        deps=["kpi_values", "funnel", "paths", "segments", "attribution", "cohorts"],
        own_checks={
            "numbers_agree": "Funnel, paths, attribution and KPIs count the same orders, buyers and revenue. "
            "When red: do not trust the map; see which pair differs in the metadata."
        },
    )
    def findings(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What hurts, what changed, what goes with buying."""
        from cja_pipeline.kpis.findings import build_findings
        from cja_pipeline.kpis.reconcile import reconcile

        metadata = build_findings(warehouse)
        results = reconcile(warehouse)
        broken = [
            f"{r['check_id']}: {r['observed']} instead of {r['expected']}" for r in results if not r["passed"]
        ]
        return Report(
            metadata=metadata,
            checks=[
                dg.AssetCheckResult(
                    check_name="numbers_agree",
                    passed=not broken,
                    metadata={"compared": len(results), "differences": "; ".join(broken) or "none"},
                )
            ],
        )

    return [kpi_values, funnel, paths, cohorts, segments, attribution, findings]
