"""A disk that is full or cannot be written, at every place that writes: nothing half is ever visible."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from cja_pipeline.journey_maps.report import write_report
from cja_pipeline.sources import pull
from cja_pipeline.sources.errors import SourceError
from cja_pipeline.sources.manifest import read_manifest
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.example import example
from cja_pipeline_tests.recovery.state import leftovers
from cja_pipeline_tests.sources.helpers import AS_OF, DAY, ZONE, answering, contents, source
from cja_pipeline_tests.validated import vendors as v

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """Fill the file system but for `leave` bytes."""
    stat = os.statvfs(place)
    ballast = place / "ballast"
    ballast.write_bytes(b"\0" * max(0, stat.f_bavail * stat.f_frsize - leave))
    return ballast


def events(count: int) -> Any:
    """A vendor with so many e-mail events that do not compress well."""

    def handle(request: httpx.Request) -> dict[str, Any]:
        rows = [
            {"type": "event", "id": f"{n}", "attributes": {
                "datetime": "2026-03-10T11:00:00+00:00",
                "event_properties": {"Subject": os.urandom(400).hex()}}}
            for n in range(count)
        ]  # fmt: skip
        return {"data": rows, "included": [], "links": {"next": None}}

    return answering(handle)


def test_a_full_disk_while_landing_leaves_no_partial_folder(small_disk: Path) -> None:
    landing = small_disk / "landing"
    vendor = source("klaviyo", "https://a.klaviyo.com", token="env:X")
    vendor = vendor.model_copy(update={"token": None})
    window = Window(DAY, DAY)
    pull(vendor, window, AS_OF, landing, time_zone=ZONE, transport=events(20))
    before = contents(landing)
    ballast = fill(small_disk, 60_000)
    with pytest.raises(SourceError, match="No space left on device"):
        pull(vendor, window, AS_OF, landing, time_zone=ZONE, transport=events(2000))
    assert contents(landing) == before
    assert not leftovers(small_disk)
    ballast.unlink()
    pull(vendor, window, AS_OF, landing, time_zone=ZONE, transport=events(2000))
    manifest = read_manifest(landing / "klaviyo" / "events" / f"dt={DAY}")
    assert manifest is not None
    assert manifest.rows == 2000


def test_a_full_disk_in_a_transaction_rolls_back_and_the_old_rows_stay(
    small_disk: Path, tmp_path: Path
) -> None:
    landing, path = tmp_path / "landing", small_disk / "w.duckdb"
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(n)) for n in range(50)])
    with Warehouse(path, threads=1) as warehouse:
        assert load(warehouse, "web_events", landing, None, "first").valid == 50
    later = dt.date(2026, 3, 3)
    day = 86_400_000_000
    noise = []
    for n in range(5_000):
        event = v.ga4(n, event_timestamp=v.NOON + day + n, params={"search_term": os.urandom(300).hex()})
        noise.append(v.as_export_json(event))
    v.land_lines(landing, "ga4/events", noise, day=later, as_of=v.AS_OF + dt.timedelta(days=1))
    ballast = fill(small_disk, 600_000)
    with (
        pytest.raises((duckdb.Error, OSError)),
        Warehouse(path, threads=1, memory_limit="300MB") as warehouse,
    ):
        load(warehouse, "web_events", landing, None, "second")
    ballast.unlink()
    with Warehouse(path, threads=1) as warehouse:
        assert warehouse.count("validated.web_events") == 50
        assert unbalanced_days(warehouse, "validated.web_events") == []
    subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    with Warehouse(path, threads=1) as warehouse:
        assert load(warehouse, "web_events", landing, None, "third").valid == 5_000
        assert warehouse.count("validated.web_events") == 5_050
        assert unbalanced_days(warehouse, "validated.web_events") == []


def test_a_full_disk_while_the_page_is_written_keeps_the_old_page(small_disk: Path) -> None:
    reports = small_disk / "reports"
    data = example()
    day = dt.date(2026, 3, 10)
    page = write_report("<!doctype html>first", data, reports, day)
    before = contents(reports)
    fill(small_disk, 30_000)
    with pytest.raises(OSError, match="No space left on device"):
        write_report("<!doctype html>" + "second " * 200_000, data, reports, day)
    assert page.read_text() == "<!doctype html>first"
    assert {name: before[name] for name in before if name.endswith(".html")} == {
        name: text for name, text in contents(reports).items() if name.endswith(".html")
    }
    assert not leftovers(small_disk)


def test_a_read_only_place_is_named(small_disk: Path, tmp_path: Path) -> None:
    landing = small_disk / "landing"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    vendor = source("klaviyo", "https://a.klaviyo.com", token="env:X").model_copy(update={"token": None})
    with pytest.raises((SourceError, OSError), match=str(small_disk)):
        pull(vendor, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE, transport=events(5))
    with pytest.raises((duckdb.IOException, OSError), match=str(small_disk)):
        Warehouse(small_disk / "w.duckdb")
