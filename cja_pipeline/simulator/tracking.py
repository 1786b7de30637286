"""What web analytics measures of the true events: losses, delays, doubles and damage, each noted for the
truth.

The daily export of business day d first appears at d+1 02:00 local time and is rewritten on the next three
nights with what arrived since; what arrives later is lost. Every measured row says from which rewrite
(0..3) on it is there.
"""

from __future__ import annotations

import numpy as np

from .columns import HOUR, MINUTE, SECOND, Table, concat, length, rng_for, take
from .life import Life
from .steps import E
from .web import incident_window

REWRITES = 4
EXPORT_HOUR = 2
LOST = 9
DAMAGE = ["no_event_name", "zero_timestamp", "far_future", "negative_value", "hostile_text"]


def export_times(life: Life) -> np.ndarray:
    """UTC microseconds of each rewrite: day x rewrite."""
    edges = life.calendar.edges
    return np.stack(
        [edges[1 + k : 1 + k + life.calendar.total] + EXPORT_HOUR * HOUR for k in range(REWRITES)], axis=1
    )


def measure(life: Life) -> Table:
    """Measured events sorted by day and time.

    Columns: event (row in `life.events`), ts and sent (as stamped, after clock skew), offset (server offset
    µs), day, rewrite (0..3 or LOST), copy (0 original, 1 exact duplicate, 2 second purchase tag, 3
    damaged), damage (-1 or kind).
    """
    rng = rng_for(life.seed, "tracking")
    events, visits, noise = life.events, life.visits, life.config.noise
    visit = events["visit"]
    name, ts = events["name"], events["ts"]
    keep = ~visits["adblock"][visit]
    for incident in life.config.incidents:
        if incident.kind == "tracking":
            since, until = incident_window(life.calendar, incident)
            keep &= ~((ts >= since) & (ts < until))
    purchase = np.flatnonzero(name == E["purchase"])
    fails = np.zeros(length(visits), bool)
    web = life.orders["sales"] == 0
    fails[life.orders["visit"][web]] = life.orders["tag_fails"][web]
    keep[purchase] &= ~fails[visit[purchase]]
    skewed = rng.random(length(visits)) < noise["clock_skew"]
    shift = np.where(skewed, (rng.normal(0, 9, length(visits)) * MINUTE).astype(np.int64), 0)
    offline = rng.random(length(visits)) < noise["late"]
    delay = np.where(
        offline, (rng.exponential(noise["late_hours"], length(visits)) * HOUR).astype(np.int64), 0
    )
    rows = np.flatnonzero(keep)
    table: Table = {
        "event": rows,
        "ts": ts[rows] + shift[visit[rows]],
        "offset": (-shift[visit[rows]] + 40_000).astype(np.int64),
        "copy": np.zeros(len(rows), np.int8),
        "damage": np.full(len(rows), -1, np.int8),
        "late": offline[visit[rows]],
        "arrival": ts[rows] + delay[visit[rows]],
    }
    table = concat([table, _double_tags(life, table, rng)])
    table["day"] = life.calendar.day_of(table["ts"])
    table = take(table, (table["day"] >= 0) & (table["day"] < life.calendar.total))
    times = export_times(life)[table["day"]]
    table["rewrite"] = (table["arrival"][:, None] > times).sum(axis=1).astype(np.int8)
    table["rewrite"][table["rewrite"] >= REWRITES] = LOST
    table["late"] &= table["rewrite"] > 0
    seen = np.flatnonzero(table["rewrite"] != LOST)
    again = take(table, seen[rng.random(len(seen)) < noise["duplicates"]])
    again["copy"][:] = 1
    broken = take(table, seen[rng.random(len(seen)) < noise["malformed"]])
    broken["copy"][:] = 3
    broken["damage"] = rng.integers(0, len(DAMAGE), length(broken)).astype(np.int8)
    table = concat([table, again, broken])
    del table["arrival"]
    return take(table, np.lexsort((table["copy"], table["event"], table["ts"], table["day"])))


def _double_tags(life: Life, table: Table, rng: np.random.Generator) -> Table:
    bought = np.flatnonzero(life.events["name"][table["event"]] == E["purchase"])
    twice = np.zeros(len(bought), bool)
    for incident in life.config.incidents:
        if incident.kind == "purchase_tag":
            since, until = incident_window(life.calendar, incident)
            at = table["ts"][bought]
            twice |= (at >= since) & (at < until) & (rng.random(len(bought)) < incident.effect)
    second = take(table, bought[twice])
    later = (rng.uniform(0.6, 2.4, length(second)) * SECOND).astype(np.int64)
    second["ts"] = second["ts"] + later
    second["arrival"] = second["arrival"] + later
    second["copy"][:] = 2
    return second


def tracked_orders(life: Life, table: Table) -> np.ndarray:
    """Whether each order's purchase event is in the final export."""
    names = life.events["name"][table["event"]]
    rows = table["event"][(names == E["purchase"]) & (table["rewrite"] != LOST) & (table["copy"] == 0)]
    seen = np.zeros(length(life.visits), bool)
    seen[life.events["visit"][rows]] = True
    visit = life.orders["visit"]
    return (visit >= 0) & seen[np.maximum(visit, 0)]
