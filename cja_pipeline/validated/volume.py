"""Is a day's row count unusual? A robust score against the days before it, with weekday seasonality.

On the logarithm of the counts: the level is the median of the seven days before, the weekday effect the
median deviation of the same weekday, and the spread the pooled median absolute deviation of what remains.
Only the past of a day is used. Chosen for being as sharp as exponential smoothing at a hundredth of the
cost, and calm.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from cja_pipeline.config import shop
from cja_pipeline.validated.streams import stream_of
from cja_pipeline.warehouse import Warehouse

MIN_HISTORY = 28
WINDOW = 56
LIMIT = 3.5
MAD_TO_SIGMA = 1.4826
SPREAD_FLOOR = 0.05
BUSY_HOUR = 200


@dataclass(frozen=True)
class Unusual:
    """A day outside the usual range, with its score in robust standard deviations."""

    day: dt.date
    rows: int
    low: int
    high: int
    score: float


def unusual_days(days: Sequence[dt.date], rows: Sequence[int], which: Collection[dt.date]) -> list[Unusual]:
    """The days of `which` whose row count is unusual for what came before; needs 28 days of history.

    Args:
        days: consecutive or not, ascending.
        rows: rows of each day.
        which: the days to judge.
    """
    found = []
    counts = np.log1p(np.asarray(rows, float))
    weekdays = np.array([day.weekday() for day in days])
    for index, day in enumerate(days):
        if day not in which or index < MIN_HISTORY:
            continue
        past = slice(max(0, index - WINDOW), index)
        expected, spread = _expected(counts[past], weekdays[past], weekdays[index])
        # counts vary by chance alone: never narrower than a Poisson count of this size would
        spread = max(spread, SPREAD_FLOOR, 1.0 / np.sqrt(np.expm1(expected) + 1.0))
        score = (counts[index] - expected) / spread
        if abs(score) > LIMIT:
            low, high = np.expm1(expected - LIMIT * spread), np.expm1(expected + LIMIT * spread)
            found.append(
                Unusual(day, int(rows[index]), max(0, round(low)), round(high), round(float(score), 1))
            )
    return found


def _expected(past: np.ndarray, weekdays: np.ndarray, weekday: int) -> tuple[float, float]:
    """Expected logarithm and its spread, from the days before (their weekdays given)."""
    levels = np.array([np.median(past[max(0, i - 7) : i]) for i in range(7, len(past))])
    around, kinds = past[7:] - levels, weekdays[7:]
    # each day is judged by the other days of its weekday: with few weeks an effect would explain itself away
    rest = np.array([value - _median(around[(kinds == kind) & (np.arange(len(kinds)) != i)])
                     for i, (value, kind) in enumerate(zip(around, kinds, strict=True))])  # fmt: skip
    spread = MAD_TO_SIGMA * float(np.median(np.abs(rest)))
    return float(np.median(past[-7:]) + _median(around[kinds == weekday])), spread


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0


def silent_hours(warehouse: Warehouse, table: str, days: Collection[dt.date]) -> dict[dt.date, int]:
    """Days on which hours that are usually busy have no row at all, with the number of such hours.

    Busy: the hour of the shop's clock has in the median at least 200 rows over the 28 days before. Rows come
    in visits, so fewer could be a quiet hour. Only for tables whose rows have a time of their own.
    """
    _, stream = stream_of(table)
    if stream.event_time is None or not days:
        return {}
    rows = warehouse.sql(
        f"SELECT date_trunc('hour', {stream.event_time}) AS hour, count(*) FROM {table} "
        "WHERE _dt > ?::DATE GROUP BY hour",
        [min(days) - dt.timedelta(days=2 * MIN_HISTORY)],
    ).fetchall()
    counts: Counter[tuple[dt.date, int]] = Counter()
    for hour, count in rows:
        local = hour.replace(tzinfo=dt.UTC).astimezone(shop().zone)
        counts[local.date(), local.hour] += count
    known = sorted({day for day, _ in counts})
    found: dict[dt.date, int] = {}
    for day in sorted(set(days) & set(known)):
        before = [one for one in known if one < day][-MIN_HISTORY:]
        if len(before) < MIN_HISTORY:
            continue
        usual = [float(np.median([counts[one, hour] for one in before])) for hour in range(24)]
        silent = sum(usual[hour] >= BUSY_HOUR and not counts[day, hour] for hour in range(24))
        if silent:
            found[day] = silent
    return found
