"""5_journey_maps: what people act on."""

import base64
from typing import TYPE_CHECKING

import dagster as dg

from cja_pipeline.orchestration.rooms import Report, keep_own, room_asset
from cja_pipeline.orchestration.schedules import fresh_by_six
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from cja_pipeline.quality.published import Agreement

GROUP = "5_journey_maps"
PUBLISHED_CHECKS = {
    "published_agrees": "The serving database, read back, has the rows and money of the warehouse. "
    "When red: do not use the published tables named; publish again with cja doctor --fix."
}


def journey_map_assets() -> list[dg.AssetsDefinition]:
    """The scorecard, the map with its page, and the tables a BI tool reads."""

    def drawn(  # type: ignore[no-untyped-def]
        *tables: str,
        deps: list[str],
        kinds: frozenset[str],
        show_columns: bool = True,
        own_checks: dict[str, str] | None = None,
    ):
        return room_asset(
            GROUP,
            show_columns=show_columns,
            tables=[f"journey_maps.{table}" for table in tables],
            deps=deps,
            kinds=set(kinds),
            owner="team:customer-experience",
            fresh=fresh_by_six(),
            own_checks=own_checks,
        )

    @drawn("scorecard", deps=["findings"], kinds=frozenset({"duckdb", "dashboard"}), show_columns=False)
    def scorecard(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The numbers the leadership meeting looks at."""
        from cja_pipeline.journey_maps.scorecard import build_scorecard, scorecard_markdown

        table = build_scorecard(warehouse)
        return Report(metadata={"scorecard": dg.MetadataValue.md(scorecard_markdown(table))})

    @drawn("journey_map", deps=["findings"], kinds=frozenset({"python", "report"}), show_columns=False)
    def journey_map(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The page: where customers go, stop, and why."""
        from cja_pipeline.journey_maps.report import build_report

        settings = get_settings()
        report = build_report(warehouse, settings.reports_dir)
        picture = base64.b64encode(report.preview).decode()
        base = settings.report_base_url or "/reports"
        return Report(
            metadata={
                "page": dg.MetadataValue.url(f"{base.rstrip('/')}/latest/journey_map.html"),
                "page_file": dg.MetadataValue.path(str(report.latest)),
                "preview": dg.MetadataValue.md(f"![Journey map](data:image/png;base64,{picture})"),
                "headline": report.headline,
                "page_kilobytes": report.kilobytes,
            }
        )

    @drawn(
        "customers",
        deps=["journey_map", "scorecard"],
        kinds=frozenset({"sqlite", "table"}),
        own_checks=PUBLISHED_CHECKS,
    )
    def published(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The tables that a BI tool reads, replaced as a whole.

        They are read back and compared; then the quality page is drawn: may the numbers be trusted.
        """
        from cja_pipeline.journey_maps.publication import CUSTOMERS, publish_tonight
        from cja_pipeline.keyed import build_keyed
        from cja_pipeline.quality.published import compare_published
        from cja_pipeline.quality.report import write_quality_page

        build_keyed(warehouse, CUSTOMERS)
        settings = get_settings()
        rows = publish_tonight(warehouse, settings)
        found = compare_published(warehouse, settings.published_url)
        agreement = _agreement(found)
        keep_own(warehouse, "published", context.run.run_id, PUBLISHED_CHECKS, [agreement])
        quality = write_quality_page(warehouse, settings, found)
        base = (settings.report_base_url or "/reports").rstrip("/")
        return Report(
            metadata={
                "quality_page": dg.MetadataValue.url(f"{base}/latest/quality.html"),
                "verdict": quality.verdict,
                "checks_failed": quality.failed,
                "checks_warned": quality.warned,
                **{f"rows_{name}": count for name, count in rows.items()},
            },
            checks=[agreement],
        )

    @drawn(
        deps=["published"],
        kinds=frozenset({"python", "report"}),
        own_checks={"nothing_left": "After an erasure no file and no table names the person."},
    )
    def privacy(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """What is held about people, for how long, and who left.

        Draws the record of processing, enforces limits of age, and finishes erasures with a certificate.
        """
        from cja_pipeline.privacy.night import finish_night

        found = finish_night(get_settings(), warehouse)
        base = (get_settings().report_base_url or "/reports").rstrip("/")
        return Report(
            rows=found.erased,
            metadata={
                "record_of_processing": dg.MetadataValue.url(f"{base}/latest/processing.html"),
                "erasures_finished": found.erased,
                "places_with_residue": found.residue,
            },
            checks=[
                dg.AssetCheckResult(
                    check_name="nothing_left",
                    passed=found.residue == 0,
                    metadata={"places_with_residue": found.residue},
                )
            ],
        )

    return [scorecard, journey_map, published, privacy]


def _agreement(found: "Agreement") -> dg.AssetCheckResult:
    """Whether the serving database holds what the warehouse holds, as read back after publishing."""
    return dg.AssetCheckResult(
        check_name="published_agrees",
        passed=not found.differences,
        metadata={
            "tables_compared": found.tables,
            "totals_compared": found.totals,
            "differences": "; ".join(found.differences) or "none",
        },
    )
