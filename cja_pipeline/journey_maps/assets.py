"""5_journey_maps: what people act on."""

import base64

import dagster as dg

from cja_pipeline.orchestration.rooms import Report, room_asset
from cja_pipeline.orchestration.schedules import fresh_by_six
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

GROUP = "5_journey_maps"


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
        own_checks={
            "published_agrees": "The serving database, read back, has the rows and money of the warehouse. "
            "When red: do not use the published tables named; publish again with cja doctor --fix."
        },
    )
    def published(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """The tables that a BI tool reads, replaced as a whole."""
        from cja_pipeline.journey_maps.publication import publish_tonight

        warehouse.build("journey_maps.customers")
        rows = publish_tonight(warehouse, get_settings())
        return Report(
            metadata={f"rows_{name}": count for name, count in rows.items()},
            checks=[_agreement(warehouse)],
        )

    @drawn(deps=["published"], kinds=frozenset({"python", "report"}))
    def data_quality(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """May the numbers be trusted: checks, rows, drift.

        The quality page, after everything is checked and published; a night that stops draws it at once.
        """
        from cja_pipeline.quality.report import write_quality_page

        settings = get_settings()
        page = write_quality_page(warehouse, settings, published=True)
        base = (settings.report_base_url or "/reports").rstrip("/")
        return Report(
            rows=page.checks,
            metadata={
                "page": dg.MetadataValue.url(f"{base}/latest/quality.html"),
                "verdict": page.verdict,
                "checks_failed": page.failed,
                "checks_warned": page.warned,
                "page_kilobytes": page.kilobytes,
            },
        )

    @drawn(
        deps=["data_quality"],
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

    return [scorecard, journey_map, published, data_quality, privacy]


def _agreement(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Whether the serving database holds what the warehouse holds, as read back after publishing."""
    from cja_pipeline.quality.published import compare_published

    found = compare_published(warehouse, get_settings().published_url)
    return dg.AssetCheckResult(
        check_name="published_agrees",
        passed=not found.differences,
        metadata={
            "tables_compared": found.tables,
            "rows_compared": found.rows,
            "totals_compared": found.totals,
            "differences": "; ".join(found.differences) or "none",
        },
    )
