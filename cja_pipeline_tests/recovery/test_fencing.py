"""One run writes at a time, and a run that was given up can never commit again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from cja_pipeline.attempts import KEPT, SupersededError, claim
from cja_pipeline.night_lock import Holder, NightRunningError, is_held, last_holder, night_lock
from cja_pipeline.orchestration.resources import Store
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

STALE = """
import sys
from pathlib import Path
from cja_pipeline.attempts import SupersededError, claim
from cja_pipeline.warehouse import Warehouse

path = Path(sys.argv[1])
with Warehouse(path) as warehouse:
    attempt = claim(warehouse, "the first run")
print("claimed", flush=True)
sys.stdin.readline()  # given up by Dagster meanwhile, but alive
with Warehouse(path) as warehouse:
    warehouse.before_commit = attempt.verify
    try:
        with warehouse.transaction():
            warehouse.execute("CREATE OR REPLACE TABLE kpis.work AS SELECT 'stale' AS who")
        print("committed")
    except SupersededError as error:
        print("refused:", error)
"""
HOLDER = """
import sys, time
from pathlib import Path
from cja_pipeline.night_lock import night_lock

with night_lock(Path(sys.argv[1]), "the first run"):
    print("held", flush=True)
    time.sleep(60)
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_superseded_process_is_refused_inside_its_transaction(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    stale = start(STALE, str(path))
    with Warehouse(path) as warehouse:
        second = claim(warehouse, "the second run")
        second.guard(warehouse)
        with warehouse.transaction():
            warehouse.execute("CREATE TABLE kpis.work AS SELECT 'second' AS who")
    told, _ = stale.communicate("go on\n", timeout=60)
    assert told.startswith("refused: Run the first run was superseded by run the second run")
    with Warehouse(path) as warehouse:
        assert warehouse.sql("SELECT who FROM kpis.work").fetchall() == [("second",)]


def test_the_newest_attempt_commits_and_old_ones_are_forgotten(warehouse: Warehouse) -> None:
    first = claim(warehouse, "first")
    first.verify(warehouse)
    for number in range(KEPT + 5):
        newest = claim(warehouse, f"run {number}")
    with pytest.raises(SupersededError):
        first.guard(warehouse)
    newest.guard(warehouse)
    with warehouse.transaction():
        warehouse.execute("CREATE TABLE kpis.work AS SELECT 1 AS one")
    assert warehouse.count("quality.attempts") == KEPT


def test_a_run_that_lost_its_claim_fails_at_its_next_step(home: Path) -> None:
    """As under Dagster: the run goes on after another one has claimed the warehouse, and writes nothing."""

    @dg.asset
    def first(store: Store) -> None:
        with store.open() as warehouse:
            warehouse.execute("CREATE TABLE kpis.work AS SELECT 'first step' AS who")
        with Warehouse(get_settings().warehouse_path) as other:
            claim(other, "the retry of this run")

    @dg.asset(deps=[first])
    def second(store: Store) -> None:
        with store.open() as warehouse, warehouse.transaction():
            warehouse.execute("INSERT INTO kpis.work VALUES ('second step')")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [first, second], instance=instance, resources={"store": Store()}, raise_on_error=False
        )
    failed = {event.step_key: event.step_failure_data.error for event in result.filter_events(is_failure)}
    assert set(failed) == {"second"}
    assert "superseded" in str(failed["second"])
    with Warehouse(get_settings().warehouse_path) as warehouse:
        assert warehouse.sql("SELECT who FROM kpis.work").fetchall() == [("first step",)]


def is_failure(event: dg.DagsterEvent) -> bool:
    return event.is_step_failure


def test_a_run_holds_the_lock_and_gives_it_back(home: Path) -> None:
    seen: list[bool] = []

    @dg.asset
    def step(context: dg.AssetExecutionContext, store: Store) -> None:
        holder = last_holder(home)
        seen.append(is_held(home) and holder is not None and holder.run_id == context.run.run_id)

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([step], instance=instance, resources={"store": Store()})
    assert seen == [True]
    assert not is_held(home)
    assert last_holder(home) is None


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def hold(name: str, seconds: float) -> None:
        with night_lock(tmp_path, name):
            order.append(f"{name} begins")
            time.sleep(seconds)
            order.append(f"{name} ends")

    threads = [
        threading.Thread(target=hold, args=("one", 0.8)),
        threading.Thread(target=hold, args=("two", 0)),
    ]
    threads[0].start()
    while not order:
        time.sleep(0.01)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert order == ["one begins", "one ends", "two begins", "two ends"]


def test_the_death_of_the_holder_releases_the_lock(tmp_path: Path) -> None:
    process = start(HOLDER, str(tmp_path))
    assert is_held(tmp_path)
    with (
        pytest.raises(NightRunningError, match=rf"the first run \(process {process.pid}, since"),
        night_lock(tmp_path, "impatient", patience=0.1),
    ):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_held(tmp_path)
    holder = last_holder(tmp_path)
    assert holder is not None
    assert holder.run_id == "the first run"  # so that the doctor knows who died
    with night_lock(tmp_path, "next", patience=0):
        pass


def test_a_run_that_was_given_up_is_not_waited_for(tmp_path: Path) -> None:
    process = start(HOLDER, str(tmp_path))
    asked: list[Holder] = []

    def given_up(holder: Holder) -> bool:
        asked.append(holder)
        return True

    with night_lock(tmp_path, "the second run", given_up=given_up):
        holder = last_holder(tmp_path)
        assert holder is not None
        assert holder.run_id == "the second run"
        # a third run waits for the second, not for the process that was given up
        with (
            pytest.raises(NightRunningError, match="the second run"),
            night_lock(tmp_path, "the third run", patience=0),
        ):
            pass
    assert asked[0].pid == process.pid
    process.kill()
    process.wait()
    assert not is_held(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "run_id": "a", "who": 2}', "\x00"]
)
def test_an_unreadable_lock_file_hinders_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "night.lock").write_text(content)
    assert last_holder(tmp_path) is None
    with night_lock(tmp_path, "run", patience=0):
        text = (tmp_path / "night.lock").read_text()
        assert json.loads(text)["run_id"] == "run"
