"""Run the nightly job from a terminal, into the same run history that the Dagster UI shows."""

import datetime as dt
import logging
import os
from importlib import resources
from pathlib import Path

import dagster as dg

from cja_pipeline.orchestration.jobs import NIGHTLY
from cja_pipeline.settings import get_settings

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def dagster_home() -> Path:
    """The folder with Dagster's run history; made with the shipped settings if `DAGSTER_HOME` names none.

    The settings are those of the project's own ``dagster.yaml`` with the home folder's place in them, so
    that `cja` and Dagster's commands share one history.
    """
    if "DAGSTER_HOME" not in os.environ:
        home = get_settings().prepare().home / "dagster"
        home.mkdir(exist_ok=True, mode=0o700)
        shipped = resources.files("cja_pipeline.orchestration")
        for name in ("dagster.yaml", "workspace.yaml"):
            text = (shipped / name).read_text(encoding="utf-8")
            (home / name).write_text(text.replace(".cja/dagster", str(home)), encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(home)
    return Path(os.environ["DAGSTER_HOME"])


def run_nights(start: dt.date, end: dt.date, *, reason: str = "terminal", job: str = NIGHTLY) -> bool:
    """Run a job (the nightly one) for the business days `start` to `end` in one run; True if it succeeded.

    Progress goes to the logger ``cja_pipeline.progress``; everything else to Dagster's event log.
    """
    dagster_home()
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    from cja_pipeline.definitions import build_definitions

    definition = build_definitions().resolve_job_def(job)
    with dg.DagsterInstance.get() as instance:
        result = definition.execute_in_process(
            instance=instance,
            tags={
                RANGE_START: start.isoformat(),
                RANGE_END: end.isoformat(),
                "started_by": reason,
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        cause = (error.cause or error) if error else None
        logging.getLogger("cja_pipeline.progress").error(
            "%s failed: %s", event.step_key, cause.message.strip() if cause else "unknown"
        )
    return result.success
