"""Write the vendors' streams of a world as Parquet files, sorted by the moment they become visible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .columns import NEVER
from .email_rows import METRIC_IDS, metric, profile, profile_id
from .identity import Identities
from .life import Life

ROWS_TOGETHER = 10_000  # what is read at least: a day of a busy stream
COMMENTS = pa.schema(
    [(name, pa.string()) for name in ("id", "post_id", "parent", "author", "author_name", "message")]
    + [(name, pa.int64()) for name in ("created_at", "visible_from", "likes")]
)


def write_versions(rows: list[dict[str, Any]], path: Path) -> None:
    """Versions sorted by visible_from, each with the moment the next version replaces it."""
    rows.sort(key=lambda row: (row["visible_from"], row["id"]))
    following: dict[str, int] = {}
    until = [0] * len(rows)
    for position in range(len(rows) - 1, -1, -1):
        id_ = rows[position]["id"]
        until[position] = following.get(id_, int(NEVER))
        following[id_] = rows[position]["visible_from"]
    table = pa.table(
        {
            "id": [row["id"] for row in rows],
            "visible_from": [row["visible_from"] for row in rows],
            "until": until,
            "created_at": [row["created_at"] for row in rows],
            "archived": [row["archived"] for row in rows],
            "gone": [row["gone"] for row in rows],
            "contact_id": pa.array([row.get("contact_id") for row in rows], pa.string()),
            "properties": [json.dumps(row["properties"], ensure_ascii=False) for row in rows],
        }
    )
    write(table, path)


def write_email(
    life: Life, identities: Identities, rows: dict[str, Any], ids: list[str], texts: list[str], folder: Path
) -> None:
    people = np.unique(life.email["person"]).tolist()
    profiles = [profile(life, identities, person) for person in people]
    table = pa.table(
        {"id": [p["id"] for p in profiles], "json": [json.dumps(p, ensure_ascii=False) for p in profiles]}
    )
    write(table, folder / "profiles.parquet")
    write(
        pa.table({"id": METRIC_IDS, "json": [json.dumps(metric(k)) for k in range(len(METRIC_IDS))]}),
        folder / "metrics.parquet",
    )
    name = {person: profile_id(person) for person in people}
    persons = life.email["person"][rows["row"]].tolist()
    kinds = life.email["kind"][rows["row"]]
    broken = rows["copy"] == 3
    profile_column = pa.array(
        [None if b else name[p] for p, b in zip(persons, broken.tolist(), strict=True)], pa.string()
    )
    metric_column = pa.array(METRIC_IDS).take(pa.array(kinds))
    table = pa.table(
        {
            "id": ids,
            "visible_from": rows["visible_from"],
            "ts": rows["ts"],
            "profile_id": profile_column,
            "metric_id": metric_column,
            "json": texts,
        }
    )
    write(table, folder / "events.parquet")


def write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS_TOGETHER)
