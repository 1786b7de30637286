"""Folders appear whole or not at all, with equal bytes for equal records."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest

from cja_pipeline.sources.landing import Folder, newest_as_of, recover
from cja_pipeline.sources.manifest import NAME, Manifest, folders, read_manifest, verify
from cja_pipeline_tests.sources.helpers import contents, lines, rejects


def folder(landing: Path, day: str = "2026-03-10", as_of: str = "2026-03-11T03:00:00Z") -> Folder:
    manifest = Manifest("klaviyo", "events", day, {"start": "a", "end": "b"}, as_of, "2026-07-15")
    return Folder(landing / "klaviyo" / "events" / f"dt={day}", manifest)


def land(landing: Path, count: int, **options: str) -> Path:
    with folder(landing, **options) as new:
        for number in range(count):
            new.add({"id": str(number), "text": "Grüße 👋", "n": 1.50})
        new.commit()
    return new.final


def test_equal_records_give_equal_bytes_and_a_manifest_that_fits(tmp_path: Path) -> None:
    one, two = land(tmp_path / "a", 1200), land(tmp_path / "b", 1200)
    assert contents(one) == contents(two)
    manifest = read_manifest(one)
    assert manifest is not None
    assert (manifest.rows, manifest.bytes) == (1200, (one / "part-000.jsonl.gz").stat().st_size)
    assert manifest.files[0].sha256 == hashlib.sha256((one / "part-000.jsonl.gz").read_bytes()).hexdigest()
    assert verify(one) == []
    assert lines(one)[7] == {"id": "7", "text": "Grüße 👋", "n": 1.5}
    (one / "part-000.jsonl.gz").write_bytes(b"altered")
    (one / "part-001.jsonl.gz").write_bytes(b"stray")
    assert [fault.split(": ")[1] for fault in verify(one)] == [
        "content differs from the manifest (SHA-256)",
        "not in the manifest",
    ]


def test_nothing_found_is_landed_and_differs_from_never_asked(tmp_path: Path) -> None:
    empty = land(tmp_path, 0)
    assert read_manifest(empty) is not None
    assert list(empty.glob("part-*")) == []
    assert read_manifest(empty.with_name("dt=2026-03-09")) is None


def test_impossible_records_are_put_aside(tmp_path: Path) -> None:
    with folder(tmp_path) as new:
        for record in ({"id": 1}, {"id": 1}, {"id": 1, "n": 2}, {"x": float("nan")}, {"y": "\ud800"}):
            new.add(record)
        new.reject("<html>", "a web page")
        manifest = new.commit().manifest
    assert (manifest.rows, manifest.rejected_rows, manifest.offered) == (3, 3, 6)
    assert lines(new.final) == [{"id": 1}, {"id": 1}, {"id": 1, "n": 2}]
    assert [item["reason"] for item in rejects(new.final)] == [
        "cannot be written as JSON: ValueError",
        "cannot be written as JSON: UnicodeEncodeError",
        "a web page",
    ]


def test_an_error_leaves_the_old_folder_untouched(tmp_path: Path) -> None:
    old = contents(land(tmp_path, 150))

    def interrupted() -> None:
        with folder(tmp_path) as new:
            new.add({"id": 1})
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        interrupted()
    assert contents(tmp_path / "klaviyo" / "events" / "dt=2026-03-10") == old
    assert len(contents(tmp_path)) == len(old)


@pytest.mark.parametrize(
    ("before", "now", "kept"), [(100, 97, True), (100, 98, False), (99, 0, False), (1000, 0, True)]
)
def test_far_fewer_rows_do_not_replace_what_is_landed(
    tmp_path: Path, before: int, now: int, kept: bool
) -> None:
    final = land(tmp_path, before)
    for _ in range(2):
        with folder(tmp_path, as_of="2026-03-12T03:00:00Z") as new:
            for number in range(now):
                new.add({"id": number})
            outcome = new.commit()
        assert outcome.held is kept
    assert len(lines(final)) == (before if kept else now)
    manifest = read_manifest(final)
    assert manifest is not None
    assert verify(final) == []
    if kept:
        assert manifest.errors == [
            f"held back: {now} rows were offered at 2026-03-12T03:00:00Z, {before} are landed"
        ]
        with folder(tmp_path) as new:
            assert new.commit(allow_shrink=True).held is False
        assert lines(final) == []


@pytest.mark.parametrize("renamed_back", [True, False])
def test_an_interrupted_swap_is_put_right(tmp_path: Path, renamed_back: bool) -> None:
    final = land(tmp_path, 5)
    before = contents(final)
    final.rename(final.with_name(".old-" + final.name))
    if not renamed_back:
        land(tmp_path, 6)
        before = contents(final)
        (final.with_name(".old-" + final.name)).mkdir()
    (final.with_name(".new-" + final.name)).mkdir()
    recover(final.parent)
    assert contents(final) == before
    assert [path.name for path in final.parent.iterdir()] == [final.name]


def test_the_newest_logical_time_is_found_in_all_folders(tmp_path: Path) -> None:
    assert newest_as_of(tmp_path) is None
    land(tmp_path, 1, day="2026-03-01", as_of="2026-03-12T03:00:00Z")
    land(tmp_path, 1, day="2026-03-10")
    run = tmp_path / "hubspot" / "contacts" / "dt=2026-03-10" / "run=20260311T030000Z"
    with Folder(run, Manifest("hubspot", "contacts", "d", {}, "2026-03-11T03:00:00Z", "v")) as new:
        new.commit()
    assert newest_as_of(tmp_path) == dt.datetime(2026, 3, 12, 3, tzinfo=dt.UTC)
    assert len(list(folders(tmp_path))) == 3


def test_a_manifest_that_contradicts_itself_is_not_believed(tmp_path: Path) -> None:
    """Otherwise its rows would be offered, and no file would hold them."""
    folder = land(tmp_path, 2)
    assert read_manifest(folder) is not None
    told = json.loads((folder / NAME).read_text())
    copied = [told["files"][0] | {"source": {"name": "object", "erased": "some"}}]
    for change in ({"files": []}, {"rows": 1}, {"files": copied}):
        (folder / NAME).write_text(json.dumps(told | change))
        assert read_manifest(folder) is None
    del told["files"]
    (folder / NAME).write_text(json.dumps(told))
    assert read_manifest(folder) is None


def test_landings_are_for_their_owner_only(tmp_path: Path) -> None:
    final = land(tmp_path / "landing", 1)
    assert all(
        path.stat().st_mode & 0o077 == 0 for path in (final, final.parent, tmp_path / "landing" / "klaviyo")
    )
