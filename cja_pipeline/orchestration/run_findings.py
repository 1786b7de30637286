"""What the doctor asks of Dagster: is its storage sound, are its runs alive, how did the last one end."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.doctor.store import stop_process
from cja_pipeline.night_lock import is_held, last_holder
from cja_pipeline.orchestration.jobs import REBUILD
from cja_pipeline.orchestration.resources import ATTEMPT_TAG
from cja_pipeline.orchestration.run_history import RunHistoryError, dagster_home, run_history
from cja_pipeline.settings import get_settings

STARTING_SECONDS = 180  # a run takes the night's lock within this time of being started
MARKED = "Its process died: no process holds the night's lock (found by cja doctor or cja up)."


def run_findings(place: Place) -> Iterator[Finding]:
    """Dagster's storage, runs without a process, a process without a run, and how the last night ended."""
    if not (place.settings.home / "dagster").is_dir():
        return
    try:
        storage = _storage(dagster_home())
        if storage.state == "problem":
            yield storage
            return
        with run_history() as instance:
            yield storage
            yield _dead(instance, place.settings.home)
            if (given_up := _given_up(instance, place)) is not None:
                yield given_up
            yield from _last(instance)
    except RunHistoryError as error:
        yield Finding("run_history", "problem", error.message)


def dead_runs(instance: dg.DagsterInstance, home: Path) -> list[str]:
    """Runs that Dagster believes in progress although no process works for them. They block the queue."""
    holder = last_holder(home) if is_held(home) else None
    now = dt.datetime.now(dt.UTC)
    found = []
    # those that only wait in the queue have no process and need none
    statuses = [status for status in IN_PROGRESS_RUN_STATUSES if status != dg.DagsterRunStatus.QUEUED]
    for record in instance.get_run_records(dg.RunsFilter(statuses=statuses)):
        run = record.dagster_run
        began = record.create_timestamp
        if record.start_time is not None:
            began = dt.datetime.fromtimestamp(record.start_time, dt.UTC)
        young = (now - began.astimezone(dt.UTC)).total_seconds() < STARTING_SECONDS
        if holder is not None and holder.run_id == run.run_id:
            continue
        # who has held the lock and holds it no more is dead; who never had it may be starting, or wait for it
        if ATTEMPT_TAG in run.tags or (holder is None and not young):
            found.append(run.run_id)
    return found


def fail_dead_runs(instance: dg.DagsterInstance, home: Path) -> list[str]:
    """Tell Dagster that these runs are over; its run retries then start them again."""
    found = dead_runs(instance, home)
    for run_id in found:
        if (run := instance.get_run_by_id(run_id)) is not None:
            instance.report_run_failed(run, MARKED)
    return found


def revive_queue() -> list[str]:
    """At the start of the UI: mark runs that died with the machine as failed, at once instead of after the
    time that run monitoring waits. Returns their ids."""
    with run_history() as instance:
        return fail_dead_runs(instance, get_settings().home)


def _dead(instance: dg.DagsterInstance, home: Path) -> Finding:
    found = dead_runs(instance, home)
    if not found:
        return well("dead_runs", "Dagster believes in no run that is dead.")

    def mend() -> str:
        with run_history() as opened:
            failed = fail_dead_runs(opened, home)
        return f"{len(failed)} dead runs are marked as failed; the queue is free."

    words = f"{len(found)} runs died without Dagster noticing ({found[0]}): later runs wait in the queue."
    return Finding("dead_runs", "problem", words, "", mend, outside=True)


def _given_up(instance: dg.DagsterInstance, place: Place) -> Finding | None:
    holder = last_holder(place.settings.home) if place.night_running else None
    run = instance.get_run_by_id(holder.run_id) if holder else None
    if holder is None or run is None or not run.is_finished:
        return None
    return Finding(
        "stuck_process",
        "problem",
        f"Process {holder.pid} still works for run {holder.run_id}, which Dagster gave up. It can commit "
        "nothing any more, but may hold the warehouse file.",
        f"kill {holder.pid}",
        lambda: stop_process(holder.pid),
        outside=True,
    )


def _last(instance: dg.DagsterInstance) -> Iterator[Finding]:
    records = instance.get_run_records(limit=1)
    if not records:
        return
    run = records[0].dagster_run
    day = run.tags.get("dagster/partition") or run.tags.get("dagster/asset_partition_range_end", "")
    kind = "rebuild" if run.job_name == REBUILD else "run"
    told = f"The last {kind} ({run.run_id}{f', for {day}' if day else ''})"
    if run.status == dg.DagsterRunStatus.SUCCESS:
        yield well("last_run", f"{told} succeeded.")
    elif run.status == dg.DagsterRunStatus.FAILURE:
        stats = instance.get_run_step_stats(run.run_id)
        steps = [one.step_key for one in stats if one.status and one.status.value == "FAILURE"]
        where = f" in {', '.join(steps)}" if steps else " before any step ended"
        words = f"{told} failed{where}; what was published before stays. A failed check: see `cja quality`."
        again = f"cja run --from {day} --to {day}" if day else "cja quality"
        yield Finding("last_run", "note", words, "cja rebuild" if run.job_name == REBUILD else again)
    else:
        yield well("last_run", f"{told} is {run.status.value.lower()}.")


def _storage(home: Path) -> Finding:
    """Dagster's own SQLite files; data do not depend on them."""
    broken = []
    for path in sorted(home.rglob("*.db")):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
                (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            verdict = "ok" if "locked" in str(error) else type(error).__name__
        except sqlite3.DatabaseError as error:
            verdict = type(error).__name__
        if verdict != "ok":
            broken.append(path)
    if not broken:
        return well("run_history", "Dagster's run history can be read.")

    def mend() -> str:
        aside = home.with_name(f"{home.name}.broken-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}")
        home.rename(aside)
        return (
            f"The run history was set aside as {aside.name}; the next run begins a new one. The data do not "
            "depend on it."
        )

    words = f"{broken[0]} is damaged: Dagster can neither run nor show runs. The data do not depend on it."
    return Finding("run_history", "problem", words, "", mend, outside=True)
