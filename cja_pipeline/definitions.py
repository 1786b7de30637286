"""Everything Dagster loads: the five rooms, the nightly job, its schedule and its sensors. Assembly only."""

import os

import dagster as dg

from cja_pipeline.customers.assets import customer_assets
from cja_pipeline.journey_maps.assets import journey_map_assets
from cja_pipeline.kpis.assets import kpi_assets
from cja_pipeline.orchestration.jobs import nightly_job, rebuild_job
from cja_pipeline.orchestration.resources import Store
from cja_pipeline.orchestration.schedules import nightly_schedule
from cja_pipeline.orchestration.sensors import alert_sensor, failure_sensor, gap_sensor
from cja_pipeline.settings import PRIVATE
from cja_pipeline.sources.assets import source_assets
from cja_pipeline.validated.assets import validated_assets


def build_definitions(**resources: object) -> dg.Definitions:
    """The whole pipeline; `resources` replace the shipped ones by name (for tests)."""
    os.umask(PRIVATE)  # whoever loads it (a daemon, a worker) writes files for its owner only
    job = nightly_job()
    return dg.Definitions(
        assets=[
            *source_assets(),
            *validated_assets(),
            *customer_assets(),
            *kpi_assets(),
            *journey_map_assets(),
        ],
        jobs=[job, rebuild_job()],
        schedules=[nightly_schedule(job)],
        sensors=[gap_sensor(job, anchor="web_events"), failure_sensor(), alert_sensor()],
        resources={"store": Store(), **resources},
        # 20 trivial steps: 14 s in one process, 245 s with a process each
        executor=dg.in_process_executor,
    )


defs = build_definitions()
