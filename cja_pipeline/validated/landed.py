"""What lies in the landing for one stream: complete days, their files and a digest that tells when they
change."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from cja_pipeline.sources.manifest import day_of, read_manifest
from cja_pipeline.sources.window import parse_time


@dataclass(frozen=True)
class File:
    """A landed data file.

    `rows` is what its manifest says; `landed_at` the logical time of its pull (naive UTC).
    """

    path: Path
    name: str
    day: dt.date
    rows: int
    bytes: int
    sha256: str
    landed_at: dt.datetime


@dataclass
class Day:
    """A landed business day of a stream (for streams of changes: all pulls that ended on that day).

    `kept` + `repeated` + `refused` rows are what the vendor offered; only `kept` ones are in the files.
    `announced` is how many the vendor said there are, None if it says nothing of the kind; those that were
    `erased` or had to go because of their age (`expired`) are not among them.
    """

    day: dt.date
    files: list[File] = field(default_factory=list)
    kept: int = 0
    repeated: int = 0
    refused: int = 0
    announced: int | None = None
    erased: int = 0
    expired: int = 0
    as_of: dt.datetime = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (naive UTC, as in the warehouse)
    notes: list[str] = field(default_factory=list)
    _digest: list[list[str | int]] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """Digest of the content: another value means that the day has to be loaded again."""
        return hashlib.sha256(json.dumps(self._digest).encode()).hexdigest()[:32]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def offered(self) -> int:
        return self.kept + self.repeated + self.refused


@dataclass(frozen=True)
class Landed:
    """What lies in the landing for a stream.

    Attributes:
        days: complete days, oldest first.
        unfinished: folders that nothing can be loaded from, because their manifest is missing or cannot be
            read: day, and folder relative to the landing.
    """

    days: dict[dt.date, Day]
    unfinished: list[tuple[dt.date, str]]


def read_landed(landing: Path, stream: str) -> Landed:
    """Everything of a stream such as ``ga4/events``; each manifest is read once."""
    found: dict[dt.date, Day] = {}
    unfinished: list[tuple[dt.date, str]] = []
    root = landing / stream
    for folder in sorted([*root.glob("dt=*"), *root.glob("dt=*/run=*")]):
        manifest = read_manifest(folder)
        if manifest is None:
            named, has_runs = day_of(folder), next(folder.glob("run=*"), None) is not None
            if named and folder.is_dir() and not has_runs:
                unfinished.append((named, folder.relative_to(landing).as_posix()))
            continue
        date = dt.date.fromisoformat(manifest.dt)
        day = found.setdefault(date, Day(date))
        as_of = parse_time(manifest.as_of).astimezone(dt.UTC).replace(tzinfo=None)
        day.as_of = max(day.as_of, as_of)
        day.kept += manifest.rows
        day.repeated += manifest.duplicate_rows
        day.refused += manifest.rejected_rows
        day.erased += manifest.erased_rows
        day.expired += manifest.expired_rows
        if manifest.source_rows is not None:
            taken_out = manifest.erased_rows + manifest.expired_rows
            day.announced = (day.announced or 0) + max(0, manifest.source_rows - taken_out)
        day.notes += manifest.errors
        for entry in manifest.files:
            path = folder / entry.name
            relative = path.relative_to(landing).as_posix()
            size = path.stat().st_size if path.is_file() else -1
            day.files.append(File(path, relative, date, entry.rows, max(size, 0), entry.sha256, as_of))
            day._digest.append([relative, entry.sha256, size])
    return Landed(dict(sorted(found.items())), unfinished)
