"""The real UI and daemon, killed with everything they had started: the next start makes it good."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cja_pipeline_tests.recovery.conftest import NIGHT, Shop

pytestmark = pytest.mark.slow
PATIENCE = 300.0
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
RUNS = "query { runsOrError { ... on Runs { results { runId status tags { key value } } } } }"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """`cja up` in a process group of its own."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.env = {
            **os.environ,
            "CJA_HOME": str(home),
            "CJA_SECRET_KEY": "key-of-the-tests",
            "CJA_THREADS": "1",
        }
        for name in ("DAGSTER_HOME", "CJA_CONFIG", "CJA_DATABASE_URL"):
            self.env.pop(name, None)

    def start(self) -> None:
        command = [sys.executable, "-m", "cja_pipeline.cli", "up", "--port", str(self.port)]
        self.log = (self.home.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            command, env=self.env, stdout=self.log, stderr=self.log, start_new_session=True
        )
        wait(self.answers, "the UI did not come up")

    def answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/server_info", timeout=5).status_code == 200
        return False

    def ask(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables}, timeout=60
        )
        return answer.json()["data"]

    def launch(self, day: str) -> str:
        params = {
            "selector": {"repositoryLocationName": "cja_pipeline", "repositoryName": "__repository__",
                         "jobName": "nightly_refresh"},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
            "mode": "default",
        }  # fmt: skip
        told = self.ask(LAUNCH, params=params)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def members(self) -> list[int]:
        """Every process that `cja up` has started, and theirs."""
        told = subprocess.run(["ps", "-eo", "pid=,sess="], capture_output=True, text=True, check=True)
        pairs = [line.split() for line in told.stdout.splitlines()]
        return [int(pid) for pid, session in pairs if int(session) == self.process.pid]

    def kill_everything(self) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=60)
        if self.process.poll() is None:
            self.kill_everything()
        self.log.close()


def wait(condition: Callable[[], Any], words: str, seconds: float = PATIENCE) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(1)
    raise AssertionError(words)


@pytest.fixture
def up(shop: Shop, tmp_path: Path) -> Iterator[Up]:
    server = Up(shop.copy(tmp_path))
    server.start()
    yield server
    server.stop()


def test_a_run_killed_with_everything_is_started_again(up: Up) -> None:
    day = NIGHT.isoformat()
    first = up.launch(day)

    def working() -> bool:
        return any(up.home.glob(f"landing/*/*/dt={day}"))

    wait(working, "the run did not begin to land")
    up.kill_everything()
    up.start()
    again = wait(
        lambda: [run for run in up.runs() if run["tags"].get("dagster/parent_run_id") == first],
        "the run was not started again",
    )[0]
    wait(
        lambda: [run for run in up.runs() if run["runId"] == again["runId"] and run["status"] == "SUCCESS"],
        f"the second run did not succeed: {up.runs()}",
    )
    (dead,) = [run for run in up.runs() if run["runId"] == first]
    assert dead["status"] == "FAILURE"


def test_a_daemon_that_dies_is_started_again(up: Up) -> None:
    def daemons() -> list[int]:
        asked = ["ps", "-o", "pid=,args=", "--ppid", str(up.process.pid)]
        told = subprocess.run(asked, capture_output=True, text=True)
        return [int(line.split()[0]) for line in told.stdout.splitlines() if "dagster._daemon" in line]

    (before,) = wait(daemons, "no daemon runs")
    os.kill(before, signal.SIGKILL)
    (after,) = wait(lambda: [pid for pid in daemons() if pid != before], "the daemon was not started again")
    assert after != before
    assert up.answers()
