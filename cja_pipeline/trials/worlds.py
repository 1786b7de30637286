"""Simulated shops for trials: from a seed to the customer view and the KPIs, in one warehouse file each."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cja_pipeline.config import shop
from cja_pipeline.warehouse import Warehouse

START = dt.date(2026, 3, 2)  # a Monday
TABLES = (
    "web_events",
    "contacts",
    "crm_orders",
    "tickets",
    "surveys",
    "email_events",
    "ad_insights",
    "social_posts",
    "social_comments",
)


def build_shop(
    folder: Path, *, customers: int, seed: int, days: int = 90, quiet: bool = False, findings: bool = True
) -> Path:
    """Simulate a shop in `folder`, run it through the rooms, return the warehouse file; the truth is kept in
    ``world/truth``.

    `quiet` leaves out incidents and effects. Without `findings` only customer value is added to the customer
    view. The vendors' files are deleted at the end.
    """
    import shutil

    from cja_pipeline.customers.build import build_all
    from cja_pipeline.kpis.attribution import build_attribution
    from cja_pipeline.kpis.findings import build_findings
    from cja_pipeline.kpis.journeys import build_cohorts, build_funnel, build_paths
    from cja_pipeline.kpis.kpi_values import build_kpi_values
    from cja_pipeline.kpis.value import build_customer_value
    from cja_pipeline.simulator.build import build_world
    from cja_pipeline.simulator.config import quiet_config, world_config
    from cja_pipeline.validated.load import load

    world, landing = folder / "world", folder / "landing"
    build_world(
        world,
        customers=customers,
        days=days,
        seed=seed,
        start=START,
        time_zone=shop().time_zone,
        currency=shop().currency,
        config=quiet_config(world_config()) if quiet else world_config(),
    )
    land(world, START, START + dt.timedelta(days=days - 1), landing)
    path = folder / "warehouse.duckdb"
    with Warehouse(path) as wh:
        for table in TABLES:
            load(wh, table, landing, None, "trial")
        build_all(wh, b"key of the trials")
        build_customer_value(wh)
        if findings:
            for build in (build_kpi_values, build_funnel, build_paths, build_cohorts, build_attribution):
                build(wh)
            build_findings(wh)
    shutil.rmtree(landing)
    shutil.rmtree(world / "ga4")
    return path


def land(world: Path, first: dt.date, last: dt.date, landing: Path) -> dt.datetime:
    """Pull these days from all vendors of a simulated world; returns the logical time of the pull."""
    from cja_pipeline.orchestration.partitions import as_of
    from cja_pipeline.sources import pull
    from cja_pipeline.sources.registry import load_sources
    from cja_pipeline.sources.window import Window

    window = Window(first, last)
    moment = as_of(window)
    for source in load_sources().values():
        pull(source, window, moment, landing, world=world)
    return moment
