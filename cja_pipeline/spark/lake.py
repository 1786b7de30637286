"""The lake: a folder of Parquet files that the driver's DuckDB and every Spark worker see under one path.

A table that a model made is a folder of its own per version, ``lake/<schema>/<table>/v<id>``; the table of
places in the driver's file says which one counts, and changes in the transaction that says so. A table of
days stays in its folder and has a partition per day, ``lake/<schema>/<table>/v<id>/_dt=2026-11-01``.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.warehouse import Warehouse

PLACES = "main.lake_places"
SPARED = "spared/"  # begins the names of places that another driver's file counts
MODEL, COPY, DAYS = "model", "copy", "days"  # Spark made it; the driver holds it too; partitions of days
DAY = "_dt"


@dataclass(frozen=True)
class Place:
    """Where the files of a table are and how they came there."""

    kind: str
    folder: Path

    @property
    def files(self) -> str:
        return str(self.folder / f"{DAY}=*" / "*.parquet" if self.kind == DAYS else self.folder / "*.parquet")


class Lake:
    """Places of tables. Reads and writes the table of places on the connection of the warehouse, so that
    what is rolled back there is rolled back here."""

    def __init__(self, wh: Warehouse, folder: Path) -> None:
        self._wh, self.folder = wh, folder
        _prepare(wh)
        folder.mkdir(parents=True, exist_ok=True)

    def place(self, name: str) -> Place | None:
        """Where a table's files are, or None if it is in the driver's file only."""
        rows = self._wh.connection.execute(
            f"SELECT kind, folder FROM {PLACES} WHERE name = ?", [name]
        ).fetchall()
        return Place(rows[0][0], Path(rows[0][1])) if rows else None

    def names(self) -> list[str]:
        """The tables that have files here."""
        return [row[0] for row in self._wh.connection.execute(f"SELECT name FROM {PLACES}").fetchall()]

    def put(self, name: str, kind: str) -> Place:
        """A new place for a table; what it had before is forgotten, and removed by `tidy`."""
        base = self.folder.joinpath(*name.split("."))
        place = Place(kind, base / f"v{uuid.uuid4().hex}")
        place.folder.mkdir(parents=True, exist_ok=True)
        self.forget(name)
        self._wh.connection.execute(f"INSERT INTO {PLACES} VALUES (?, ?, ?)", [name, kind, str(place.folder)])
        return place

    def forget(self, name: str) -> None:
        self._wh.connection.execute(f"DELETE FROM {PLACES} WHERE name = ?", [name])

    def tidy(self) -> None:
        """Remove the files that no table counts any more: earlier versions, and those of crashed runs."""
        kept = {
            Path(row[0]) for row in self._wh.connection.execute(f"SELECT folder FROM {PLACES}").fetchall()
        }
        for version in self.folder.glob("*/*/*"):
            if version not in kept:
                shutil.rmtree(version, ignore_errors=True)  # what stays is removed the next time


def spare(wh: Warehouse, other: str) -> None:
    """Let files that an attached warehouse counts stay while this one grows in the same lake."""
    _prepare(wh)
    schema, _, table = PLACES.partition(".")
    known = wh.scalar(
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = ? AND table_schema = ? "
        "AND table_name = ?",
        [other, schema, table],
    )
    if known:
        wh.execute(f"INSERT INTO {PLACES} SELECT '{SPARED}' || name, kind, folder FROM {other}.{PLACES}")


def release(wh: Warehouse) -> None:
    """Spare nothing any more: this warehouse takes the other's place."""
    _prepare(wh)
    wh.execute(f"DELETE FROM {PLACES} WHERE starts_with(name, '{SPARED}')")


def _prepare(wh: Warehouse) -> None:
    wh.connection.execute(f"CREATE TABLE IF NOT EXISTS {PLACES} (name VARCHAR, kind VARCHAR, folder VARCHAR)")
