"""Sessions by the 30-minute rule, straight from the world's own events; no pipeline code is involved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import DAY, HOUR, MINUTE, Table, length
from .life import Life
from .steps import E
from .tracking import LOST, export_times

if TYPE_CHECKING:
    from .truth import Emitted

TIMEOUT = 30 * MINUTE


def as_of_times(life: Life) -> dict[str, int]:
    """UTC µs of the two bases: known (the night after the history) and final (after the horizon)."""
    edges, calendar = life.calendar.edges, life.calendar
    return {"known": int(edges[calendar.days]) + 4 * HOUR, "final": int(edges[calendar.total]) + 5 * DAY}


def ruled_sessions(life: Life, emitted: Emitted, as_of: int) -> Table:
    """Sessions over the events visible at `as_of`; crawlers, attackers and refused consent left out.

    A session is one cookie's events without a gap of more than 30 minutes. Columns: ts (first event), visit
    (of the first event), views, engaged_ms, orders (purchases that are no tests), events.
    """
    measured = emitted.measured
    event = measured["event"]
    visit = life.events["visit"][event]
    times = export_times(life)[measured["day"], np.minimum(measured["rewrite"], 3)]
    robot = life.visits["robot"][visit]
    keep = (measured["rewrite"] != LOST) & (times <= as_of) & np.isin(measured["copy"], (0, 2))
    keep &= life.visits["consent"][visit] & (robot != 1) & (robot != 2)
    ts, event, visit = measured["ts"][keep], event[keep], visit[keep]
    cookie = life.visits["cookie"][visit]
    order = np.lexsort((event, ts, cookie))
    ts, event, visit, cookie = ts[order], event[order], visit[order], cookie[order]
    if len(ts) == 0:
        columns = ("ts", "visit", "views", "engaged_ms", "orders", "events")
        return {name: np.zeros(0, np.int64) for name in columns}
    start = np.r_[True, (cookie[1:] != cookie[:-1]) | (ts[1:] - ts[:-1] > TIMEOUT)]
    number = np.cumsum(start) - 1
    name = life.events["name"][event]
    test = np.zeros(length(life.visits), bool)
    web = life.orders["visit"] >= 0
    test[life.orders["visit"][web]] = life.orders["test"][web]
    real = (name == E["purchase"]) & ~test[visit]
    return {
        "ts": ts[start],
        "visit": visit[start],
        "views": np.bincount(number, weights=name == E["page_view"]).astype(np.int64),
        "engaged_ms": np.bincount(number, weights=life.events["engaged_ms"][event]).astype(np.int64),
        "orders": np.bincount(number, weights=real).astype(np.int64),
        "events": np.bincount(number),
    }
