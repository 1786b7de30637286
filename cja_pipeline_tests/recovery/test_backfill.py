"""A thousand days at once: bounded, killed half way, run again, every day there once."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cja_pipeline.sources import pull
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.sources.helpers import ZONE, source
from cja_pipeline_tests.validated import vendors as v

DAYS, ROWS = 1000, 5
START = dt.date(2023, 6, 1)  # 29 February 2024 and five clock changes lie inside
CHILD = """
import datetime as dt, sys
from pathlib import Path
from cja_pipeline.machine import peak_mb
from cja_pipeline.sources import pull
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.recovery.test_backfill import AS_OF, DAYS, START
from cja_pipeline_tests.sources.helpers import ZONE, source

home = Path(sys.argv[1])
window = Window(START, START + dt.timedelta(days=DAYS - 1))
pull(source("ga4", f"file://{home}/files"), window, AS_OF, home / "landing", time_zone=ZONE)
with Warehouse(home / "w.duckdb", memory_limit="300MB", threads=2) as warehouse:
    load(warehouse, "web_events", home / "landing", window.days(), "backfill")
print(f"{peak_mb():.0f}")
"""
AS_OF = dt.datetime.combine(START + dt.timedelta(days=DAYS), dt.time(3), tzinfo=dt.UTC)


def write_exports(folder: Path) -> None:
    folder.mkdir(parents=True)
    for offset in range(DAYS):
        day = START + dt.timedelta(days=offset)
        noon = int(dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC).timestamp()) * 1_000_000
        events = [v.as_export_json(v.ga4(n, event_timestamp=noon + n)) for n in range(ROWS)]
        (folder / f"events_{day:%Y%m%d}.jsonl.gz").write_bytes(v.jsonl(events))


@pytest.mark.slow
def test_a_thousand_days_killed_half_way_and_run_again(tmp_path: Path) -> None:
    write_exports(tmp_path / "files" / "exports")
    landing = tmp_path / "landing" / "ga4" / "events"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while time.monotonic() < until and len(list(landing.glob("dt=*"))) < 300:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert 300 <= len(list(landing.glob("dt=*"))) < DAYS
    again = [sys.executable, "-c", CHILD, str(tmp_path)]
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 1500  # its peak in megabytes
    window = Window(START, START + dt.timedelta(days=DAYS - 1))
    exports = source("ga4", f"file://{tmp_path}/files")
    (report,) = pull(exports, window, AS_OF, tmp_path / "landing", time_zone=ZONE)
    assert (report.unchanged_files, report.rows) == (DAYS, DAYS * ROWS)  # nothing is fetched twice
    with Warehouse(tmp_path / "w.duckdb") as warehouse:
        assert load(warehouse, "web_events", tmp_path / "landing", None, "again").days == []
        counted = warehouse.sql("SELECT count(DISTINCT _dt), count(*) FROM validated.web_events").fetchall()
        assert counted == [(DAYS, DAYS * ROWS)]
        assert unbalanced_days(warehouse, "validated.web_events") == []
    manifest = json.loads((landing / "dt=2024-02-29" / "_MANIFEST.json").read_text())
    assert manifest["rows"] == ROWS
