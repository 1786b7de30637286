"""1_sources: what the vendors sent, landed as received. One asset per kind of source."""

import datetime as dt
import logging
from functools import lru_cache

import dagster as dg

from cja_pipeline.orchestration.partitions import as_of, window_of
from cja_pipeline.orchestration.rooms import Report, room_asset
from cja_pipeline.settings import get_settings
from cja_pipeline.simulator.ensure import ensure_world
from cja_pipeline.sources.registry import load_sources
from cja_pipeline.sources.window import Window
from cja_pipeline.warehouse import Warehouse

progress = logging.getLogger("cja_pipeline.progress")
GROUP = "1_sources"
RETRIES = 2
RETRY_SECONDS = 20.0  # before the first further attempt, twice as long before the next


def source_assets() -> list[dg.AssetsDefinition]:
    """Web analytics, CRM, e-mail and social: pull the window, restate the trailing days, land."""

    def source(kind: str):  # type: ignore[no-untyped-def]
        return room_asset(
            GROUP,
            kinds={"python", kind},
            owner="team:data-eng",
            by_day=True,
        )

    @source("googleanalytics")
    def web_analytics(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Web events, as Google Analytics exported them.

        Each night restates the trailing days that the export still rewrites.
        """
        return _pull(context, warehouse)

    @source("hubspot")
    def crm(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Contacts, orders, tickets and survey answers.

        Every change since the last night, appended: older versions are never overwritten.
        """
        return _pull(context, warehouse)

    @source("email")
    def email(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """E-mails received, opened and clicked.

        Each night restates the trailing days, because opens and clicks trickle in.
        """
        return _pull(context, warehouse)

    @source("facebook")
    def social(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
        """Adverts, posts and comments on social media.

        Each night restates four weeks, because ad platforms keep attributing conversions.
        """
        return _pull(context, warehouse)

    return [web_analytics, crm, email, social]


def _pull(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
    """Land one source; only what may pass by itself is tried again.

    Not by a retry policy: to that, Ctrl-C and SIGTERM are failures like any other, and are tried again.
    """
    try:
        return _landed(context, warehouse)
    except Exception as error:
        if not getattr(error, "passing", False):
            raise dg.Failure(description=str(error), allow_retries=False) from error
        seconds = RETRY_SECONDS * 2**context.retry_number
        if context.retry_number < RETRIES:
            progress.info(
                "%s: %s. Trying again in %.0f s.", context.asset_key.to_user_string(), error, seconds
            )
        raise dg.RetryRequested(RETRIES, seconds) from error


def _landed(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Report:
    from cja_pipeline.privacy.suppress import read_suppression
    from cja_pipeline.privacy.vendor import note_deletions
    from cja_pipeline.sources import pull

    settings = get_settings().prepare()
    source = load_sources()[context.asset_key.to_user_string()]
    window = window_of(context)
    if source.is_mock:
        ensure_world(settings.world_dir)
    reports = pull(
        source,
        window,
        _as_of(context.run.run_id, window),
        settings.landing_dir,
        world=settings.world_dir,
        suppression=read_suppression(settings),
    )
    deleted = {key for report in reports for key in report.deleted}
    return Report(
        rows=sum(report.rows for report in reports),
        metadata={
            "from_day": window.start.isoformat(),
            "to_day": window.end.isoformat(),
            "as_of": reports[0].as_of.isoformat() if reports else None,
            "retries": sum(report.retries for report in reports),
            "rejected_rows": sum(report.rejected_rows for report in reports),
            "erasures_noted": note_deletions(settings, warehouse, deleted) if deleted else None,
            "megabytes": sum(report.bytes for report in reports) / 1e6,
            **{f"rows_{report.stream}": report.rows for report in reports},
        },
    )


@lru_cache(maxsize=1)
def _as_of(run_id: str, window: Window) -> dt.datetime:
    """The logical time of a run. What it lands does not change it: the landing is looked through once."""
    return as_of(window)
