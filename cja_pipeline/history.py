"""Which days the history has: from the first day to the last complete one, in the shop's time zone."""

from __future__ import annotations

import datetime as dt
import json

from cja_pipeline.config import shop
from cja_pipeline.settings import get_settings

DEMO_DAYS = 90


def today() -> dt.date:
    """The current business day of the shop."""
    return dt.datetime.now(shop().zone).date()


def last_complete_day() -> dt.date:
    """The last business day whose night has begun: the one that ended before 04:00 of the shop's clock."""
    return (dt.datetime.now(shop().zone) - dt.timedelta(hours=28)).date()


def first_day() -> dt.date:
    """First day of history: `first_day` of shop.yml, else the simulated world's, else 90 days back.

    The last case holds only before the first data exist: building the world fixes the day for good.
    """
    declared = shop().first_day
    if declared is not None:
        return declared
    manifest = get_settings().world_dir / "manifest.json"
    if manifest.exists():
        return dt.date.fromisoformat(json.loads(manifest.read_text())["start"])
    return today() - dt.timedelta(days=DEMO_DAYS)
