"""The doctor names each condition and mends it, or names the one command that does."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from cja_pipeline.cli import main
from cja_pipeline.config import SHIPPED, shop
from cja_pipeline.customers import config as customers
from cja_pipeline.customers.sentiment import reader
from cja_pipeline.doctor import Finding, examine, heal
from cja_pipeline.history import last_complete_day
from cja_pipeline.night_lock import NightRunningError, night_lock
from cja_pipeline.orchestration.run_findings import run_findings
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v

LAST = last_complete_day()
DAYS = [LAST - dt.timedelta(days=offset) for offset in (2, 1, 0)]


@pytest.fixture
def small(home: Path) -> Settings:
    """A home with three landed and loaded days, a page and a serving database: all is well."""
    settings = get_settings().prepare()
    for day in DAYS:
        noon = dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)
        events = [
            v.as_export_json(v.ga4(i, event_timestamp=int(noon.timestamp() + i) * 1_000_000))
            for i in range(5)
        ]
        as_of = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(3), tzinfo=dt.UTC)
        v.land_lines(settings.landing_dir, "ga4/events", events, day=day, as_of=as_of)
    with Warehouse(settings.warehouse_path) as warehouse:
        load(warehouse, "web_events", settings.landing_dir, None, "first night")
    world = {"start": str(DAYS[0]), "end": str(LAST), "horizon_end": str(LAST + dt.timedelta(days=14))}
    settings.world_dir.mkdir()
    (settings.world_dir / "manifest.json").write_text(json.dumps(world))
    with sqlite3.connect(settings.published_path) as connection:
        connection.execute("CREATE TABLE kpi_values (kpi_id TEXT)")
    page = settings.reports_dir / "latest" / "journey_map.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>")
    return settings


def named(findings: list[Finding], name: str) -> Finding:
    found = [finding for finding in findings if finding.name == name]
    assert found, f"nothing about {name}: {[finding.name for finding in findings]}"
    return found[0]


def problem(settings: Settings, name: str) -> Finding:
    finding = named(examine(settings, run_findings), name)
    assert finding.state == "problem", finding
    return finding


def cja(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_sound_home_has_no_problem(small: Settings) -> None:
    findings = examine(small, run_findings)
    assert {finding.state for finding in findings} == {"ok"}
    answer = cja("doctor", "--json")
    assert answer.exit_code == 0
    assert {one["name"] for one in json.loads(answer.stdout)} >= {"home", "disk", "landed_files", "books"}
    assert cja("doctor", "--fix").exit_code == 0
    assert "Nothing is wrong." in cja("doctor", "--fix").output


def test_nothing_yet_is_no_problem(home: Path) -> None:
    answer = cja("doctor")
    assert answer.exit_code == 0
    assert "do: cja demo" in answer.output


def test_half_landings_are_cleared_away(small: Settings) -> None:
    stream = small.landing_dir / "ga4" / "events"
    (stream / f".new-dt={DAYS[1]}").mkdir()
    (stream / f"dt={DAYS[2]}").rename(stream / f".old-dt={DAYS[2]}")
    problem(small, "half_landings")
    answer = cja("doctor", "--fix")
    assert "2 half folders were cleared away" in answer.output
    assert sorted(path.name for path in stream.iterdir()) == [f"dt={day}" for day in DAYS]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "manifest", "stray"])
def test_damaged_landings_are_set_aside_and_their_day_is_named(small: Settings, damage: str) -> None:
    folder = small.landing_dir / "ga4" / "events" / f"dt={DAYS[1]}"
    part = folder / "part-000.jsonl.gz"
    data = bytearray(part.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
        part.write_bytes(bytes(data))
    elif damage == "truncated":
        part.write_bytes(bytes(data[:-10]))
    elif damage == "missing":
        part.unlink()
    elif damage == "manifest":
        (folder / "_MANIFEST.json").write_text('{"rows": ')
    else:
        (folder / "part-001.jsonl.gz").write_bytes(b"")
    assert f"cja run --from {DAYS[1]} --to {DAYS[1]}" in problem(small, "landed_files").words
    findings = heal(small, run_findings)
    assert named(findings, "landed_files").state == "healed"
    assert named(findings, "missing_days").command == f"cja run --from {DAYS[1]} --to {DAYS[1]}"
    assert (small.home / "damaged" / "ga4" / "events" / folder.name).is_dir()


def test_a_gap_between_landed_days_is_named(small: Settings) -> None:
    shutil.rmtree(small.landing_dir / "ga4" / "events" / f"dt={DAYS[1]}")
    found = problem(small, "missing_days")
    assert found.command == f"cja run --from {DAYS[1]} --to {DAYS[1]}"


def test_days_that_no_night_has_brought_in_are_noted(small: Settings) -> None:
    shutil.rmtree(small.landing_dir / "ga4" / "events" / f"dt={DAYS[2]}")
    finding = named(examine(small), "missing_days")
    assert (finding.state, finding.command) == ("note", f"cja run --from {LAST} --to {LAST}")


def test_days_of_another_time_zone_are_named(small: Settings, config: Path) -> None:
    for day in DAYS:
        v.land_lines(small.landing_dir, "klaviyo/events", [], day=day)
    (config / "shop.yml").write_text("name: Shop\ntime_zone: America/New_York\ncurrency: EUR\n")
    shop.cache_clear()
    found = problem(get_settings(), "time_zone")
    assert found.command == f"cja run --from {DAYS[0]} --to {DAYS[-1]}"
    # the days of the web export are those of its property
    shutil.rmtree(small.landing_dir / "klaviyo")
    assert named(examine(get_settings()), "time_zone").state == "ok"


@pytest.mark.parametrize("world", ["gone", "damaged", "another"])
def test_another_simulated_world_is_noticed(small: Settings, world: str) -> None:
    manifest = small.world_dir / "manifest.json"
    texts = {"damaged": "{", "another": '{"start": "2020-01-01", "horizon_end": "2020-02-01"}'}
    manifest.unlink() if world == "gone" else manifest.write_text(texts[world])
    assert "CJA_HOME=" in problem(small, "world").command


def test_a_warehouse_that_cannot_be_read_is_set_aside(small: Settings) -> None:
    small.warehouse_path.write_bytes(b"no database at all" * 500)
    problem(small, "warehouse")
    findings = heal(small, run_findings)
    assert findings[0].state == "healed"
    left = named([finding for finding in findings if finding.state == "problem"], "warehouse")
    assert left.command == "cja rebuild"
    assert len(list(small.home.glob("warehouse.duckdb.broken-*"))) == 1


def test_a_warehouse_that_a_notebook_holds_is_told_with_its_process(small: Settings) -> None:
    code = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print(1, flush=True); time.sleep(60)"
    notebook = subprocess.Popen(
        [sys.executable, "-c", code, str(small.warehouse_path)], stdout=subprocess.PIPE
    )
    assert notebook.stdout is not None
    notebook.stdout.readline()
    try:
        assert f"process {notebook.pid}" in problem(small, "warehouse").words
    finally:
        notebook.kill()
        notebook.wait()


def test_an_older_schema_is_adapted(small: Settings) -> None:
    with duckdb.connect(str(small.warehouse_path)) as connection:
        connection.execute("ALTER TABLE validated.web_events DROP COLUMN variant")
        connection.execute("ALTER TABLE quality.ledger ADD COLUMN once_declared VARCHAR")
    found = named(examine(small), "columns")
    assert found.state == "note"
    assert "2 tables were made by another version" in found.words
    assert named(heal(small), "columns").state == "healed"
    with Warehouse(small.warehouse_path) as warehouse:
        assert warehouse.differs("validated.web_events") == warehouse.differs("quality.ledger") == ""


def test_lost_rows_are_noticed(small: Settings) -> None:
    with Warehouse(small.warehouse_path) as warehouse:
        warehouse.execute("DELETE FROM validated.web_events WHERE _dt = ? AND _source_row = 2", [DAYS[1]])
    found = problem(small, "books")
    assert str(DAYS[1]) in found.words
    assert found.command == "cja rebuild"


def test_a_pending_publication_is_made_up_for(small: Settings) -> None:
    (small.home / "publish.pending").write_text('{"since": "2026-03-02 03:00:00"}')
    assert "since 2026-03-02 03:00:00" in problem(small, "publication").words
    assert "tables with" in named(heal(small), "publication").words
    assert named(examine(small), "publication").state == "ok"


def test_a_damaged_serving_database_is_made_anew(small: Settings) -> None:
    small.published_path.write_bytes(b"SQLite format 3\x00" + os.urandom(8192))
    problem(small, "database")
    assert named(heal(small), "database").state == "healed"
    assert named(examine(small), "database").state == "ok"
    assert len(list(small.home.glob("published.db.broken-*"))) == 1


def test_an_absent_serving_database_is_named_without_its_password(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("CJA_DATABASE_URL", "postgresql://cja:hunter2@127.0.0.1:1/none")
    get_settings.cache_clear()
    found = problem(get_settings(), "database")
    assert "127.0.0.1:1" in found.words
    assert "hunter2" not in found.words


def test_little_room_is_a_problem(small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10**12, 10**12, 10**6)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "Make room" in problem(small, "disk").words


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_home_that_cannot_be_written_is_named(small: Settings, tmp_path: Path) -> None:
    subprocess.run(["mount", "--bind", str(small.home), str(small.home)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(small.home)], check=True)
    try:
        assert str(small.home) in problem(small, "home").words
    finally:
        subprocess.run(["umount", "--lazy", str(small.home)], check=True)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("CJA_CONFIG", str(folder))
    get_settings.cache_clear()
    shop.cache_clear()
    yield folder
    shop.cache_clear()


def real_account(folder: Path) -> None:
    entries = yaml.safe_load((SHIPPED / "sources.yml").read_text())
    entries["crm"] |= {"base_url": "https://api.hubapi.com", "token": "env:NO_SUCH_TOKEN"}
    (folder / "sources.yml").write_text(yaml.safe_dump(entries))


def test_a_wrong_setting_is_named(small: Settings, config: Path) -> None:
    (config / "shop.yml").write_text("name: Shop\ntime_zone: Berlin\ncurrency: EUR\n")
    assert "shop.yml, line 2: time_zone" in problem(get_settings(), "configuration").words


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "objectives.yml",
            "objectives: [{objective: x, kpi: nosuch}]",
            "there is no KPI 'nosuch'",
        ),
        ("kpis/own.yml", "stage: purchase\nkpis: [{id: own}]", "own.yml, line 2: kpis.0"),
        ("segments.yml", "segments: 3", "segments.yml"),
        ("shop.yml", "name: S\ntime_zone: UTC\ncurrency: EUX", "'EUX' is no code of ISO 4217"),
        ("shop.yml", "name: S\ntime_zone: UTC\ncurrency: Euro", "shop.yml, line 3: currency"),
        ("pages.yml", "pages: 3", "pages.yml"),
        ("objectivs.yml", "objectives: []", "is read by nothing. Was objectives.yml meant?"),
        ("ga4_source_categories.csv", "name,kind\ngoogle,search\n", "expected the columns source and"),
        ("old/kpis/x.yml", "", None),
        ("stores.yml", "", None),
        (".objectives.yml", "", None),
    ],
)
def test_a_configuration_file_that_a_night_would_stumble_over_is_named(
    small: Settings, config: Path, file: str, text: str, words: str | None
) -> None:
    """None: a file of somebody's own is no problem."""
    (config / file).parent.mkdir(exist_ok=True, parents=True)
    (config / file).write_text(text)
    real_account(config)
    customers.source_categories.cache_clear()
    findings = examine(get_settings())
    found = [one for one in findings if one.name == "configuration" and one.state == "problem"]
    assert [words in one.words for one in found] == ([] if words is None else [True]), found
    # what is wrong with one file hides nothing of the others
    assert named(findings, "tokens").state == "problem"
    customers.source_categories.cache_clear()


