"""Published tables as files: Parquet as it is, CSV in a form that a spreadsheet cannot take for formulas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.publish import read_published
from cja_pipeline.privacy.copies import Copy, note_copy
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["parquet", "csv"]
# what a spreadsheet takes for a formula when a cell begins with it, behind spaces too
_FORMULA = re.compile(r"^\s*[=+\-@\t\r]|^[\t\r\n]")


@dataclass(frozen=True)
class Exported:
    """One written file."""

    table: str
    path: Path
    rows: int


def export_tables(folder: Path, tables: Sequence[str] = (), form: Format = "parquet") -> list[Exported]:
    """Write published tables to ``<folder>/<table>.<format>``, each file as a whole. Where they went is kept,
    so that an erasure finds them.

    Args:
        tables: published names; none means all.
        form: parquet keeps types and texts as they are; csv is UTF-8 with a header, times in UTC, and an
            apostrophe before every text that a spreadsheet would run as a formula.

    Raises:
        ValueError: a table is not published; the message lists those that are.
    """
    published = TABLES.published()
    unknown = [name for name in tables if name not in published]
    if unknown:
        known = ", ".join(sorted(published))
        raise ValueError(f"not published: {', '.join(unknown)}. Published tables: {known}")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in dict.fromkeys(tables or sorted(published)):
        frame = read_published(name)
        path = folder / f"{name}.{form}"
        write_atomically(path, parquet_bytes(frame) if form == "parquet" else csv_bytes(frame))
        note_copy(get_settings(), Copy(path, name, form))
        found.append(Exported(name, path, len(frame)))
    return found


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A table as Parquet, compressed with Zstandard."""
    import io

    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A table as CSV (RFC 4180) without formulas; numbers, dates and booleans are left alone."""
    safe = frame.rename(columns=neutral)
    for place, column in enumerate(frame.columns):
        if holds_text(frame[column]):
            safe.isetitem(place, frame[column].map(neutral, na_action="ignore"))
    return bytes(safe.to_csv(index=False, lineterminator="\r\n", date_format="%Y-%m-%d %H:%M:%S").encode())


def holds_text(column: pd.Series) -> bool:
    """Whether a column can hold text."""
    import pandas as pd

    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)


def neutral(value: object) -> object:
    """A text that no spreadsheet runs: ``=1+1`` becomes ``'=1+1``; anything but text is left alone."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value
