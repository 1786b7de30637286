"""Published tables as files: Parquet as it is, CSV in a form that a spreadsheet cannot take for formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.publish import read_published
from cja_pipeline.privacy.copies import Copy, note_copy
from cja_pipeline.settings import get_settings
from cja_pipeline.spreadsheet import csv_bytes, parquet_bytes
from cja_pipeline.tables import TABLES

Format = Literal["parquet", "csv"]


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
