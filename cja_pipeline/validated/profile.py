"""The daily series that a suite declares as monitors: counted as a day is written, judged by the past.

A row of ``quality.profile`` says: on this day, `n` of `total` rows belong to this part of a series. Shares of
missing values and declared shares are judged one by one on a scale on which chance has the same width for
every share; the parts of a mix are judged together by the population stability index.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from cja_pipeline.sql import literal, name
from cja_pipeline.validated.suites import Suite
from cja_pipeline.validated.usual import expected, stability
from cja_pipeline.warehouse import Warehouse

TABLE = "quality.profile"
MOST_PARTS = 30
LIMIT = 4.0  # robust standard deviations
SHARE_FLOOR = 0.012  # on the scale of the square root's arc sine: 1.2 points at a share of one half
MIX_LIMIT = 0.1  # of the stability index
MIN_ROWS = 100  # a mix of fewer rows is not judged
MIN_TOTAL = 20  # nor a share of fewer


@dataclass(frozen=True)
class Judged:
    """One day of one series: what was seen, what is usual (for a mix the index and its limit), and whether it
    is unusual. `n` of `total` rows; `score` is 1 at the limit."""

    series: str
    part: str
    day: dt.date
    seen: float
    low: float
    high: float
    score: float
    n: int
    total: int

    @property
    def unusual(self) -> bool:
        return self.score > 1


def write_profile(warehouse: Warehouse, suite: Suite, relation: str, where: str) -> None:
    """Append the series of every monitor, over the rows of `relation` with a day ``_dt``."""
    counts: dict[tuple[str, str], tuple[str, str]] = {}
    for monitor in suite.monitors:
        for column in monitor.nulls:
            counts[monitor.code, column] = (f"count(*) - count({name(column)})", "count(*)")
        if monitor.share is not None and monitor.of is not None:
            counts[monitor.code, ""] = (monitor.share, monitor.of)
    if counts:
        series, parts = ([literal(key[place]) for key in counts] for place in (0, 1))
        n, total = ([f"coalesce({pair[place]}, 0)" for pair in counts.values()] for place in (0, 1))
        lists = ", ".join(f"unnest([{', '.join(values)}])" for values in (series, parts, n, total))
        warehouse.execute(
            f"INSERT INTO {TABLE} SELECT ?, _dt, {lists} FROM {relation} WHERE {where} GROUP BY _dt",
            [suite.table],
        )
    for monitor in suite.monitors:
        if monitor.mix is not None:
            warehouse.execute(
                f"INSERT INTO {TABLE} SELECT $table, _dt, $code, "
                "CASE WHEN place <= $most THEN part ELSE '(rest)' END AS kept, sum(n), "
                "any_value(total) FROM ("
                "SELECT _dt, part, n, sum(n) OVER (PARTITION BY _dt) AS total, "
                "row_number() OVER (PARTITION BY _dt ORDER BY n DESC, part) AS place FROM ("
                f"SELECT _dt, CAST({monitor.mix} AS VARCHAR) AS part, count(*) AS n FROM {relation} "
                f"WHERE {where} GROUP BY _dt, part) AS parts WHERE part IS NOT NULL) AS ranked "
                "GROUP BY _dt, kept",
                {"table": suite.table, "code": monitor.code, "most": MOST_PARTS},
            )


def judge(
    warehouse: Warehouse,
    suite: Suite,
    days: Collection[dt.date],
    forms: Sequence[str] = ("nulls", "share", "mix"),
) -> list[Judged]:
    """Judge the series of a table on these days; days and series without enough history are left out.

    Args:
        forms: which monitors: those with `nulls`, `share` or `mix`.
    """
    wanted = [one for one in suite.monitors for form in forms if getattr(one, form)]
    if not wanted or not days or not warehouse.exists(TABLE):
        return []
    codes = ", ".join(literal(one.code) for one in wanted)
    rows = warehouse.sql(
        f"SELECT series, part, day, n, total FROM {TABLE} WHERE table_name = ? AND series IN ({codes}) "
        "ORDER BY series, part, day",
        [suite.table],
    ).fetchall()
    if not rows:
        return []
    first = min(row[2] for row in rows)
    length = (max(row[2] for row in rows) - first).days + 1
    places = np.array([place for day in sorted(days) if 0 <= (place := (day - first).days) < length], int)
    found: list[Judged] = []
    for monitor in wanted:
        own = [row for row in rows if row[0] == monitor.code]
        parts = sorted({row[1] for row in own})
        n, total = np.full((len(parts), length), np.nan), np.full((len(parts), length), np.nan)
        for _, part, day, count, whole in own:
            at = parts.index(part), (day - first).days
            n[at], total[at] = count, whole
        judged = _mixes if monitor.mix is not None else _shares
        if parts and len(places):
            found += judged(monitor.code, parts, n, total, first, places)
    return found


def _shares(
    series: str, parts: list[str], n: np.ndarray, total: np.ndarray, first: dt.date, places: np.ndarray
) -> list[Judged]:
    total = np.where(total >= MIN_TOTAL, total, np.nan)
    values = np.arcsin(np.sqrt((n + 0.375) / (total + 0.75)))
    centre, width = expected(values, places)
    spread = np.fmax(np.fmax(width, SHARE_FLOOR), 0.5 / np.sqrt(total[:, places]))
    score = np.abs(values[:, places] - centre) / spread / LIMIT
    low = np.sin(np.clip(centre - LIMIT * spread, 0, np.pi / 2)) ** 2
    high = np.sin(np.clip(centre + LIMIT * spread, 0, np.pi / 2)) ** 2
    return [
        Judged(
            series, parts[row], first + dt.timedelta(days=int(place)),
            float(n[row, place] / total[row, place]), float(low[row, at]), float(high[row, at]),
            float(score[row, at]), int(n[row, place]), int(total[row, place]),
        )
        for row in range(len(parts))
        for at, place in enumerate(places)
        if np.isfinite(score[row, at])
    ]  # fmt: skip


def _mixes(
    series: str, parts: list[str], n: np.ndarray, total: np.ndarray, first: dt.date, places: np.ndarray
) -> list[Judged]:
    """One judgement per day; the part that moved most is named."""
    whole = np.nanmax(np.where(np.isnan(total), 0.0, total), axis=0)
    counts = np.where(whole > 0, np.nan_to_num(n), np.nan)
    index, usual, contribution = stability(counts, places)
    limit = np.fmax(MIX_LIMIT, usual)
    worst = np.argmax(contribution, axis=0)
    return [
        Judged(
            series, parts[worst[at]], first + dt.timedelta(days=int(place)), float(index[at]), 0.0,
            float(limit[at]), float(index[at] / limit[at]), int(np.nan_to_num(counts[worst[at], place])),
            int(whole[place]),
        )
        for at, place in enumerate(places)
        if np.isfinite(index[at]) and whole[place] >= MIN_ROWS
    ]  # fmt: skip
