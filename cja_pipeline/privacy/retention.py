"""Limits of age, enforced every night in the landing first, so that the tables follow by being loaded
again.

A landed day beyond the limit is emptied; its manifest stays and says how many records were removed. Streams
of changes lose superseded versions, and records that ended before the limit; the newest version of what
still exists stays. A backfill of older days lands them and loses them again in the same night.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cja_pipeline.privacy.config import limit_of
from cja_pipeline.privacy.suppress import text_of
from cja_pipeline.sources.landing import REJECTED, Folder, exclusive
from cja_pipeline.sources.manifest import LandedFile, Manifest, day_of, folders, read_manifest
from cja_pipeline.sources.records import LinesFile
from cja_pipeline.sources.window import parse_time
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.landed import Day
from cja_pipeline.validated.streams import Stream, stream_of
from cja_pipeline.warehouse import Warehouse

Kept = dict[str, set[int]]


def expire(wh: Warehouse, table: str, landing: Path) -> int:
    """Remove landed records of a validated table that are beyond its limit; returns how many.

    The newest pull of the stream is what now means. Quarantined rows lose their payload after the limit of
    ``quality.quarantine``.
    """
    declared, stream = stream_of(table)
    vendor, name = stream.stream.split("/")
    found = sorted((_day(folder), folder) for folder in folders(landing, vendor, name))
    newest = next((manifest for _, folder in reversed(found) if (manifest := read_manifest(folder))), None)
    if newest is None:
        return 0
    now = parse_time(newest.as_of).date()
    limit, kept_out = limit_of(declared.full_name), limit_of("quality.quarantine")
    removed = 0
    if limit is not None:
        last = now - dt.timedelta(days=limit)
        kept = _newest(wh, declared.full_name, stream, last)
        with exclusive(landing / vendor):
            for day, folder in found:
                manifest = read_manifest(folder) if day < last else None
                if manifest and manifest.files:
                    removed += _cut(folder, manifest, landing, kept)
    if kept_out is not None:
        last = now - dt.timedelta(days=kept_out)
        _forget_payloads(wh, declared.full_name, last)
        for day, folder in found:
            if day < last:
                for path in (folder / REJECTED).glob("*"):
                    path.unlink()
    return removed


def _day(folder: Path) -> dt.date:
    """By the folder's name, so that a night need not read what it keeps; else by its manifest."""
    if day := day_of(folder):
        return day
    manifest = read_manifest(folder)
    return dt.date.fromisoformat(manifest.dt) if manifest else dt.date.max


def expire_rows(wh: Warehouse, now: dt.datetime) -> None:
    """Limits of tables that are not made from the landing."""
    for table in TABLES.values():
        column = table.retention_from
        days = limit_of(table.full_name) if column and table.schema_name != "validated" else None
        if days is not None and wh.exists(table.full_name):
            wh.execute(f"DELETE FROM {table.full_name} WHERE {column} < ?", [now - dt.timedelta(days=days)])


def write_removals(wh: Warehouse, table: str, landed: Iterable[Day]) -> None:
    """Say in ``quality.removals`` what was removed of a validated table's landed days."""
    declared, stream = stream_of(table)
    limit = limit_of(declared.full_name)
    rows = [
        [declared.full_name, stream.stream, one.day, reason, count, limit if reason == "expired" else None]
        for one in landed
        for reason, count in (("erased", one.erased), ("expired", one.expired))
        if count
    ]
    wh.ensure("quality.removals")
    with wh.transaction():
        wh.execute("DELETE FROM quality.removals WHERE table_name = ?", [declared.full_name])
        for row in rows:
            wh.execute("INSERT INTO quality.removals VALUES (?, ?, ?, ?, ?, ?)", row)


def _newest(wh: Warehouse, table: str, stream: Stream, last: dt.date) -> Kept:
    """Rows of old folders that stay: file -> line numbers. Empty for streams of complete days."""
    kept: Kept = defaultdict(set)
    view = f"{table}_current"
    if stream.layout != "changes" or not wh.exists(view):
        return kept
    column, columns = TABLES[table].retention_from, TABLES[table].columns
    alive = f"{column} >= $last" if column else "TRUE"
    ended = "NOT archived OR updated_at >= $last" if "archived" in columns else "TRUE"
    rows = wh.sql(
        f"SELECT _source_file, _source_row FROM {view} WHERE _dt < $last AND ({alive}) AND ({ended})",
        {"last": last},
    ).fetchall()
    for file, row in rows:
        kept[file].add(row)
    return kept


def _cut(final: Path, manifest: Manifest, landing: Path, kept: Kept) -> int:
    """Write a folder anew with the kept lines only."""
    shorter = replace(manifest, files=[])
    with Folder(final, shorter) as folder:
        for file in manifest.files:
            lines = kept.get((final / file.name).relative_to(landing).as_posix(), set())
            if lines:
                shorter.files.append(_lines(final / file.name, folder.path / file.name, lines))
        removed = manifest.rows - sum(file.rows for file in shorter.files)
        if not removed:
            return 0
        shorter.expired_rows += removed
        folder.settle()
    return removed


def _lines(source: Path, target: Path, numbers: set[int]) -> LandedFile:
    out = LinesFile(target)
    for number, line in enumerate(text_of(source).split("\n"), 1):
        if number in numbers:
            out.write(line.encode("utf-8", "replace"))
    return out.close()


def _forget_payloads(wh: Warehouse, table: str, last: dt.date) -> None:
    if wh.exists("quality.quarantine"):
        wh.execute(
            "UPDATE quality.quarantine SET payload = NULL WHERE table_name = ? AND day < ? "
            "AND payload IS NOT NULL",
            [table, last],
        )
