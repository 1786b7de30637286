"""Which days a KPI can speak about (delivered, and old enough), and so which periods have a value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cja_pipeline.kpis.blocks import blank, concat, take
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import Source
from cja_pipeline.kpis.periods import Calendar

if TYPE_CHECKING:
    from cja_pipeline.kpis.blocks import Block


class Judgement(NamedTuple):
    """Last day of a period, whether it is whole, whether its windows have closed, why it has no value."""

    end: dt.date
    complete: bool
    mature: bool
    reason: str | None


@dataclass(frozen=True)
class Coverage:
    """Days of a KPI by the day they are reported on.

    `first` to `last` can be known at all (`first` is None if there is no data); of these, `days` were
    delivered (None: all). Values of days after `mature_to` will still change because a window is running.
    """

    first: dt.date | None
    last: dt.date
    mature_to: dt.date
    days: frozenset[dt.date] | None = None
    shifted: bool = False

    @classmethod
    def of(cls, kpi: Kpi, source: Source, found: Iterable[dt.date], calendar: Calendar) -> Coverage:
        """From the reporting days on which a source has rows. A sparse source knows its silent days too."""
        days = frozenset(found)
        last = calendar.as_of - dt.timedelta(days=kpi.maturity_days)
        running = int(kpi.at or 0) if kpi.kind == "survival" else kpi.maturity_days
        first = min(days, default=None)
        if not source.dense:
            opening = calendar.opening + dt.timedelta(days=kpi.shift_days)
            first = min(first, opening) if first else opening
        return cls(
            first,
            last,
            calendar.as_of - dt.timedelta(days=running),
            days if source.dense else None,
            kpi.shift_days > 0,
        )

    def also(self, other: Coverage) -> Coverage:
        """Days that both know about."""
        sets = [part.days for part in (self, other) if part.days is not None]
        return Coverage(
            max(self.first, other.first) if self.first and other.first else None,
            min(self.last, other.last),
            min(self.mature_to, other.mature_to),
            frozenset.intersection(*sets) if sets else None,
            self.shifted or other.shifted,
        )

    def judge(self, start: dt.date, end: dt.date, as_of: dt.date) -> Judgement:
        """What can be said about the period from `start` to `end`."""
        span = [start + dt.timedelta(days=i) for i in range((end - start).days + 1)]
        first = self.first or dt.date.max
        known = [d for d in span if first <= d <= self.last and (self.days is None or d in self.days)]
        waiting = sum(self.last < day <= as_of for day in span)
        mature = end <= min(self.mature_to, as_of)
        complete = end <= as_of and len(known) + waiting == len(span)
        reason = None
        if not known:
            late_start = self.shifted and end < first and self.first is not None
            reason = "immature" if late_start or start > self.last else "incomplete"
        return Judgement(end, complete, mature, reason)


def finish(kpi: Kpi, rows: Block, verdicts: Mapping[str, Mapping[dt.date, Judgement]]) -> Block:
    """Give every period a row for the whole, flag it, and take values away where it cannot have one.

    Args:
        verdicts: by grain, the periods that are to have rows, and what can be said about each.
    """
    import numpy as np

    found = []
    for grain, judged in verdicts.items():
        part = take(rows, rows["grain"] == grain)
        starts = np.array(list(judged), dtype="datetime64[D]")
        missing = np.setdiff1d(starts, part["period_start"][part["dimension"] == "all"])
        added = blank(grain, missing)
        added["null_reason"][:] = kpi.when_empty
        part = concat([part, added])
        place = np.searchsorted(starts, part["period_start"])
        ends, *flags, reasons = zip(*judged.values(), strict=True) if judged else ((), (), (), ())
        part["period_end"] = np.array(ends, dtype="datetime64[D]")[place]
        part["is_complete"], part["is_mature"] = (np.array(flag, dtype=bool)[place] for flag in flags)
        reason = np.array(reasons, dtype=object)[place]
        forced = reason != None  # noqa: E711 - elementwise
        part["null_reason"] = np.where(forced, reason, part["null_reason"])
        part["ci_method"][forced] = None
        for name in ("value", "ci_low", "ci_high"):
            part[name] = np.where(forced, np.nan, part[name])
        # slices of a period that has no value say nothing more
        found.append(take(part, ~forced | (part["dimension"] == "all")))
    return concat(found)
