"""Writing vendors' records as gzip-compressed JSON lines, the same bytes for the same records."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from cja_pipeline.sources.manifest import LandedFile

ROWS_PER_PART = 500_000
LINES_PER_WRITE = 500
COMPRESSION = 3
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def line_of(record: Any) -> bytes:
    """One record as a JSON line without the line end: keys in the vendor's order, UTF-8.

    Raises ValueError for what JSON or UTF-8 cannot hold (NaN, infinite numbers, lone surrogates): such a
    line would make the whole file unreadable later.
    """
    return _JSON.encode(record).encode("utf-8")


class LinesFile:
    """A ``.jsonl.gz`` file being written; no clock and no name inside, so equal lines give equal bytes."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._raw: BinaryIO = path.open("wb")
        self._zip = gzip.GzipFile(
            filename="", mode="wb", fileobj=self._raw, compresslevel=COMPRESSION, mtime=0
        )
        self._waiting: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.rows += 1
        self._waiting.append(line)
        if len(self._waiting) >= LINES_PER_WRITE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._zip.write(b"\n".join(self._waiting) + b"\n")
            self._waiting.clear()

    def close(self) -> LandedFile:
        """Finish, sync to disk, and describe the file."""
        self._flush()
        self._zip.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        data = self.path.open("rb")
        with data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        return LandedFile(self.path.name, digest, self.rows, self.path.stat().st_size)


class RecordWriter:
    """Splits records into parts and puts aside what cannot be written.

    Counters: `rows` written, `rejected` kept in ``rejected/records.jsonl.gz`` as
    ``{"reason": ..., "raw": ...}``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = self.rejected = 0
        self._files: list[LandedFile] = []
        self._part: LinesFile | None = None
        self._rejects: LinesFile | None = None

    def add(self, record: Any) -> None:
        try:
            line = line_of(record)
        except (ValueError, RecursionError) as error:
            self.reject(record, f"cannot be written as JSON: {type(error).__name__}")
            return
        if self._part is None or self._part.rows >= ROWS_PER_PART:
            self._finish_part()
            self._part = LinesFile(self.folder / f"part-{len(self._files):03d}.jsonl.gz")
        self._part.write(line)
        self.rows += 1

    def reject(self, raw: Any, reason: str) -> None:
        if self._rejects is None:
            (self.folder / "rejected").mkdir(mode=0o700, exist_ok=True)
            self._rejects = LinesFile(self.folder / "rejected" / "records.jsonl.gz")
        text = raw if isinstance(raw, str) else json.dumps(raw, default=repr)
        self._rejects.write(json.dumps({"reason": reason, "raw": text}).encode("ascii"))
        self.rejected += 1

    def close(self) -> list[LandedFile]:
        """Finish all files and return the parts with records in them. Calling it again changes nothing."""
        self._finish_part()
        if self._rejects is not None:
            self._rejects.close()
            self._rejects = None
        files, self._files = self._files, []
        return files

    def _finish_part(self) -> None:
        if self._part is not None:
            self._files.append(self._part.close())
            self._part = None
