"""How many rows each vendor offers per stream and business day: the other side of "nothing lost, nothing
doubled".

Columns: offered (in the end; CRM: versions by day of modification), known and final (what one pull of
everything returns at the end of history and of the horizon; CRM: records by the day of their latest
version, archived ones included, merged and erased ones not), duplicates, malformed, late, lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .life import Life
from .tracking import LOST, export_times
from .truth_sessions import as_of_times

if TYPE_CHECKING:
    from .truth import Emitted

Row = dict[str, Any]
COLUMNS = ("offered", "known", "final", "duplicates", "malformed", "late", "lost")


def count_rows(life: Life, emitted: Emitted) -> list[Row]:
    """Counts per source, stream and day; days before the start and after the horizon are left out."""
    rows = _table(life, "ga4", "events", _web(life, emitted))
    rows += _table(life, "klaviyo", "events", _email(life, emitted))
    for stream in emitted.versions:
        rows += _table(life, "hubspot", stream, _crm(life, emitted, stream))
    for stream in ("insights", "posts", "comments"):
        rows += _table(life, "meta", stream, _social(life, emitted, stream))
    return rows


def _table(life: Life, source: str, stream: str, counts: dict[str, np.ndarray]) -> list[Row]:
    rows = []
    for d in range(life.calendar.total):
        values = {name: int(counts[name][d]) if name in counts else 0 for name in COLUMNS}
        rows.append({"source": source, "stream": stream, "day": life.calendar.dates[d]} | values)
    return rows


def _per_day(life: Life, day: np.ndarray, mask: np.ndarray) -> np.ndarray:
    day = day[mask & (day >= 0) & (day < life.calendar.total)]
    return np.bincount(day, minlength=life.calendar.total)


def _web(life: Life, emitted: Emitted) -> dict[str, np.ndarray]:
    measured, known_at = emitted.measured, as_of_times(life)["known"]
    day, times = measured["day"], export_times(life)
    kept = measured["rewrite"] != LOST
    written = times[day, np.minimum(measured["rewrite"], times.shape[1] - 1)]
    cut = np.zeros(life.calendar.total, np.int64)
    for entry in emitted.index.to_pylist():
        cut[entry["day"]] = entry["damaged_lines"]
    everything = _per_day(life, day, kept) + cut
    return {
        "offered": everything,
        "known": _per_day(life, day, kept & (written <= known_at)) + cut * (times[:, 0] <= known_at),
        "final": everything,
        "duplicates": _per_day(life, day, measured["copy"] == 1),
        "malformed": _per_day(life, day, measured["copy"] == 3) + cut,
        "late": _per_day(life, day, measured["late"] & kept),
        "lost": _per_day(life, day, ~kept),
    }


def _email(life: Life, emitted: Emitted) -> dict[str, np.ndarray]:
    mail = emitted.mail_rows
    day = life.calendar.day_of(mail["ts"])
    everything = _per_day(life, day, np.ones(len(day), bool))
    return {
        "offered": everything,
        "known": _per_day(life, day, mail["visible_from"] <= as_of_times(life)["known"]),
        "final": everything,
        "duplicates": _per_day(life, day, mail["copy"] == 1),
        "malformed": _per_day(life, day, mail["copy"] == 3),
        "late": _per_day(life, day, mail["late"]),
    }


def _crm(life: Life, emitted: Emitted, stream: str) -> dict[str, np.ndarray]:
    versions = emitted.versions[stream]
    moments = np.array([version["visible_from"] for version in versions], np.int64)
    gone = np.array([version["gone"] for version in versions], bool)
    broken = {version["id"] for _, version in emitted.broken[stream]}
    damaged = np.array([version["id"] in broken for version in versions], bool)
    day = life.calendar.day_of(moments)
    counts = {"offered": _per_day(life, day, ~gone), "malformed": _per_day(life, day, damaged)}
    for name, until in as_of_times(life).items():
        latest: dict[str, int] = {}
        for position in np.flatnonzero(moments <= until).tolist():  # versions are sorted by time
            latest[versions[position]["id"]] = position
        mask = np.zeros(len(versions), bool)
        mask[list(latest.values())] = True
        counts[name] = _per_day(life, day, mask & ~gone)
    return counts


def _social(life: Life, emitted: Emitted, stream: str) -> dict[str, np.ndarray]:
    if stream == "insights":
        rows = [row for row in emitted.insights if row["step"] == 0]
        day = np.array([row["day"] for row in rows], np.int64)
    else:
        rows = emitted.posts if stream == "posts" else emitted.comments
        day = life.calendar.day_of(np.array([row["created_at"] for row in rows], np.int64))
    shown = np.array([row.get("visible_from", row.get("created_at")) for row in rows], np.int64)
    damaged = np.array([row.get("damaged", False) for row in rows], bool)
    everything = _per_day(life, day, np.ones(len(day), bool))
    return {
        "offered": everything,
        "known": _per_day(life, day, shown <= as_of_times(life)["known"]),
        "final": everything,
        "malformed": _per_day(life, day, damaged),
    }
