"""GA4 export files: landed byte for byte, fetched once, bad ones put aside."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote

import httpx
import pyarrow as pa
import pytest
from pyarrow import parquet

from cja_pipeline.sources import pull
from cja_pipeline.sources.errors import PullError, ShrunkError
from cja_pipeline.sources.manifest import read_manifest, verify
from cja_pipeline.sources.window import Window
from cja_pipeline_tests.sources.helpers import AS_OF, DAY, QUICK, ZONE, answering, contents, source

EVENTS = "ga4/events"


def export(rows: int, seed: int = 0) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"event_timestamp": [seed + n for n in range(rows)]}), sink)
    return sink.getvalue().to_pybytes()


def exported_lines(rows: int) -> bytes:
    return gzip.compress(
        b"".join(json.dumps({"event_timestamp": str(n)}).encode() + b"\n" for n in range(rows))
    )


class Bucket:
    """A Cloud Storage bucket with two objects a page."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.downloads: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer local"
        path = request.url.raw_path.decode().split("?")[0]
        assert path.startswith("/storage/v1/b/exports/o")
        name = unquote(path.removeprefix("/storage/v1/b/exports/o").removeprefix("/"))
        if name:
            assert request.url.params["alt"] == "media"
            self.downloads.append(name)
            return httpx.Response(200, content=self.objects[name])
        prefix, start = request.url.params["prefix"], int(request.url.params.get("pageToken", 0))
        names = sorted(n for n in self.objects if n.startswith(prefix))
        items = [self.describe(n) for n in names[start : start + 2]]
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        return httpx.Response(
            200, json={"kind": "storage#objects", **({"items": items} if items else {}), **more}
        )

    def describe(self, name: str) -> dict[str, str]:
        data = self.objects[name]
        md5 = b64encode(hashlib.md5(data).digest()).decode()
        return {"name": name, "size": str(len(data)), "md5Hash": md5, "generation": "1"}


def run(bucket: Bucket, landing: Path, window: Window | None = None, **settings: object):  # type: ignore[no-untyped-def]
    config = source("ga4", "mock://ga4", **settings)
    window = window or Window(DAY, DAY)
    return pull(config, window, AS_OF, landing, transport=answering(bucket), time_zone=ZONE, limits=QUICK)[0]


def test_files_are_landed_as_they_are_and_fetched_once(tmp_path: Path) -> None:
    bucket = Bucket(
        {
            "events_20260310/part-000.parquet": export(150),
            "events_20260310/part-001.jsonl.gz": exported_lines(20),
            "events_20260310/part-002.parquet": export(7),
            "events_intraday_20260310/part-000.parquet": export(5),
            "events_20260311/part-000.parquet": export(5),
        }
    )
    report = run(bucket, tmp_path)
    day = tmp_path / EVENTS / "dt=2026-03-10"
    assert (day / "part-000.parquet").read_bytes() == bucket.objects["events_20260310/part-000.parquet"]
    assert (day / "part-001.jsonl.gz").read_bytes() == bucket.objects["events_20260310/part-001.jsonl.gz"]
    assert (report.rows, report.unchanged_files, len(bucket.downloads)) == (177, 0, 3)
    before = contents(tmp_path)
    again = run(bucket, tmp_path)
    assert (again.rows, again.unchanged_files, len(bucket.downloads)) == (177, 3, 3)
    assert contents(tmp_path) == before
    bucket.objects["events_20260310/part-002.parquet"] = export(9)
    assert run(bucket, tmp_path).rows == 179
    assert bucket.downloads[3:] == ["events_20260310/part-002.parquet"]
    fresh = tmp_path / "fresh"
    run(bucket, fresh)
    assert contents(fresh / EVENTS) == contents(tmp_path / EVENTS), "history leaves no trace in the files"


def test_a_day_that_is_not_there_yet_is_missing_not_empty(tmp_path: Path) -> None:
    bucket = Bucket({"events_20260310/a.parquet": export(3)})
    report = run(bucket, tmp_path, Window(DAY, DAY.replace(day=11)))
    assert [day.day for day in report.landed] == [10]
    assert [day.day for day in report.missing] == [11]
    assert not (tmp_path / EVENTS / "dt=2026-03-11").exists()


def test_trailing_days_are_restated_but_not_days_before_the_first(tmp_path: Path) -> None:
    bucket = Bucket({f"events_202603{day:02d}/p.parquet": export(3, day) for day in range(1, 12)})
    run(bucket, tmp_path, Window(DAY.replace(day=5), DAY.replace(day=9)))
    report = run(bucket, tmp_path)
    assert [day.day for day in report.landed] == [6, 7, 8, 9, 10]
    assert run(bucket, tmp_path, Window(DAY.replace(day=6), DAY.replace(day=6))).landed[0].day == 5


