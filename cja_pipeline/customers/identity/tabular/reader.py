"""Reading a table of people from a file: whatever delimiter and encoding, every value as it is written."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.tabular.columns import TableError

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t|"
SAMPLE_LINES = 20
LONGEST_FIELD = 10_000_000
SAMPLE = 4096  # characters that show whether a file is text
MOST_CONTROLS = 0.05  # of them that steer a device instead of being read; of random bytes a tenth does
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1f\x7f]")
# a header may be written <name> or [name], too
_PAGE = re.compile(r"<(!|\?|(html|head|body|table|svg|rss)\b)", re.IGNORECASE)
_JSON = re.compile(r"\{\s*[\"}]|\[\s*[\"{\[]")
# first bytes of files that people take for tables, and what they are
OTHER_FILES = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "a database of SQLite",
    b"PAR1": "a Parquet file without its ending .parquet",
}
FALLBACK = "cp1252"  # what spreadsheets of the western world save that is not Unicode


def read_table(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV (comma, semicolon, tab or bar; UTF-8, UTF-16 or Windows-1252) or Parquet file.

    Returns:
        The table, texts stripped and empty ones None; and notes that a person should read.

    Raises:
        TableError: the file cannot be read; the message names the line.
    """
    if not path.exists():
        raise TableError(f"{path}: there is no such file")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _parquet(path), []
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise TableError(f"{path}: spreadsheets are not read; save the sheet as CSV")
    if path.is_dir():
        raise TableError(f"{path}: this is a folder; name the file in it")
    raw = path.read_bytes()
    text, notes = _decoded(raw)
    _refuse_other(path, raw, text)
    return _csv(path, text, notes)


def _refuse_other(path: Path, raw: bytes, text: str) -> None:
    """A page or a program has lines and commas, too: it must not be taken for a table of nobody."""
    start = text[:SAMPLE].replace("\x00", "").lstrip()
    known = [what for first, what in OTHER_FILES.items() if raw.startswith(first)]
    if known:
        found = known[0]
    elif _PAGE.match(start):
        found = "a page of HTML or XML"
    elif _JSON.match(start):
        found = "JSON"
    elif len(_CONTROL.findall(start)) > MOST_CONTROLS * len(start):
        found = "binary data"
    else:
        return
    raise TableError(
        f"{path}: this is {found}, not a table; expected CSV (comma, semicolon, tab or bar) or Parquet, with "
        "a header and one row per record"
    )


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except Exception as error:  # the library has many, none of which says more
        raise TableError(f"{path}: this is no Parquet file ({error})") from error


def _decoded(raw: bytes) -> tuple[str, list[str]]:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace"), []
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        note = f"line {line} is not UTF-8: the file was read as Windows-1252; check names with accents"
        return raw.decode(FALLBACK, errors="replace"), [note]


def _csv(path: Path, text: str, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    text = text.replace("\x00", "")
    if not text.strip():
        raise TableError(f"{path}: the file is empty; expected a header and one row per record")
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    body: list[list[str | None]] = []
    begins = 1  # line of the row at hand: an open quote swallows the lines behind it
    try:
        header = _unique([name.strip() for name in next(rows)], notes)
        begins = rows.line_num + 1
        for row in rows:
            extra = row[len(header) :]
            if any(row) and (len(row) < len(header) or any(extra)):
                raise TableError(
                    f"{path}, line {begins}: {len(row)} fields where the header has {len(header)}; "
                    "a value that holds the delimiter or a line break must stand in double quotes"
                )
            if any(row):
                body.append([value.strip() or None for value in row[: len(header)]])
            begins = rows.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{path}, line {begins}: {error}; double quotes must close, and one inside of a quoted value "
            "must be doubled"
        ) from error
    return pd.DataFrame(body, columns=header, dtype=object), notes


def _delimiter(text: str) -> str:
    """The one that the first lines have most evenly: as many in the header as in the others."""
    lines = text.splitlines()[:SAMPLE_LINES]

    def rank(delimiter: str) -> tuple[int, int]:
        wanted = lines[0].count(delimiter)
        return (sum(line.count(delimiter) == wanted for line in lines) if wanted else 0, wanted)

    return max(DELIMITERS, key=rank)


def _unique(header: list[str], notes: list[str]) -> list[str]:
    """Names for unnamed columns, and numbers behind names that occur again."""
    found: list[str] = []
    for place, name in enumerate(header, 1):
        wanted, number = name or f"column {place}", 1
        unique = wanted
        while unique in found:
            number += 1
            unique = f"{wanted} {number}"
        if name and unique != name:
            notes.append(f"column {name!r} occurs again; the second is called {unique!r}")
        found.append(unique)
    return found
