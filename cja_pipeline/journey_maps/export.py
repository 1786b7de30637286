"""Published tables as files: Parquet as it is, CSV in a form that a spreadsheet cannot take for formulas."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
        OSError: the folder cannot be written. If nothing was written, no new folder is left behind.
    """
    published = TABLES.published()
    unknown = [name for name in tables if name not in published]
    if unknown:
        known = ", ".join(sorted(published))
        raise ValueError(f"not published: {', '.join(unknown)}. Published tables: {known}")
    found = []
    with _made(folder):
        for name in dict.fromkeys(tables or sorted(published)):
            frame = read_published(name)
            path = folder / f"{name}.{form}"
            write_atomically(path, parquet_bytes(frame) if form == "parquet" else csv_bytes(frame))
            note_copy(get_settings(), Copy(path, name, form))
            found.append(Exported(name, path, len(frame)))
    return found


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder to write into, tried before the work. If that fails, what is new and empty goes again."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(
                f"{folder} cannot be written: {error.strerror}. Name a folder that you may write to with -o."
            ) from error
        yield
    except BaseException:
        with suppress(OSError):  # one that is not empty stays, and with it those above
            for one in new:
                one.rmdir()
        raise
