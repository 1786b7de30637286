"""Runs that meet, are stopped, find a vendor or the serving database away, or a clock that was set back."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from cja_pipeline.config import SHIPPED
from cja_pipeline.history import last_complete_day
from cja_pipeline.night_lock import is_held
from cja_pipeline.orchestration import partitions
from cja_pipeline.settings import get_settings
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
from cja_pipeline.warehouse import Warehouse
from cja_pipeline.warehouse_file import WarehouseBusyError
from cja_pipeline_tests.recovery.conftest import NIGHT, Shop
from cja_pipeline_tests.recovery.nights import Nights
from cja_pipeline_tests.recovery.state import differences, leftovers, state, unbalanced
from cja_pipeline_tests.validated import vendors as v

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


def rows_of(home: Path, table: str) -> list[Any]:
    """The rows of a table whenever they were pulled."""
    with Warehouse(home / "warehouse.duckdb") as warehouse:
        return warehouse.sql(f"SELECT * EXCLUDE (_landed_at) FROM {table} ORDER BY ALL").fetchall()


# --- a vendor that is away ------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_vendor_away_all_night_is_caught_up_with_the_next_night(
    shop: Shop, nights: Nights, tmp_path: Path
) -> None:
    """The others are landed, readers keep the last night, and the next night brings in both days."""
    config = tmp_path / "config"
    config.mkdir()
    entries = yaml.safe_load((SHIPPED / "sources.yml").read_text())
    entries["email"]["base_url"] = "mock://klaviyo?faults=503:1"
    (config / "sources.yml").write_text(yaml.safe_dump(entries))
    home = shop.copy(tmp_path)
    end = nights.run(home, NIGHT, light=True, env={"CJA_CONFIG": str(config)})
    assert not end.ok
    assert "gave up after" in end.log
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
    # only what tells of the night that was not: its page, and when rows were pulled or first seen
    for name in different:
        if name.startswith("table validated."):
            table = name.removeprefix("table ")
            assert rows_of(undisturbed, table) == rows_of(home, table), table
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
        (KeyboardInterrupt(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_only_what_may_pass_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, again: bool
) -> None:
    import cja_pipeline.sources
    import cja_pipeline.sources.assets as module
    from cja_pipeline.orchestration.resources import Store

    calls: list[int] = []

    def failing(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise error

    monkeypatch.setattr(cja_pipeline.sources, "pull", failing)
    monkeypatch.setattr(module, "ensure_world", lambda _: None)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0)
    email = next(one for one in module.source_assets() if one.key.to_user_string() == "email")
    day = last_complete_day().isoformat()
    result = None
    with dg.DagsterInstance.ephemeral() as instance, suppress(KeyboardInterrupt):
        result = dg.materialize(
            [email], partition_key=day, instance=instance, resources={"store": Store()}, raise_on_error=False
        )
    assert result is None or not result.success
    assert len(calls) == (1 + module.RETRIES if again else 1)


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


# --- missed nights ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("outage", [1, 10])
def test_each_missed_day_is_asked_for_once_a_day(
    monkeypatch: pytest.MonkeyPatch, home: Path, outage: int
) -> None:
    from cja_pipeline.definitions import build_definitions
    from cja_pipeline.orchestration import sensors

    monkeypatch.setattr(partitions, "first_day", lambda: dt.date(2026, 3, 1))
    # 29 March, when the clocks change, lies in the longer outage
    now = [dt.datetime(2026, 4, 2, hour, tzinfo=dt.UTC) for hour in (9, 10)]
    now.append(dt.datetime(2026, 4, 3, 1, tzinfo=dt.UTC))  # still missing: the vendor is away, too

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> dt.datetime:
            return now[len(keys)]

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
        keys: list[list[str | None]] = []
        for _ in now:  # the daemon drops a run key that it has seen
            with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
                data = sensor.evaluate_tick(context)
            keys.append([request.run_key for request in data.run_requests or []])
    assert keys[0] == keys[1] == [f"missed-{day}-asked-2026-04-02" for day in missed]
    assert keys[2] == [f"missed-{day}-asked-2026-04-03" for day in missed]
    assert len(set(keys[0])) == outage


# --- without a run history ---
@pytest.mark.slow
def test_the_data_do_not_depend_on_the_run_history(shop: Shop, nights: Nights, tmp_path: Path) -> None:
    home = shop.copy(tmp_path)
    shutil.rmtree(home / "dagster", ignore_errors=True)
    end = nights.run(home, NIGHT)
    assert end.ok, end.log
    different = differences(shop.after, state(home))
    # two pages tell what the checks found, and the golden night left them out
    told = ("journey_map", "quality.html")
    assert not [name for name in different if not any(page in name for page in told)], different
