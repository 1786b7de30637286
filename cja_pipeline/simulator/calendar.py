"""Business days of the world in the shop's time zone, and the daily rhythm of visits.

Times are int64 microseconds UTC. A local day may have 23 or 25 hours; positions inside a day are shares of
it.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np

from .columns import SECOND
from .config import WorldConfig


def micros(moment: dt.datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (moment - epoch) // dt.timedelta(microseconds=1)


class Calendar:
    """Days from `start` through history and horizon; `edges[d]` is local midnight of day d in UTC."""

    def __init__(self, config: WorldConfig, start: dt.date, days: int, horizon: int, time_zone: str) -> None:
        self.zone = ZoneInfo(time_zone)
        self.start, self.days, self.horizon = start, days, horizon
        self.total = days + horizon
        self.dates = [start + dt.timedelta(days=d) for d in range(self.total + 8)]
        midnights = [dt.datetime.combine(day, dt.time(), tzinfo=self.zone) for day in self.dates]
        self.edges = np.array([micros(moment.astimezone(dt.UTC)) for moment in midnights], np.int64)
        self.labels = np.array([day.strftime("%Y%m%d") for day in self.dates])
        week = np.array([config.weekday[day.weekday()] for day in self.dates[: self.total]])
        growth = 1 + config.trend * np.arange(self.total) / max(days, 1)
        hours = np.array(config.hours, float) / sum(config.hours)
        hourly = (week * growth)[:, None] * hours[None, :]
        self._cumulative = np.r_[0.0, np.cumsum(hourly.ravel())]
        self._cumulative /= self._cumulative[-1] / self.total
        self._grid = np.arange(self.total * 24 + 1) / 24.0

    @property
    def begin(self) -> int:
        return int(self.edges[0])

    @property
    def history_end(self) -> int:
        """First moment after the history."""
        return int(self.edges[self.days])

    @property
    def finish(self) -> int:
        """First moment after the horizon."""
        return int(self.edges[self.total])

    def moment(self, position: np.ndarray) -> np.ndarray:
        """UTC microseconds of a position in days (3.5 = the middle of the fourth day)."""
        position = np.clip(position, 0.0, self.total - 1e-9)
        day = position.astype(np.int64)
        lengths = self.edges[day + 1] - self.edges[day]
        return self.edges[day] + ((position - day) * lengths).astype(np.int64)

    def position(self, moment: np.ndarray) -> np.ndarray:
        """Position in days of UTC microseconds."""
        day = np.clip(np.searchsorted(self.edges, moment, side="right") - 1, 0, len(self.edges) - 2)
        return day + (moment - self.edges[day]) / (self.edges[day + 1] - self.edges[day])

    def day_of(self, moment: np.ndarray) -> np.ndarray:
        """Number of the business day (-1 before the start)."""
        return np.searchsorted(self.edges, moment, side="right") - 1

    def rhythm(self, share: np.ndarray, since: np.ndarray, until: np.ndarray) -> np.ndarray:
        """Positions between `since` and `until` (days) that follow weekday, hour and trend; `share` in
        0..1.
        """
        low = np.interp(since, self._grid, self._cumulative)
        high = np.interp(until, self._grid, self._cumulative)
        return np.interp(low + share * (high - low), self._cumulative, self._grid)

    def at_clock(self, day: np.ndarray, hour: float) -> np.ndarray:
        """UTC microseconds of a wall-clock hour on business days (by share of the day; exact but on clock
        changes).
        """
        return self.edges[day] + int(hour * 3600 * SECOND)
