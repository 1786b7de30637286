"""Business days and their edges in UTC.

A business day is a calendar day in the shop's time zone; on the two days a year on which the clocks change
it lasts 23 or 25 hours. Every edge is computed by converting local midnight, never by adding 24 hours.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

Zone = str | dt.tzinfo


@dataclass(frozen=True, order=True)
class Window:
    """The business days `start` to `end`, both included. Raises ValueError if `end` lies before `start`."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a window cannot end ({self.end}) before it starts ({self.start})")

    def days(self) -> list[dt.date]:
        """Every day of the window, oldest first."""
        count = (self.end - self.start).days + 1
        return [self.start + dt.timedelta(days=offset) for offset in range(count)]

    def start_utc(self, zone: Zone) -> dt.datetime:
        """First instant of the window (aware, UTC), given the shop's time zone."""
        return midnight_utc(self.start, zone)

    def end_utc(self, zone: Zone) -> dt.datetime:
        """First instant after the window (aware, UTC), given the shop's time zone."""
        return midnight_utc(self.end + dt.timedelta(days=1), zone)

    def extended(self, days: int) -> Window:
        """The same window with `days` more days before it."""
        return Window(self.start - dt.timedelta(days=days), self.end)

    def __str__(self) -> str:
        return f"{self.start}" if self.start == self.end else f"{self.start}..{self.end}"


def zone_of(zone: Zone) -> dt.tzinfo:
    """A time zone object from an IANA name such as ``Europe/Berlin``."""
    return ZoneInfo(zone) if isinstance(zone, str) else zone


def midnight_utc(day: dt.date, zone: Zone) -> dt.datetime:
    """Local midnight at the start of `day`, as an aware UTC time."""
    return dt.datetime.combine(day, dt.time(), tzinfo=zone_of(zone)).astimezone(dt.UTC)


def edges(day: dt.date, zone: Zone) -> tuple[dt.datetime, dt.datetime]:
    """First instant of `day` and first instant after it (aware, UTC)."""
    return midnight_utc(day, zone), midnight_utc(day + dt.timedelta(days=1), zone)


def day_of(moment: dt.datetime, zone: Zone) -> dt.date:
    """The business day on which an aware `moment` falls."""
    return moment.astimezone(zone_of(zone)).date()


def utc_text(moment: dt.datetime) -> str:
    """ISO 8601 text in UTC with seconds (milliseconds only where there are any), ending in ``Z``."""
    utc = moment.astimezone(dt.UTC)
    precision = "milliseconds" if utc.microsecond else "seconds"
    return utc.isoformat(timespec=precision).replace("+00:00", "Z")


def utc_stamp(moment: dt.datetime) -> str:
    """Compact UTC stamp for folder names, e.g. ``20260601T020000Z``."""
    return moment.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def parse_stamp(text: str) -> dt.datetime:
    """The aware UTC time behind a stamp of `utc_stamp`; ValueError for anything else."""
    return dt.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)


def parse_time(text: str) -> dt.datetime:
    """An aware time from vendors' ISO texts: ``Z``, ``+00:00`` and ``+0000`` (Meta) all occur.

    A text without a zone is refused with ValueError: guessing would move rows to another day.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("time without a zone")
    return moment
