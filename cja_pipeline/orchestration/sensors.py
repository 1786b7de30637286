"""What watches over the night: missed days are requested again, failures are told."""

import datetime as dt
import logging

import dagster as dg

from cja_pipeline.orchestration.jobs import NIGHTLY, AssetJob
from cja_pipeline.orchestration.partitions import daily

LOOK_BACK_DAYS = 14
log = logging.getLogger("cja_pipeline.night")


def missed_days(instance: dg.DagsterInstance, now: dt.datetime, anchor: dg.AssetKey) -> list[str]:
    """Business days of the last two weeks that are complete since 04:00 but were never published.

    Only days after the first published one count: history before it is backfilled on purpose, not by a
    sensor. Schedules catch up at most five ticks, so a longer outage needs this.
    """
    partitions = daily()
    complete = [
        key
        for key in partitions.get_partition_keys(current_time=now)
        if partitions.time_window_for_partition_key(key).end + dt.timedelta(hours=5) <= now
    ]
    done = instance.get_materialized_partitions(anchor)
    if not done:
        return []
    return [key for key in complete[-LOOK_BACK_DAYS:] if key not in done and key > min(done)]


def gap_sensor(job: AssetJob, anchor: str) -> dg.SensorDefinition:
    """Requests each missed day, and again the next day if that failed, because an outage may last.

    `anchor` is the partitioned asset that tells which days are done.
    """

    @dg.sensor(
        name="missed_days",
        job=job,
        minimum_interval_seconds=900,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests business days that no night has brought in, oldest first, each once a day.",
    )
    def sensor(context: dg.SensorEvaluationContext):  # type: ignore[no-untyped-def]
        now = dt.datetime.now(dt.UTC)
        missing = missed_days(context.instance, now, dg.AssetKey(anchor))
        if not missing:
            return dg.SkipReason("No business day is missing.")
        return [
            dg.RunRequest(
                run_key=f"missed-{day}-asked-{now:%Y-%m-%d}", partition_key=day, tags={"reason": "missed day"}
            )
            for day in missing
        ]

    return sensor


def alert_sensor() -> dg.SensorDefinition:
    """Tells the channels of the settings how the newest night ended, what its data say, or that none came."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells webhook and e-mail of failures, late data, blocking checks and odd figures, once.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from cja_pipeline.alerts import BusyError, after_run, check_publication

        told = check_publication()
        ended = dg.RunsFilter(
            job_name=NIGHTLY, statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
        )
        for run in context.instance.get_runs(ended, limit=1):
            if run.run_id != context.cursor:
                steps = None if run.is_success else failed_steps(context.instance, run.run_id)
                try:
                    told += after_run(NIGHTLY, run.run_id, steps)
                    context.update_cursor(run.run_id)
                except BusyError as error:
                    return dg.SkipReason(f"Looked at the run; {error}, the data are looked at next time.")
        return dg.SkipReason(f"{len(told)} alerts told.")

    return sensor


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Names of the steps of a run that failed."""
    stats = instance.get_run_step_stats(run_id)
    return sorted(step.step_key for step in stats if step.status and step.status.name == "FAILURE")


def failure_sensor() -> dg.SensorDefinition:
    """Writes one line per failed night, naming job, day and run; never data."""

    @dg.run_failure_sensor(
        name="night_failed",
        description="Tells when a night failed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        monitor_all_code_locations=False,
    )
    def sensor(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        day = run.tags.get("dagster/partition") or run.tags.get("dagster/asset_partition_range_end", "")
        log.error("%s failed for %s (run %s)", run.job_name or NIGHTLY, day, run.run_id)

    return sensor
