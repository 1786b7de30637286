"""The export files of web analytics: final objects per day, and how they looked before late events."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .columns import Table, take
from .ga4_format import Formatter
from .life import Life
from .tracking import LOST, REWRITES, export_times

CHUNK = 150_000


def jsonl_days(life: Life) -> set[int]:
    """Days that are exported as JSON lines instead of Parquet."""
    count = int(life.config.noise["jsonl_days"])
    return {min(int(life.calendar.days * (0.35 + 0.05 * k)), life.calendar.days - 1) for k in range(count)}


def write_objects(life: Life, measured: Table, formatter: Formatter, folder: Path) -> pa.Table:
    """Write the final object of each day; return the index (one row per day: name, rows, sizes, rewrites)."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = take(measured, measured["rewrite"] != LOST)
    bounds = np.searchsorted(rows["day"], np.arange(life.calendar.total + 1))
    times = export_times(life)
    lines = jsonl_days(life)
    index: list[dict[str, Any]] = []
    late: list[pa.Table] = []
    day = 0
    while day < life.calendar.total:
        stop = day + 1
        while stop < life.calendar.total and bounds[stop + 1] - bounds[day] <= CHUNK:
            stop += 1
        part = {name: values[bounds[day] : bounds[stop]] for name, values in rows.items()}
        table = formatter.table(part)
        for d in range(day, stop):
            first, last = bounds[d] - bounds[day], bounds[d + 1] - bounds[day]
            rewrite = part["rewrite"][first:last]
            name = f"events_{life.calendar.labels[d]}"
            content, suffix, extra = _encode(table.slice(first, last - first), d in lines)
            path = folder / f"{name}{suffix}"
            path.write_bytes(content)
            if extra:
                rewrite = np.r_[rewrite, np.zeros(extra, rewrite.dtype)]
            known = np.flatnonzero(rewrite > 0)
            late.append(
                pa.table(
                    {
                        "day": np.full(len(known), d, np.int32),
                        "row": known.astype(np.int32),
                        "rewrite": rewrite[known],
                    }
                )
            )
            index.append(
                {
                    "day": d,
                    "name": f"{name}/part-000{suffix}",
                    "file": path.name,
                    "rows": len(rewrite),
                    "damaged_lines": extra,
                    "size": len(content),
                    "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                    "rewrites": [k for k in range(REWRITES) if k == 0 or (rewrite == k).any()],
                    "times": times[d].tolist(),
                }
            )
        day = stop
    pq.write_table(pa.concat_tables(late), folder / "late.parquet", compression="zstd")
    result = pa.Table.from_pylist(index)
    pq.write_table(result, folder / "index.parquet", compression="zstd")
    return result


def _encode(table: pa.Table, as_lines: bool) -> tuple[bytes, str, int]:
    if not as_lines:
        return parquet_bytes(table), ".parquet", 0
    lines = [json.dumps(_plain(row), ensure_ascii=False, separators=(",", ":")) for row in table.to_pylist()]
    damaged = [line[: len(line) // 2] for line in lines[7:9]]  # lines cut off in the middle
    return lines_bytes(lines + damaged), ".jsonl.gz", len(damaged)


def parquet_bytes(table: pa.Table) -> bytes:
    """A Parquet file as the export writes it; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue().to_pybytes()


def lines_bytes(lines: list[str]) -> bytes:
    """Gzipped JSON lines without a time stamp in the header."""
    return gzip.compress(("\n".join(lines) + "\n").encode(), 6, mtime=0)


def _plain(value: Any) -> Any:
    """JSON as BigQuery exports it: 64-bit integers as strings, nulls left out."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def earlier_bytes(path: Path, late_rows: np.ndarray) -> bytes:
    """The object without the rows at `late_rows`: how it looked before they arrived."""
    if path.suffix == ".gz":
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        absent = set(late_rows.tolist())
        return lines_bytes([line for number, line in enumerate(lines) if number not in absent])
    table = pq.read_table(path)
    mask = np.ones(table.num_rows, bool)
    mask[late_rows] = False
    return parquet_bytes(table.filter(pa.array(mask)))
