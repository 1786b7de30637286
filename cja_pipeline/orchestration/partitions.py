"""One daily partition definition, shared by every partitioned asset: a business day of the shop."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from cja_pipeline.config import shop
from cja_pipeline.history import first_day
from cja_pipeline.settings import get_settings
from cja_pipeline.sources.manifest import newest_as_of
from cja_pipeline.sources.window import Window

NIGHT = dt.time(hour=4)


def daily() -> dg.DailyPartitionsDefinition:
    """Business days of the shop's time zone since the first day (23- and 25-hour days included)."""
    return dg.DailyPartitionsDefinition(start_date=first_day().isoformat(), timezone=shop().time_zone)


def window_of(context: dg.AssetExecutionContext) -> Window:
    """The business days of this run: one day at night, any range in a backfill."""
    span = context.partition_time_window
    return Window(start=span.start.date(), end=(span.end - dt.timedelta(hours=12)).date())


def as_of(window: Window) -> dt.datetime:
    """The logical time of a run: 04:00 after the window's last day, never before what is already landed.

    Vendors answer with what they know now, so an old day that is pulled again sees the newer state; a
    clock that went back would replace late rows by their absence.
    """
    night = dt.datetime.combine(window.end + dt.timedelta(days=1), NIGHT, tzinfo=shop().zone)
    return max(night.astimezone(dt.UTC), newest_as_of(get_settings().landing_dir) or night)
