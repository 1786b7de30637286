"""Clearing the landing of erased people: files are rewritten, folders swapped as a whole, counts adjusted.

A folder's manifest carries the mark of the erasures it was cleared of. Every load sweeps first, so a folder
that was landed before an erasure, missed by a crash, or put back from a backup is cleared before it is
read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cja_pipeline.privacy.suppress import Suppression, parsed, text_of
from cja_pipeline.sources.landing import REJECTED, Folder, exclusive, recover, replace_manifest
from cja_pipeline.sources.manifest import LandedFile, folders, read_manifest, sha256_of
from cja_pipeline.sources.records import LinesFile, line_of

Judge = Callable[[Any], Any]


def sweep(landing: Path, suppression: Suppression, stream: str = "*/*") -> int:
    """Clear every folder of a stream that is not cleared yet; returns the records taken out."""
    if not suppression:
        return 0
    vendor, name = stream.split("/")
    stale: dict[Path, list[Path]] = {}
    for folder in folders(landing, vendor, name):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.erasures != suppression.mark:
            stale.setdefault(landing / manifest.vendor, []).append(folder)
    removed = 0
    for place, found in stale.items():
        with exclusive(place):
            for root in {place / read.stream for folder in found if (read := read_manifest(folder))}:
                recover(root)
            removed += sum(_clear(folder, suppression) for folder in found)
    return removed


def _clear(final: Path, suppression: Suppression) -> int:
    """Clear one folder; its files stay byte for byte where nobody erased is in them."""
    manifest = read_manifest(final)
    if manifest is None:
        return 0
    stream = f"{manifest.vendor}/{manifest.stream}"
    marked = replace(manifest, files=[], erasures=suppression.mark)
    with Folder(final, marked) as folder:
        changed, removed = False, 0
        for file in manifest.files:
            source, target = final / file.name, folder.path / file.name
            found = _file(source, target, file, stream, suppression)
            changed = changed or found is not file
            removed += file.rows - (found.rows if found else 0)
            marked.files += [found] if found else []
        lost = _rejected(final / REJECTED, folder.path / REJECTED, stream, suppression)
        if not changed and not lost:
            marked.files = manifest.files
            replace_manifest(final, marked)
            return 0
        marked.rejected_rows -= lost
        marked.erased_rows += removed + lost
        folder.settle()
    return removed + lost


def _file(
    source: Path, target: Path, file: LandedFile, stream: str, suppression: Suppression
) -> LandedFile | None:
    """The file as it may stay: itself (linked), a new one without the erased, or None."""
    if not source.is_file() or sha256_of(source) != file.sha256:
        # damaged: nobody can say what is in it, so it goes if it names an erased person
        if source.is_file() and suppression.in_text(text_of(source)):
            return None
        _link(source, target)
        return file
    found = filtered(source, target, file, stream, suppression)
    if found is None:
        _link(source, target)
        return file
    return found


def filtered(
    source: Path, target: Path, file: LandedFile, stream: str, suppression: Suppression
) -> LandedFile | None:
    """Write `source` without the erased to `target`; None if there is nobody to take out."""
    if source.suffix == ".parquet":
        rows = _filter_parquet(source, target, stream, suppression)
    else:
        rows = _filter_lines(source, target, lambda record: suppression.judge(stream, record))
    if rows is None:
        return None
    gone = str(file.erased + file.rows - rows)
    origin = file.source and {"size": str(file.bytes), **file.source, "erased": gone}
    return LandedFile(file.name, sha256_of(target), rows, target.stat().st_size, origin)


def _filter_parquet(source: Path, target: Path, stream: str, suppression: Suppression) -> int | None:
    import pyarrow.parquet as pq

    table = suppression.read_concerned(stream, source)
    if table is None:
        return None
    kept = suppression.kept_rows(stream, table)
    if kept.true_count == table.num_rows:
        return None
    table = table.filter(kept)
    pq.write_table(table, target, compression="zstd")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return int(table.num_rows)


def _filter_lines(source: Path, target: Path, judge: Judge) -> int | None:
    lines = [line for line in text_of(source).splitlines() if line.strip()]
    kept, changed = [], False
    for line in lines:
        record = parsed(line)
        found = judge(record)
        changed = changed or found is not record
        if found is not None:
            kept.append(line.encode("utf-8", "replace") if found is record else line_of(found))
    if not changed:
        return None
    out = LinesFile(target)
    for text in kept:
        out.write(text)
    return out.close().rows


def _rejected(source: Path, target: Path, stream: str, suppression: Suppression) -> int:
    """Keep what could not be read, unless it names an erased person; returns the records taken out."""
    if not source.is_dir():
        return 0
    target.mkdir(mode=0o700)
    lost = 0
    for path in sorted(source.iterdir()):
        if path.name == "records.jsonl.gz":
            before = len(text_of(path).splitlines())
            rows = _filter_lines(
                path, target / path.name, lambda line: None if _named(line, suppression) else line
            )
            if rows is None:
                _link(path, target / path.name)
            else:
                lost += before - rows
        elif not suppression.in_text(text_of(path)):
            _link(path, target / path.name)
        else:
            lost += 1
    return lost


def _named(line: Any, suppression: Suppression) -> bool:
    return suppression.in_text(str(line.get("raw", "")) if isinstance(line, dict) else str(line))


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        return
    try:
        os.link(source, target)
    except OSError:  # no hard links on this file system
        shutil.copyfile(source, target)
