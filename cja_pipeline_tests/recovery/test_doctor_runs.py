"""`cja doctor` on Dagster's side: dead runs, processes that were given up, a damaged history."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from cja_pipeline.doctor import examine, heal
from cja_pipeline.night_lock import night_lock
from cja_pipeline.orchestration import run_findings as module
from cja_pipeline.orchestration.nightly import dagster_home
from cja_pipeline.orchestration.resources import ATTEMPT_TAG
from cja_pipeline.orchestration.run_findings import run_findings
from cja_pipeline.settings import Settings
from cja_pipeline_tests.recovery.test_doctor import LAST, cja, named, problem, small

__all__ = ["small"]


@pytest.fixture
def instance(small: Settings) -> Iterator[dg.DagsterInstance]:
    dagster_home()
    with dg.DagsterInstance.get() as opened:
        yield opened


def started_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    @dg.job
    def nothing() -> None: ...

    run = instance.create_run_for_job(nothing)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, nothing.name)
    instance.report_dagster_event(event, run.run_id)
    return run


def test_a_dead_run_frees_the_queue(
    small: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started_run(instance)
    assert named(examine(small, run_findings), "dead_runs").state == "ok"  # it may still be starting
    monkeypatch.setattr(module, "STARTING_SECONDS", -1)
    assert run.run_id in problem(small, "dead_runs").words
    with night_lock(small.home, run.run_id):
        assert named(examine(small, run_findings), "dead_runs").state == "ok"  # its process lives
    monkeypatch.setattr(module, "STARTING_SECONDS", 180)
    assert named(examine(small, run_findings), "dead_runs").state == "ok"
    instance.add_run_tags(run.run_id, {ATTEMPT_TAG: "7"})  # it has held the lock, and holds it no more
    assert run.run_id in problem(small, "dead_runs").words
    assert named(heal(small, run_findings), "dead_runs").state == "healed"
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


def test_a_process_that_was_given_up_is_named(small: Settings, instance: dg.DagsterInstance) -> None:
    run = started_run(instance)
    instance.report_run_failed(run)
    code = (
        "import sys, time; from pathlib import Path; from cja_pipeline.night_lock import night_lock\n"
        "with night_lock(Path(sys.argv[1]), sys.argv[2]): print(1, flush=True); time.sleep(60)"
    )
    stuck = subprocess.Popen(
        [sys.executable, "-c", code, str(small.home), run.run_id], stdout=subprocess.PIPE
    )
    assert stuck.stdout is not None
    stuck.stdout.readline()
    finding = problem(small, "stuck_process")
    assert finding.command == f"kill {stuck.pid}"
    assert finding.mend is not None
    finding.mend()
    assert stuck.wait(timeout=20) != 0
    assert not [one for one in examine(small, run_findings) if one.name == "stuck_process"]


def test_a_damaged_run_history_is_set_aside(small: Settings, instance: dg.DagsterInstance) -> None:
    started_run(instance)
    path = small.home / "dagster" / "history" / "runs.db"
    assert path.exists()
    instance.dispose()
    path.write_bytes(b"\x00garbage" * 4096)
    problem(small, "run_history")
    assert cja("run", "--from", str(LAST)).exit_code == 1
    findings = heal(small, run_findings)
    assert named(findings, "run_history").state == "healed"
    assert len(list(small.home.glob("dagster.broken-*"))) == 1
    assert not [one for one in examine(small, run_findings) if one.state == "problem"]


def test_the_last_failure_is_told(small: Settings, instance: dg.DagsterInstance) -> None:
    run = started_run(instance)
    instance.report_run_failed(run)
    finding = named(examine(small, run_findings), "last_run")
    assert finding.state == "note"
    assert run.run_id in finding.words
