"""Everything Dagster loads: the five rooms, the nightly job, its schedule and its sensors. Assembly only."""

import datetime as dt

import dagster as dg

from cja_pipeline.config import shop
from cja_pipeline.customers.assets import customer_assets
from cja_pipeline.journey_maps.assets import journey_map_assets
from cja_pipeline.kpis.assets import kpi_assets
from cja_pipeline.orchestration.jobs import nightly_job
from cja_pipeline.orchestration.resources import Store
from cja_pipeline.orchestration.schedules import nightly_schedule
from cja_pipeline.orchestration.sensors import failure_sensor, gap_sensor
from cja_pipeline.sources.assets import source_assets
from cja_pipeline.validated.assets import validated_assets


def build_definitions(**resources: object) -> dg.Definitions:
    """The whole pipeline; `resources` replace the shipped ones by name (for tests)."""
    job = nightly_job()
    definitions = dg.Definitions(
        assets=[
            *source_assets(),
            *validated_assets(),
            *customer_assets(),
            *kpi_assets(),
            *journey_map_assets(),
        ],
        jobs=[job],
        schedules=[nightly_schedule(job)],
        sensors=[gap_sensor(job, anchor="web_events"), failure_sensor()],
        resources={"store": Store(), **resources},
        # 20 trivial steps: 14 s in one process, 245 s with a process each
        executor=dg.in_process_executor,
    )
    fresh_by_six = dg.FreshnessPolicy.cron(
        deadline_cron="0 6 * * *", lower_bound_delta=dt.timedelta(hours=6), timezone=shop().time_zone
    )
    return definitions.map_resolved_asset_specs(
        func=lambda spec: dg.apply_freshness_policy(spec, fresh_by_six),
        selection=dg.AssetSelection.groups("5_journey_maps"),
    )


defs = build_definitions()
