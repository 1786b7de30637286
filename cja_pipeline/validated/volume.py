"""Is a day's row count unusual, are there hours without a row? Judged by the days before (see ``usual``)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from cja_pipeline.config import shop
from cja_pipeline.validated.streams import stream_of
from cja_pipeline.validated.usual import MIN_HISTORY, expected
from cja_pipeline.warehouse import Warehouse

LIMIT = 3.5
SPREAD_FLOOR = 0.05
BUSY_ROWS = 200


@dataclass(frozen=True)
class Range:
    """A day's rows, the usual range, and the score in robust standard deviations."""

    day: dt.date
    rows: int
    low: int
    high: int
    score: float

    @property
    def unusual(self) -> bool:
        return abs(self.score) > LIMIT


def usual_ranges(days: Sequence[dt.date], rows: Sequence[int], which: Collection[dt.date]) -> list[Range]:
    """The usual range of rows of each day of `which`, by the logarithm of the counts before it.

    Days with less than 28 days of history are left out.

    Args:
        days: ascending; days in between without an entry are unknown, not empty.
        rows: rows of each day.
        which: the days to judge.
    """
    asked = sorted(set(which) & set(days))
    if not asked:
        return []
    first = days[0]
    counts = np.full((1, (days[-1] - first).days + 1), np.nan)
    counts[0, [(day - first).days for day in days]] = np.log1p(np.asarray(rows, float))
    places = np.array([(day - first).days for day in asked])
    centre, width = (values[0] for values in expected(counts, places))
    found = []
    for day, place, middle, spread in zip(asked, places, centre, width, strict=True):
        if np.isnan(middle):
            continue
        # counts vary by chance alone: never narrower than a Poisson count of this size would
        spread = max(np.nan_to_num(spread), SPREAD_FLOOR, 1.0 / np.sqrt(np.expm1(middle) + 1.0))
        low, high = np.expm1(middle - LIMIT * spread), np.expm1(middle + LIMIT * spread)
        score = round(float((counts[0, place] - middle) / spread), 1)
        seen = round(float(np.expm1(counts[0, place])))
        found.append(Range(day, seen, max(0, round(low)), round(high), score))
    return found


def silent_hours(warehouse: Warehouse, table: str, days: Collection[dt.date]) -> dict[dt.date, int]:
    """Days on which hours without any row follow one another in which at least 200 rows are usual together,
    with the number of such hours.

    Usual: the median of the same hour of the shop's clock over the 28 days before. Rows come in visits, so
    fewer could be a quiet time. Only for tables whose rows have a time of their own.
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
        silent = _silent(usual, [counts[day, hour] for hour in range(24)])
        if silent:
            found[day] = silent
    return found


def _silent(usual: Sequence[float], seen: Sequence[int]) -> int:
    """Hours in runs without a row in which enough rows are usual; those of an empty night add nothing."""
    total, hours, missing = 0, 0, 0.0
    for rows, count in [*zip(usual, seen, strict=True), (0.0, 1)]:
        if count == 0:
            hours, missing = hours + (rows > 0), missing + rows
            continue
        total += hours if missing >= BUSY_ROWS else 0
        hours, missing = 0, 0.0
    return total
