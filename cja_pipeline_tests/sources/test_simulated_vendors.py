"""All connectors against the simulated vendors: in this process, over real HTTP, and with faults."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.simulator.build import build_world
from cja_pipeline.sources import pull
from cja_pipeline.sources.manifest import folders, read_manifest, verify
from cja_pipeline.sources.registry import MODELS, load_sources
from cja_pipeline.sources.reports import PullReport
from cja_pipeline.sources.window import Window
from cja_pipeline_tests.sources.helpers import ZONE, contents, lines

START = dt.date(2026, 3, 23)  # the clocks change on the 29th
DAYS = 14
HISTORY = Window(START, START + dt.timedelta(days=DAYS - 1))
BUSY = ("ga4/events", "klaviyo/events", "meta/insights", "hubspot/contacts", "hubspot/orders")
FAULTS = "429:0.06,500:0.04,503:0.02,trunc:0.04,html:0.03,dup:0.05,reset:0.04"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "world"
    build_world(folder, customers=300, days=DAYS, seed=11, start=START, horizon_days=5, time_zone=ZONE)
    return folder


def night(window: Window) -> dt.datetime:
    """04:00 in Berlin (summer time) after the window."""
    return dt.datetime.combine(window.end + dt.timedelta(days=1), dt.time(2), tzinfo=dt.UTC)


def pull_all(world: Path, landing: Path, window: Window = HISTORY, **changes: Any) -> dict[str, PullReport]:
    """Pull every configured source; `changes` replace settings, a callable gets the shipped address."""
    found = {}
    for shipped in load_sources().values():
        settings = shipped.model_dump()
        for key, value in changes.items():
            settings[key] = value(shipped.base_url) if callable(value) else value
        config = MODELS[shipped.kind](**settings)
        for report in pull(config, window, night(window), landing, world=world, time_zone=ZONE):
            found[f"{report.vendor}/{report.stream}"] = report
    return found


@pytest.fixture(scope="module")
def landed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("mock") / "landing"
    pull_all(world, landing)
    return landing


def test_every_stream_is_landed_whole(landed: Path) -> None:
    rows: dict[str, int] = {}
    for folder in folders(landed):
        assert verify(folder) == []
        manifest = read_manifest(folder)
        assert manifest is not None
        assert manifest.retries == 0
        name = f"{manifest.vendor}/{manifest.stream}"
        rows[name] = rows.get(name, 0) + manifest.rows
    assert len(rows) == 9
    assert all(rows[stream] for stream in BUSY), rows
    assert len(list((landed / "klaviyo/events").glob("dt=*"))) == DAYS


def test_a_repeated_pull_changes_no_byte(world: Path, landed: Path, tmp_path: Path) -> None:
    before = contents(landed)
    reports = pull_all(world, landed)
    assert contents(landed) == before
    assert reports["ga4/events"].unchanged_files > 0
    pull_all(world, tmp_path)
    assert contents(tmp_path) == before


@pytest.fixture(scope="module")
def server(world: Path) -> Iterator[str]:
    import uvicorn

    from cja_pipeline.simulator.mocks import app

    config = uvicorn.Config(app(world), port=0, log_level="error", lifespan="off")
    service = uvicorn.Server(config)
    thread = threading.Thread(target=service.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not service.started and time.monotonic() < until:
        time.sleep(0.02)
    port = service.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    service.should_exit = True
    thread.join(5)


def test_real_http_lands_the_same_bytes(world: Path, landed: Path, server: str, tmp_path: Path) -> None:
    pull_all(
        world,
        tmp_path,
        base_url=lambda mock: f"{server}/{mock.removeprefix('mock://')}",
        headers={"X-Mock-Now": "{as_of}"},
    )
    assert contents(tmp_path) == contents(landed)


def test_faults_change_nothing_of_what_is_landed(world: Path, landed: Path, tmp_path: Path) -> None:
    reports = pull_all(world, tmp_path, base_url=lambda mock: f"{mock}?faults={FAULTS}")
    assert sum(report.retries for report in reports.values()) > 20
    assert data(tmp_path) == data(landed)


def data(landing: Path) -> dict[str, bytes]:
    """Landed files without the manifests, which count the retries."""
    return {name: found for name, found in contents(landing).items() if not name.endswith("_MANIFEST.json")}


def test_nights_add_up_to_the_state_of_the_vendor(world: Path, tmp_path: Path) -> None:
    """Night after night, with late events and rewritten files, the landing ends as if pulled at once."""
    nightly, at_once = tmp_path / "nightly", tmp_path / "at_once"
    days = HISTORY.days()[2:10]
    for day in days:
        pull_all(world, nightly, Window(day, day))
    pull_all(world, at_once, Window(days[0], days[-1]))
    last = {
        name: found
        for name, found in data(nightly).items()
        if not name.startswith("hubspot/") and data(at_once).get(name) != found
    }
    assert last == {}, "every late record was found by restating the trailing days"
    history, state = versions(nightly), versions(at_once)
    assert state.items() <= history.items(), "the current version of every contact was landed on some night"
    merged = {old for found in state.values() for old in (found["hs_merged_object_ids"] or "").split(";")}
    gone = {key for key, _ in history} - {key for key, _ in state}
    assert gone <= merged, "only contacts that were merged into others are no longer there"
    assert len(history) > len(state), "earlier versions were kept"


def versions(landing: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Every landed version of every contact: (id, time of change) -> properties."""
    return {
        (record["id"], record["updatedAt"]): record["properties"]
        for folder in folders(landing, "hubspot", "contacts")
        for record in lines(folder)
    }


def test_every_record_that_was_offered_is_landed(world: Path, tmp_path: Path) -> None:
    """Per stream and day, landed and rejected rows are the number that the world's truth says was offered."""
    import duckdb

    later = dt.datetime.combine(HISTORY.end, dt.time(), tzinfo=dt.UTC) + dt.timedelta(days=60)
    for config in load_sources().values():
        pull(config, HISTORY, later, tmp_path, world=world, time_zone=ZONE)
    landed = {}
    for folder in folders(tmp_path):
        if manifest := read_manifest(folder):
            landed[manifest.vendor, manifest.stream, manifest.dt] = manifest.offered
    truth = duckdb.execute(
        "SELECT source, stream, day::VARCHAR, offered FROM read_parquet(?) "
        "WHERE source <> 'hubspot' AND day BETWEEN ? AND ?",
        [str(world / "truth" / "counts.parquet"), HISTORY.start, HISTORY.end],
    ).fetchall()
    assert len(truth) >= 3 * DAYS
    assert [row for row in truth if landed.get(row[:3], 0) != row[3]] == []
