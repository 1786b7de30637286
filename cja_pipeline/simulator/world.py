"""A built world opened for reading: what each vendor shows at a moment, and the truth for tests."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .build import WorldManifest
from .calendar import micros
from .ga4_store import earlier_bytes

LARGE = 1 << 30  # bytes of text
PARTS_KEPT = 8  # pages follow one another: a day's next page lies in the same parts of the file


@dataclass(frozen=True)
class StoredObject:
    """One export object as it is at a moment: name, content file, size, MD5 (hex), generation, time of
    writing (µs).
    """

    name: str
    path: Path
    size: int
    md5: str
    generation: int
    updated: int


class World:
    """Read access to the files of a world; tables are loaded when first used and kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "manifest.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing: there is no simulated world in {folder}; build one with `cja demo`."
            )
        self.manifest = WorldManifest.read(path)
        self._views: dict[Any, Any] = {}
        self._parts: dict[tuple[str, tuple[str, ...], int], pa.Table] = {}

    @staticmethod
    def open(folder: Path | str) -> World:
        """The world in `folder`; opened worlds are shared within the process until rebuilt."""
        folder = Path(folder).resolve()
        manifest = folder / "manifest.json"
        stamp = manifest.stat().st_mtime_ns if manifest.exists() else 0
        return _opened(folder, stamp)

    def truth(self, name: str) -> pd.DataFrame:
        """A truth table (persons, identifiers, sessions, orders, defects, incidents, effects, kpis, counts,
        …).
        """
        return pq.read_table(self.folder / "truth" / f"{name}.parquet").to_pandas()

    def table(self, name: str) -> pa.Table:
        """A vendor stream such as ``klaviyo/events``, sorted by visible_from."""
        if name not in self._views:
            self._views[name] = _in_one_piece(pq.read_table(self.folder / f"{name}.parquet"))
        return self._views[name]

    def numbers(self, name: str, column: str) -> np.ndarray:
        """One column of a stream as a NumPy array, kept for reuse."""
        key = (name, column)
        if key not in self._views:
            table = pq.read_table(self.folder / f"{name}.parquet", columns=[column])
            self._views[key] = table[column].to_numpy()
        return self._views[key]

    def rows(self, name: str, columns: tuple[str, ...], wanted: np.ndarray) -> pa.Table:
        """The wanted rows of a stream in the wanted order; only the parts of the file that hold them are
        read."""
        file = self.view(("file", name), lambda: pq.ParquetFile(self.folder / f"{name}.parquet"))
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        group = np.searchsorted(starts, wanted, side="right") - 1
        pieces = [file.schema_arrow.empty_table().select(columns)]
        for i in np.unique(group).tolist():
            key = (name, columns, i)
            if key not in self._parts:
                while len(self._parts) >= PARTS_KEPT:
                    del self._parts[next(iter(self._parts))]
                self._parts[key] = file.read_row_group(i, columns=list(columns))
            pieces.append(self._parts[key].take(wanted[group == i] - starts[i]))
        return pa.concat_tables(pieces).take(np.argsort(np.argsort(group, kind="stable")))

    def view(self, key: Any, make: Any) -> Any:
        """A derived result, computed once (bounded: the oldest are dropped)."""
        if key not in self._views:
            if len(self._views) > 400:
                for old in [k for k in self._views if isinstance(k, tuple) and k and k[0] == "view"][:200]:
                    del self._views[old]
            self._views[key] = make()
        return self._views[key]

    @cached_property
    def _ga4_index(self) -> list[dict[str, Any]]:
        return pq.read_table(self.folder / "ga4" / "index.parquet").to_pylist()

    @cached_property
    def _ga4_late(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        table = pq.read_table(self.folder / "ga4" / "late.parquet")
        day, row, rewrite = (table[name].to_numpy() for name in ("day", "row", "rewrite"))
        return {int(d): (row[day == d], rewrite[day == d]) for d in np.unique(day)}

    def ga4_objects(self, now: dt.datetime) -> list[StoredObject]:
        """The export objects that exist at `now`, sorted by name."""
        moment = micros(now)
        return [item for entry in self._ga4_index if (item := self._ga4_object(entry, moment)) is not None]

    def _ga4_object(self, entry: dict[str, Any], moment: int) -> StoredObject | None:
        written = [k for k in entry["rewrites"] if entry["times"][k] <= moment]
        if not written:
            return None
        last, updated = written[-1], entry["times"][written[-1]]
        path = self.folder / "ga4" / entry["file"]
        if last == entry["rewrites"][-1]:
            return StoredObject(entry["name"], path, entry["size"], entry["md5"], updated, updated)
        cached = self.folder / "cache" / "ga4" / f"{last}_{entry['file']}"
        if not cached.exists():
            rows, rewrite = self._ga4_late[entry["day"]]
            content = earlier_bytes(path, rows[rewrite > last])
            cached.parent.mkdir(parents=True, exist_ok=True)
            temporary = cached.with_name(f".{cached.name}.{id(content)}")
            temporary.write_bytes(content)
            temporary.replace(cached)
        size, md5 = self.view(("view", cached), lambda: _digest(cached))
        return StoredObject(entry["name"], cached, size, md5, updated, updated)


@lru_cache(maxsize=4)
def _opened(folder: Path, stamp: int) -> World:
    return World(folder)


def _in_one_piece(table: pa.Table) -> pa.Table:
    """The table in one chunk, else every page that is taken of it would join all chunks; Arrow addresses two
    gigabytes of text in a chunk, unless it is told that there are more."""
    fields = [
        field.with_type(pa.large_string()) if field.type == pa.string() and column.nbytes > LARGE else field
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return table.cast(pa.schema(fields)).combine_chunks()


def _digest(path: Path) -> tuple[int, str]:
    content = path.read_bytes()
    return len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()
