"""`_MANIFEST.json`: what a landed folder holds and where it came from. Nothing in it depends on the clock."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from cja_pipeline.sources.window import edges, parse_time, utc_text

NAME = "_MANIFEST.json"


@dataclass
class LandedFile:
    """One data file of a folder. `source` says which vendor object it is a copy of, where it is one, and how
    many records of erased people were taken out of the copy."""

    name: str
    sha256: str
    rows: int
    bytes: int
    source: dict[str, str] | None = None

    @property
    def erased(self) -> int:
        """Records of erased people that were taken out of a copy."""
        return int((self.source or {}).get("erased", 0))


@dataclass
class Manifest:
    """Contents of a landed folder.

    `rows` records are in the files and `rejected_rows` unreadable ones in ``rejected/``; together they are
    what the vendor offered. `duplicate_rows` came once more because a page was served twice, and were left
    out; records that the vendor itself holds twice are landed twice. `window` is the time span asked for
    (UTC). `source_rows` is the number of records the vendor announced, or null if it announces none. A
    folder with a manifest and no files means "asked, and there was nothing". `erased_rows` were taken out
    because people had asked for it, `erasures` is the mark of the notes that the folder was cleared of, and
    `expired_rows` were removed because of their age; all three are written only where there is something.
    """

    vendor: str
    stream: str
    dt: str
    window: dict[str, str]
    as_of: str
    api_version: str
    pages: int = 0
    rows: int = 0
    duplicate_rows: int = 0
    rejected_rows: int = 0
    retries: int = 0
    bytes: int = 0
    source_rows: int | None = None
    files: list[LandedFile] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    erased_rows: int = 0
    erasures: str = ""
    expired_rows: int = 0

    @property
    def offered(self) -> int:
        """What the vendor sent, erased people left out: readable and unreadable records."""
        return self.rows + self.rejected_rows

    def text(self) -> str:
        value = asdict(self)
        for file in value["files"]:
            if file["source"] is None:
                del file["source"]
        if not self.erasures:
            del value["erased_rows"], value["erasures"]
        if not self.expired_rows:
            del value["expired_rows"]
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def covers(manifest: Manifest, day: dt.date, zone: dt.tzinfo) -> bool:
    """Whether what was asked for is `day` as it is in this time zone."""
    start, end = edges(day, zone)
    return manifest.window == {"start": utc_text(start), "end": utc_text(end)}


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a landed folder, or None if there is none that can be read and believed.

    Keys that this version does not know are left out, so that an older version reads a newer landing.
    """
    try:
        found = _reader().validate_json((folder / NAME).read_bytes())
        dt.date.fromisoformat(found.dt)
        parse_time(found.as_of)
        counts = [found.pages, found.rows, found.duplicate_rows, found.rejected_rows, found.bytes]
        for file in found.files:
            counts += [file.rows, file.erased, int((file.source or {}).get("size", 0))]
    except (OSError, ValueError):
        return None
    plain = all(Path(file.name).name == file.name and "\0" not in file.name for file in found.files)
    whole = found.rows == sum(file.rows for file in found.files)
    return found if plain and whole and min(counts) >= 0 else None


@lru_cache(maxsize=1)
def _reader() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def folders(landing: Path, vendor: str = "*", stream: str = "*") -> Iterator[Path]:
    """Every complete landed folder, in the order of vendor, stream, day and run."""
    for pattern in (f"{vendor}/{stream}/dt=*/{NAME}", f"{vendor}/{stream}/dt=*/run=*/{NAME}"):
        for path in sorted(landing.glob(pattern)):
            yield path.parent


def day_of(folder: Path) -> dt.date | None:
    """The business day that a landed folder is named after, if it is named after one."""
    name = folder.name if folder.name.startswith("dt=") else folder.parent.name
    try:
        return dt.date.fromisoformat(name.removeprefix("dt="))
    except ValueError:
        return None


def newest_as_of(landing: Path) -> dt.datetime | None:
    """The latest logical time of anything landed (aware, UTC), or None if nothing is."""
    times = [found.as_of for folder in folders(landing) if (found := read_manifest(folder)) is not None]
    return max(map(parse_time, times)) if times else None


def verify(folder: Path) -> list[str]:
    """Compare a landed folder with its manifest; sentences about what differs, empty if nothing does."""
    manifest = read_manifest(folder)
    if manifest is None:
        return [f"{folder}: no readable {NAME}"]
    faults = []
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file():
            faults.append(f"{path}: listed in the manifest and missing")
        elif sha256_of(path) != file.sha256:
            faults.append(f"{path}: content differs from the manifest (SHA-256)")
    known = {file.name for file in manifest.files}
    faults += [f"{path}: not in the manifest" for path in folder.glob("part-*") if path.name not in known]
    return faults


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