def test_what_failed_nights_would_have_fetched_is_fetched_by_the_next(tmp_path: Path) -> None:
    bucket = Bucket({f"events_202603{day:02d}/p.parquet": export(3, day) for day in range(1, 21)})
    run(bucket, tmp_path, Window(DAY.replace(day=1), DAY.replace(day=8)))
    bucket.objects["events_20260305/late.parquet"] = export(2)  # arrives while nobody can ask for it
    report = run(bucket, tmp_path, Window(DAY.replace(day=18), DAY.replace(day=18)))
    assert [day.day for day in report.landed] == list(range(5, 19)), "the outage and four days before it"
    assert report.rows == 3 * 14 + 2
    # one day that the vendor delivers only later than its restated days
    held = bucket.objects.pop("events_20260319/p.parquet")
    run(bucket, tmp_path, Window(DAY.replace(day=19), DAY.replace(day=19)))
    bucket.objects |= {f"events_202603{day}/p.parquet": export(3, day) for day in range(20, 29)}
    run(bucket, tmp_path, Window(DAY.replace(day=20), DAY.replace(day=27)))
    bucket.objects["events_20260319/p.parquet"] = held
    late = run(bucket, tmp_path, Window(DAY.replace(day=28), DAY.replace(day=28)))
    assert DAY.replace(day=19) in late.landed
    # a gap of many weeks is history that nobody asked for
    far = Window(DAY.replace(month=6), DAY.replace(month=6))
    assert run(bucket, tmp_path, far).missing[0] > DAY.replace(day=28)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("p1.parquet", b"", "the file is empty"),
        ("p1.parquet", export(50)[:-9], "no readable Parquet file"),
        ("p1.json.gz", exported_lines(500)[:-30], "cut off or damaged gzip"),
        ("p1.jsonl.gz", gzip.compress(b"\n" * 50_000_000), "expands more than"),
    ],
)
def test_an_unreadable_file_is_put_aside_and_the_rest_landed(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    bucket = Bucket({"events_20260310/p0.parquet": export(4), f"events_20260310/{name}": data})
    report = run(bucket, tmp_path)
    day = tmp_path / EVENTS / "dt=2026-03-10"
    assert (report.rows, report.rejected_rows) == (4, 1)
    assert reason in report.errors[0]
    assert f"events_20260310/{name}" in report.errors[0]
    kept = [path for path in (day / "rejected").iterdir() if path.name.startswith("part-001")]
    assert kept[0].read_bytes() == data
    assert verify(day) == []


def test_a_day_that_shrinks_or_vanishes_is_kept(tmp_path: Path) -> None:
    name = "events_20260310/p.parquet"
    bucket = Bucket({name: export(1000)})
    run(bucket, tmp_path)
    bucket.objects = {name: export(40)}
    with pytest.raises(
        ShrunkError, match=r"the_source \(ga4\): events: 2026-03-10 offers 40 rows where 1000"
    ):
        run(bucket, tmp_path)
    bucket.objects = {}
    with pytest.raises(ShrunkError, match="no longer offered; the 1000 landed rows were kept"):
        run(bucket, tmp_path)
    manifest = read_manifest(tmp_path / EVENTS / "dt=2026-03-10")
    assert manifest is not None
    assert manifest.rows == 1000
    bucket.objects = {name: export(40)}
    assert run(bucket, tmp_path, allow_shrink=["2026-03-10"]).rows == 40


def test_a_bad_day_does_not_keep_the_others_away(tmp_path: Path) -> None:
    bucket = Bucket({"events_20260309/p.parquet": export(3), "events_20260310/p.parquet": export(4)})
    describe = bucket.describe
    bucket.describe = lambda name: describe(name) | ({"md5Hash": "AAAA"} if "0309" in name else {})  # type: ignore[method-assign]
    with pytest.raises(PullError, match=r"2026-03-09: .*MD5 differs"):
        run(bucket, tmp_path, Window(DAY.replace(day=9), DAY))
    assert [path.name for path in (tmp_path / EVENTS).glob("dt=*")] == ["dt=2026-03-10"]


def test_exports_in_a_local_folder(tmp_path: Path) -> None:
    exports = tmp_path / "outside" / "exports"
    exports.mkdir(parents=True)
    (exports / "events_20260310000000000000.parquet").write_bytes(export(12))
    (exports / "events_20260310").mkdir()
    (exports / "events_20260310" / "x.json.gz").write_bytes(exported_lines(3))
    (exports / "events_20260310" / "secret.parquet").symlink_to("/etc/hostname")
    config = source("ga4", f"file://{exports.parent}")
    for _ in range(2):
        report = pull(config, Window(DAY, DAY), AS_OF, tmp_path / "landing", time_zone=ZONE)[0]
        assert report.rows == 15
    assert report.unchanged_files == 2
    (exports / "events_20260310.csv").write_text("a,b")
    with pytest.raises(PullError, match="expected an export as"):
        pull(config, Window(DAY, DAY), AS_OF, tmp_path / "landing", time_zone=ZONE)
    with pytest.raises(PullError, match=r"folder .*missing.* does not exist"):
        pull(
            source("ga4", f"file://{tmp_path}/missing"),
            Window(DAY, DAY),
            AS_OF,
            tmp_path / "l",
            time_zone=ZONE,
        )
