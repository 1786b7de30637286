"""Nights that may die, each in a process forked from a parent that has imported all and opened nothing.

`Nights` is the client; it starts this module as a process of its own, because a process that has opened
DuckDB has threads and must not fork. One JSON command per line: run a night in a home folder, with a crash
point, a time limit after which it is killed, or a limit of memory; the answer says how it ended.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# what a night imports beside the package itself
MODULES = (
    "alembic.command", "dagster._core.storage.migration.utils", "dagster._core.storage.sqlite_storage",
    "great_expectations", "pandas", "phonenumbers", "PIL.ImageDraw", "PIL.PngImagePlugin", "pyarrow.dataset",
    "pyarrow.parquet", "scipy.optimize", "scipy.sparse.csgraph", "scipy.stats", "sqlglot",
    "upath.implementations.local", "vaderSentiment.vaderSentiment",
)  # fmt: skip


@dataclass(frozen=True)
class End:
    """How a night ended: exit status (negative: by that signal), seconds, and its last words."""

    status: int
    seconds: float
    log: str

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def ok(self) -> bool:
        return self.status == 0


class Nights:
    """A parent that forks nights; a context manager. One night at a time per parent."""

    def __enter__(self) -> Nights:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "cja_pipeline_tests.recovery.nights"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            cwd=Path(__file__).parents[2],  # the code of these tests, wherever they were started
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=120)  # a night that is under way ends first
        except subprocess.TimeoutExpired:
            self.process.kill()

    def run(self, home: Path, start: dt.date, end: dt.date | None = None, **more: Any) -> End:
        """One night for `start` to `end`. `crash_at`: point:n; `kill_after`: seconds; `light`: without Great
        Expectations and without a run history on disk; `memory_mb`: address space; `env`: variables."""
        command = {"home": str(home), "start": str(start), "end": str(end or start), **more}
        return self._ask(command)

    def build_world(self, folder: Path, **arguments: Any) -> None:
        assert self._ask({"world": str(folder), "arguments": arguments}).ok

    def _ask(self, command: dict[str, Any]) -> End:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command, default=str) + "\n")
        return End(**json.loads(self.process.stdout.readline()))


def _light() -> None:
    """Leave out what is not about data on disk: the run history, and judging rows a second time."""
    import dagster as dg

    from cja_pipeline.validated import runner
    from cja_pipeline.validated.outcomes import Outcome, store
    from cja_pipeline.validated.suites import suite_checks

    instance = dg.DagsterInstance.ephemeral()
    instance.event_log_storage.store_event = lambda event: None  # type: ignore[method-assign]
    dg.DagsterInstance.get = staticmethod(lambda: instance)  # type: ignore[method-assign]

    def passed(warehouse: Any, table: str, run_id: str, params: Any = None) -> list[Outcome]:
        at = runner._moment(warehouse, run_id)
        outcomes = [
            Outcome(run_id, at, table, one["check_id"], "", one["severity"], "", True, "", "")
            for one in suite_checks(table)
        ]
        store(warehouse, table, run_id, outcomes)
        return outcomes

    runner.check = passed  # type: ignore[assignment]


def _night(command: dict[str, Any]) -> int:
    from cja_pipeline.settings import get_settings

    if "world" in command:
        from cja_pipeline.simulator.ensure import ensure_world

        arguments = command["arguments"]
        ensure_world(
            Path(command["world"]), **{**arguments, "start": dt.date.fromisoformat(arguments["start"])}
        )
        return 0
    for name in ("CJA_DATABASE_URL", "CJA_CONFIG", "CJA_WAREHOUSE", "DAGSTER_HOME", "CJA_CRASH_AT"):
        os.environ.pop(name, None)
    # one thread: sums of doubles then do not depend on the order in which threads end
    os.environ.update(CJA_HOME=command["home"], CJA_SECRET_KEY="key-of-the-tests", CJA_THREADS="1")
    os.environ.update(command.get("env") or {})
    if command.get("crash_at"):
        os.environ["CJA_CRASH_AT"] = command["crash_at"]
    get_settings.cache_clear()
    if command.get("light"):
        _light()
    if command.get("memory_mb"):
        resource.setrlimit(resource.RLIMIT_AS, (command["memory_mb"] << 20,) * 2)
    from cja_pipeline.orchestration.nightly import run_nights

    days = dt.date.fromisoformat(command["start"]), dt.date.fromisoformat(command["end"])
    return 0 if run_nights(*days, reason="test") else 1


def _fork(command: dict[str, Any], log: Path) -> End:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 3
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            status = _night(command)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    watched = os.pidfd_open(child)
    limit = command.get("kill_after")
    if limit is not None and not select.select([watched], [], [], limit)[0]:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(watched)
    words = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    return End(os.waitstatus_to_exitcode(status), round(time.monotonic() - began, 3), words)


def serve() -> None:
    """Import everything, then answer commands until the input ends."""
    import importlib
    import pkgutil
    import tempfile

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever an import prints is not an answer
    package = importlib.import_module("cja_pipeline")
    mine = [one.name for one in pkgutil.walk_packages(package.__path__, "cja_pipeline.")]
    for name in (*MODULES, *mine):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            end = _fork(json.loads(line), Path(folder) / "log")
            answers.write(json.dumps(vars(end)) + "\n")


if __name__ == "__main__":
    serve()
