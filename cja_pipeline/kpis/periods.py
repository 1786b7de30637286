"""Days, weeks, months and trailing four-week windows in the shop's calendar.

Weeks start on Monday (ISO 8601). ``rolling_28d`` windows end on the last complete day and follow each other
without overlap, so the newest one is always four full weeks and compares with the one before it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.kpis.kpi_entry import GRAINS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Days

ROLLING_DAYS = 28


def bounds(grain: str, day: dt.date, as_of: dt.date) -> tuple[dt.date, dt.date]:
    """First and last day (inclusive) of the period of `grain` that contains `day`."""
    if grain == "day":
        return day, day
    if grain == "week":
        start = day - dt.timedelta(days=day.weekday())
        return start, start + dt.timedelta(days=6)
    if grain == "month":
        start = day.replace(day=1)
        following = (start + dt.timedelta(days=32)).replace(day=1)
        return start, following - dt.timedelta(days=1)
    if grain == "rolling_28d":
        end = as_of - dt.timedelta(days=ROLLING_DAYS * ((as_of - day).days // ROLLING_DAYS))
        return end - dt.timedelta(days=ROLLING_DAYS - 1), end
    raise KeyError(f"unknown grain {grain!r}; there are: {', '.join(GRAINS)}")


@dataclass(frozen=True)
class Calendar:
    """The days that are measured, `first` to `as_of`, and how long each grain is kept.

    `opening` is the day from which all systems were watched; orders may be known from before.
    """

    first: dt.date
    as_of: dt.date
    keep_days: dict[str, int]
    opening: dt.date

    def periods(self, grain: str) -> list[tuple[dt.date, dt.date]]:
        """Periods of a grain that overlap the measured days and are kept, oldest first."""
        oldest = max(self.first, self.as_of - dt.timedelta(days=self.keep_days.get(grain, 10_000) - 1))
        found: list[tuple[dt.date, dt.date]] = []
        day = oldest
        while day <= self.as_of:
            start, end = bounds(grain, day, self.as_of)
            found.append((start, end))
            day = end + dt.timedelta(days=1)
        return found

    def numbered(self, grain: str) -> tuple[Days, NDArray[np.int64]]:
        """Starts of the kept periods of a grain, and the number of the period of each measured day, -1 for
        days that are not kept."""
        import numpy as np

        starts = np.array([start for start, _ in self.periods(grain)], dtype="datetime64[D]")
        days = np.arange(np.datetime64(self.first), np.datetime64(self.as_of) + 1)
        return starts, np.searchsorted(starts, days, side="right") - 1