SHIPPED_FILES = sorted(path for path in SHIPPED.rglob("*") if path.suffix in (".yml", ".csv"))


@pytest.mark.parametrize("path", SHIPPED_FILES, ids=lambda path: path.name)
def test_no_file_of_the_configuration_is_overlooked(small: Settings, config: Path, path: Path) -> None:
    """Each shipped file in turn, with a content that none can have."""
    spoilt = config / path.relative_to(SHIPPED)
    spoilt.parent.mkdir(exist_ok=True)
    spoilt.write_text("no_such_key: 1\n")
    forget()
    try:
        assert str(spoilt) in problem(get_settings(), "configuration").words
    finally:
        forget()


def forget() -> None:
    """What is read once per process."""
    for known in (customers.channels, customers.touchpoints, customers.stages, customers.identity, reader):
        known.cache_clear()
    customers.source_categories.cache_clear()


@pytest.mark.parametrize(
    "fault", [duckdb.OutOfMemoryException("none"), duckdb.IOException("Permission denied")]
)
def test_a_warehouse_that_only_cannot_be_opened_is_left_alone(
    small: Settings, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("cja_pipeline.doctor.store.Warehouse", refuse)
    found = problem(small, "warehouse")
    assert "left as it is" in found.words
    assert found.mend is None


def test_a_missing_token_and_a_missing_key_are_named(
    small: Settings, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_account(config)
    monkeypatch.delenv("CJA_SECRET_KEY")
    get_settings.cache_clear()
    assert "NO_SUCH_TOKEN" in problem(get_settings(), "tokens").words
    assert problem(get_settings(), "secret_key").command == "cja rebuild"


def test_what_died_while_it_was_built_is_removed(small: Settings) -> None:
    (small.home / "warehouse.rebuilding.duckdb").write_bytes(b"half")
    (small.home / "world.building").mkdir()
    problem(small, "half_built")
    assert named(heal(small), "half_built").state == "healed"
    assert not (small.home / "world.building").exists()


def test_a_running_night_is_left_alone(small: Settings) -> None:
    with night_lock(small.home, "tonight"):
        finding = named(examine(small), "night")
        assert finding.state == "note"
        assert "tonight" in finding.words
        with pytest.raises(NightRunningError, match="tonight"):
            heal(small)
        answer = cja("doctor", "--fix")
        assert answer.exit_code == 1
        assert "tonight" in answer.output


def test_a_dead_night_is_told_and_forgotten(small: Settings) -> None:
    (small.home / "night.lock").write_text('{"pid": 4242, "run_id": "the dead one", "since": "2026-03-02"}')
    finding = named(examine(small), "night")
    assert "the dead one" in finding.words
    assert "died" in finding.words
    heal(small)
    assert named(examine(small), "night").state == "ok"
