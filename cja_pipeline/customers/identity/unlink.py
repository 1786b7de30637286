"""Links that a person declared wrong: kept in a file of decisions, obeyed by every night until taken back.

``$CJA_HOME/decisions/unlinked.jsonl`` has one line per decision, in the order they were made; the last one
about a pair holds. It survives a rebuild of the warehouse.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.config import StrictModel, load_lines
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.warehouse import Warehouse

FILE = "unlinked.jsonl"
TABLE = "customers.identity_unlinked"


@dataclass(frozen=True)
class Decision:
    """Two records (record_key < other_key) that are not, or after all may be, one person."""

    record_key: str
    other_key: str
    unlinked: bool
    reason: str
    decided_at: dt.datetime


class _Line(StrictModel):
    record_key: str
    other_key: str
    unlinked: bool
    reason: str
    decided_at: dt.datetime


def decide(
    folder: Path, record_key: str, other_key: str, *, unlinked: bool, reason: str, at: dt.datetime
) -> Decision:
    """Write down a decision about two records; the next night obeys it.

    Args:
        folder: the folder of decisions. at: when (UTC, naive).

    Raises:
        ValueError: the records are one and the same, the reason is empty, or there is no link to take back.
    """
    one, two = sorted((record_key, other_key))
    if one == two:
        raise ValueError(f"{one} cannot be unlinked from itself; name two records")
    if not reason.strip():
        raise ValueError("a decision needs a reason")
    if not unlinked and not any((d.record_key, d.other_key) == (one, two) for d in standing(folder)):
        raise ValueError(f"{one} and {two} were not unlinked: there is nothing to take back")
    made = Decision(one, two, unlinked, reason.strip(), at)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = {**vars(made), "decided_at": at.isoformat(timespec="seconds")}
    path = folder / FILE
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, before + (json.dumps(line, ensure_ascii=False) + "\n").encode())
    return made


def standing(folder: Path | None) -> list[Decision]:
    """The pairs that are declared two people as of now, in the order of their keys.

    Raises:
        ConfigError: a line of the file is not a decision; the message names file and line.
    """
    last: dict[tuple[str, str], Decision] = {}
    for line in load_lines(folder / FILE, _Line, "not a decision about two records") if folder else []:
        at = line.decided_at
        naive = at.astimezone(dt.UTC).replace(tzinfo=None) if at.tzinfo else at
        made = Decision(line.record_key, line.other_key, line.unlinked, line.reason, naive)
        last[made.record_key, made.other_key] = made
    return [last[pair] for pair in sorted(last) if last[pair].unlinked]


def apply(wh: Warehouse, decisions: Sequence[Decision]) -> None:
    """Bring identity_unlinked up to date; leaves the temporary table `unlinked_moved` (node)."""
    import pandas as pd

    wh.ensure(TABLE)
    columns = ["record_key", "other_key", "reason", "unlinked_at"]
    rows = [(d.record_key, d.other_key, d.reason, d.decided_at) for d in decisions]
    now = pd.DataFrame(rows, columns=columns).astype({"unlinked_at": "datetime64[us]"})
    wh.connection.register("unlinked_now", now)
    try:
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE unlinked_moved AS SELECT r.node FROM customers.identity_records r"
            " JOIN (SELECT unnest([coalesce(n.record_key, o.record_key), coalesce(n.other_key, o.other_key)])"
            f" AS record_key FROM unlinked_now n FULL JOIN {TABLE} o ON o.record_key = n.record_key"
            " AND o.other_key = n.other_key WHERE o.record_key IS NULL OR n.record_key IS NULL) USING"
            " (record_key)"
        )
        wh.execute(f"DELETE FROM {TABLE}")
        wh.execute(f"INSERT INTO {TABLE} SELECT record_key, other_key, reason, unlinked_at FROM unlinked_now")
    finally:
        wh.connection.unregister("unlinked_now")
