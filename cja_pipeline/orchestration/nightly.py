"""Run the nightly job from a terminal, into the same run history that the Dagster UI shows."""

import datetime as dt
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from cja_pipeline.alerts import after_run
from cja_pipeline.orchestration.jobs import NIGHTLY
from cja_pipeline.orchestration.run_history import (
    RunHistoryError,
    away,
    dagster_home,
    database_error,
    run_history,
)

progress = logging.getLogger("cja_pipeline.progress")
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def run_nights(start: dt.date, end: dt.date, *, reason: str = "terminal", job: str = NIGHTLY) -> bool:
    """Run a job (the nightly one) for the business days `start` to `end` in one run; True if it succeeded.

    Progress goes to the logger ``cja_pipeline.progress``; everything else to Dagster's event log.
    """
    dagster_home()
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    from cja_pipeline.definitions import build_definitions

    definition = build_definitions().resolve_job_def(job)
    run_id = str(uuid.uuid4())
    try:
        with run_history() as instance, _cancelled_if_stopped(instance, run_id):
            result = definition.execute_in_process(
                instance=instance,
                run_id=run_id,
                tags={
                    RANGE_START: start.isoformat(),
                    RANGE_END: end.isoformat(),
                    "started_by": reason,
                },
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
            failed = result.filter_events(lambda event: event.is_step_failure)
            if any(_was_stopped(event.step_failure_data.error) for event in failed):
                raise KeyboardInterrupt
    except RunHistoryError as error:
        progress.error(error.message)
        return False
    except Exception as error:
        if (refused := database_error(error)) is None:
            raise
        progress.error(away(refused))
        return False
    for event in failed:
        progress.error("%s failed: %s", event.step_key, _cause(event.step_failure_data.error, "unknown"))
    if not (failed or result.success):  # it did not come as far as a step
        for event in result.filter_events(lambda event: event.event_type == dg.DagsterEventType.RUN_FAILURE):
            progress.error(
                "The run failed: %s", _cause(event.job_failure_data.error, event.message or "unknown")
            )
    if job == NIGHTLY:
        after_run(job, run_id, None if result.success else [str(event.step_key) for event in failed])
    return result.success


def _was_stopped(error: Any) -> bool:
    """Whether a step failed because a person or a supervisor stopped the run."""
    names = {one.cls_name for one in (error, error.cause) if one is not None} if error is not None else set()
    return bool(names & {"KeyboardInterrupt", dg.DagsterExecutionInterruptedError.__name__})


def _cause(error: Any, otherwise: str) -> str:
    """What went wrong inside of Dagster's wrapping, in its own words."""
    told = (error.cause or error) if error is not None else None
    words, advice, _ = (told.message if told else otherwise).strip().partition("\n\nPossible solutions:")
    return f"{words}\nMore memory for the warehouse: CJA_MEMORY_LIMIT" if advice else words


@contextmanager
def _cancelled_if_stopped(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Note in the run history that a person or a supervisor stopped the run, so that nothing waits for it."""
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "Stopped by Ctrl-C or SIGTERM.")
        progress.error("Stopped. What is committed is whole; the same command goes on from there.")
        raise KeyboardInterrupt from None
