"""JSON-lines files, read so that a damaged one still gives every line that can be read.

Lines become Arrow text without copying; what cannot be read is said with file, line and cause. Gzip and plain
files are told apart by their first bytes, not by their name.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cja_pipeline.validated.landed import File

if TYPE_CHECKING:
    import pyarrow as pa

GZIP = b"\x1f\x8b"
CUT_OFF = "gzip file cut off before its end"
PIECE = 1 << 16  # deflate expands a thousandfold at most: 64 MB at a time
BOM = b"\xef\xbb\xbf"
MAX_EXPANSION = 250  # JSON lines shrink some twentyfold; what shrinks more than this is no data
MIN_LIMIT = 64 << 20
MAX_LINE = 16 << 20


@dataclass
class Lost:
    """Records that cannot be used.

    `row` is the line (0: the file as a whole), `records` how many it stands for.
    """

    file: File
    row: int
    records: int
    rule: str
    cause: str
    payload: str | None = None


@dataclass
class Lines:
    """The usable lines of a file and what was lost. `text` and `numbers` run in parallel (numbers from 1)."""

    file: File
    text: pa.LargeStringArray
    numbers: np.ndarray
    lost: list[Lost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.numbers)


def read_lines(file: File) -> Lines:
    """The lines of a landed JSON-lines file; blank lines are no records."""
    import pyarrow as pa

    nothing = Lines(file, pa.array([], pa.large_string()), np.zeros(0, np.int64))
    try:
        data = file.path.read_bytes()
    except OSError as error:
        return _whole(nothing, "missing_file", f"the file cannot be read: {type(error).__name__}")
    notes = []
    altered = bool(file.sha256) and hashlib.sha256(data).hexdigest() != file.sha256
    if altered:
        notes.append("the content differs from its manifest (SHA-256)")
    text, cause = unpack(data)
    if altered and cause != CUT_OFF:
        # values may have changed without a trace: only of a file that merely ends early is the rest sound
        nothing.notes = notes
        return _whole(nothing, "unreadable_file", "; ".join([*notes, *([cause] if cause else [])]))
    text = text.removeprefix(BOM)
    if text.lstrip()[:1] == b"<" and b"\n{" not in text:
        nothing.notes = notes
        first = text.lstrip()[:500].decode("utf-8", "replace")
        return _whole(nothing, "not_json", "a web page (HTML or XML) instead of JSON lines", first)
    lines = _cut(file, text)
    lines.notes = notes
    missing = file.rows - lines.count - sum(one.records for one in lines.lost)
    if cause or missing > 0:
        cause = cause or "the file has fewer lines than its manifest says"
        lines.notes.append(cause)
        if missing > 0:
            lines.lost.append(Lost(file, 0, missing, "lost_rows", f"{cause}; {missing} rows are missing"))
    elif missing < 0:
        lines.notes.append(f"{-missing} more lines than the manifest says")
    return lines


def unpack(data: bytes) -> tuple[bytes, str]:
    """The text in `data` (gzip members or plain), as far as it can be read, and why it stops early if it
    does."""
    if data[:1] != GZIP[:1]:
        return data, "" if data else "the file is empty"
    limit = max(MAX_EXPANSION * len(data), MIN_LIMIT)
    pieces: list[bytes] = []
    size, rest = 0, data
    while rest:
        stream = zlib.decompressobj(31)
        at = 0
        try:
            while at < len(rest) and not stream.eof:
                pieces.append(stream.decompress(rest[at : at + PIECE]))
                size += len(pieces[-1])
                at += PIECE
                if size > limit:
                    return b"", f"expands more than {MAX_EXPANSION}-fold"
        except zlib.error as error:
            return b"".join(pieces), f"damaged gzip file: {error}"
        if not stream.eof:
            return b"".join(pieces), CUT_OFF
        rest = stream.unused_data + rest[at:]
        if rest and rest[:2] != GZIP:
            return b"".join(pieces), "bytes after the end of the gzip file"
    return b"".join(pieces), ""


def why_malformed(line: str) -> str:
    """What is wrong with a line, without quoting it."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        return "JSON nested too deeply"
    return (
        "not readable as a record" if isinstance(value, dict) else f"not an object but {type(value).__name__}"
    )


def _cut(file: File, text: bytes) -> Lines:
    """Cut text into lines; lines that are not UTF-8 are lost, blank ones are left out."""
    import pyarrow as pa

    if not text:
        return Lines(file, pa.array([], pa.large_string()), np.zeros(0, np.int64))
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10) + 1
    if not text.endswith(b"\n"):
        ends = np.append(ends, len(text))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    array = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))
    numbers = np.arange(1, len(ends) + 1)
    keep = np.ones(len(ends), bool)
    for index in np.flatnonzero(np.diff(offsets) <= 2):
        keep[index] = bool(text[offsets[index] : offsets[index + 1]].strip())
    lost: list[Lost] = []
    for index in np.flatnonzero(np.diff(offsets) > MAX_LINE):
        keep[index] = False
        cause = f"longer than {MAX_LINE >> 20} MB"
        start = text[offsets[index] : offsets[index] + 200].decode("utf-8", "replace")
        lost.append(Lost(file, int(numbers[index]), 1, "oversized_line", cause, start))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        for index in np.flatnonzero(keep):
            line = text[offsets[index] : offsets[index + 1]]
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                keep[index] = False
                cause = f"not UTF-8 text at byte {error.start}"
                payload = line.decode("utf-8", "replace")
                lost.append(Lost(file, int(numbers[index]), 1, "malformed_line", cause, payload))
    if not keep.all():
        rows = [text[offsets[index] : offsets[index + 1]].decode("utf-8") for index in np.flatnonzero(keep)]
        array = pa.array(rows, pa.large_string())
    return Lines(file, array, numbers[keep], lost)


def _whole(lines: Lines, rule: str, cause: str, payload: str | None = None) -> Lines:
    records = max(lines.file.rows, 1)
    lines.lost.append(Lost(lines.file, 0, records, rule, cause, payload))
    lines.notes.append(cause)
    return lines
