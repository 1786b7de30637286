"""The outputs by the pipeline's own rooms: their models and loaders, without checks and without Dagster."""

from __future__ import annotations

from pathlib import Path

from cja_pipeline.sql import literal
from cja_pipeline.trials.few_kpis import few_kpis
from cja_pipeline.trials.rivals.given import HANDED, Given
from cja_pipeline.trials.rivals.outputs import KPIS
from cja_pipeline.warehouse import Warehouse

LOADED = ("web_events", "contacts", "crm_orders", "email_events")
# not handed out and in no compared column: empty, where a model reads them
LEFT_OUT = (
    "customers.customer_identifiers",
    "customers.golden_values",
    "customers.media",
    "kpis.customer_value",
)


def build(given: Given, folder: Path) -> None:
    """Land to figures; the tables are in ``out.duckdb`` in `folder`."""
    from cja_pipeline.customers.build import build_orders, build_sessions, build_stages, build_touchpoints
    from cja_pipeline.customers.config import config_tables
    from cja_pipeline.kpis.journey_build import build_funnel, build_paths
    from cja_pipeline.kpis.kpi_values import build_kpi_values
    from cja_pipeline.validated.load import load

    with Warehouse(folder / "out.duckdb", memory_limit=given.memory, threads=given.threads) as wh:
        for table in LOADED:
            load(wh, table, given.landing, None, "rivals")
        config_tables(wh, given.observed_until)
        for table in HANDED:
            wh.replace(
                f"customers.{table}", f"FROM read_parquet({literal(str(given.handed / f'{table}.parquet'))})"
            )
        for table in LEFT_OUT:
            wh.ensure(table)
        build_sessions(wh)
        build_orders(wh)
        build_touchpoints(wh)
        build_stages(wh)
        for table in ("email_profiles", "invited", "customers"):
            wh.build(f"customers.{table}")
        build_funnel(wh)
        build_paths(wh)
        with few_kpis(folder / "config", grain="day", kpis=KPIS):
            build_kpi_values(wh)
