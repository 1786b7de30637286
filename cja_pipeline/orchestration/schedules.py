"""The night: 04:00 in the shop's time zone, clear of both clock changes, on by default."""

import datetime as dt
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from cja_pipeline.config import shop
from cja_pipeline.orchestration.jobs import AssetJob

if TYPE_CHECKING:  # what Dagster returns for a job whose partitions are not resolved yet
    from dagster._core.definitions.partitions.partitioned_schedule import (
        UnresolvedPartitionedAssetScheduleDefinition,
    )

Schedule: TypeAlias = "UnresolvedPartitionedAssetScheduleDefinition | dg.ScheduleDefinition"
NIGHT_HOUR = 4


def nightly_schedule(job: AssetJob) -> Schedule:
    """Runs the day that ended, every night; the zone comes from the partitions definition."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name="nightly",
        description="Every night at 04:00 in the shop's time zone, for the business day that ended.",
        hour_of_day=NIGHT_HOUR,
        minute_of_hour=0,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def fresh_by_six() -> dg.FreshnessPolicy:
    """What people read must have been made anew between midnight and 06:00 of the shop's day."""
    return dg.FreshnessPolicy.cron(
        deadline_cron="0 6 * * *", lower_bound_delta=dt.timedelta(hours=6), timezone=shop().time_zone
    )
