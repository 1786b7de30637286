"""The configuration as tables: parameters, business days, touchpoint types and stage rules.

Models take every parameter from here, so that a model is one plain SELECT that any engine can run.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cja_pipeline.config import shop
from cja_pipeline.customers import config
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

FIRST_YEAR, LAST_YEAR = 2010, 2040
# (table, column that says when something happened) of everything that has a clock
CLOCKS = (
    ("validated.web_events", "_landed_at"),
    ("validated.crm_orders", "_landed_at"),
    ("validated.contacts", "_landed_at"),
    ("validated.email_events", "_landed_at"),
)
HAPPENINGS = (("validated.web_events", "occurred_at"), ("validated.email_events", "occurred_at"))


def write(wh: Warehouse, as_of: dt.datetime | None = None) -> None:
    """Replace the tables of schema `config`.

    Args:
        as_of: the moment the data are complete to (UTC); default the newest landing in the validated tables.
    """
    import pandas as pd

    moment = _as_of(wh, as_of)
    with wh.transaction():
        wh.write("config.business_days", business_days(shop().zone))
        wh.write("config.params", pd.DataFrame([_params(wh, moment)]))
        wh.write("config.touchpoint_rules", touchpoint_rules())
        wh.write("config.stage_rules", stage_rules())


def _as_of(wh: Warehouse, given: dt.datetime | None) -> dt.datetime:
    if given is not None:
        return given.astimezone(dt.UTC).replace(tzinfo=None) if given.tzinfo else given
    for clocks in (CLOCKS, HAPPENINGS):
        found = [
            wh.scalar(f"SELECT max({column}) FROM {table}") for table, column in clocks if wh.exists(table)
        ]
        known = [moment for moment in found if moment is not None]
        if known:
            return max(known)
    return dt.datetime(FIRST_YEAR, 1, 1)  # noqa: DTZ001  warehouse times are naive UTC


def _params(wh: Warehouse, as_of: dt.datetime) -> dict[str, object]:
    sessions, windows = config.touchpoints().sessions, config.stages().windows
    zone = shop().zone
    first = min(
        (
            moment
            for table, column in HAPPENINGS
            if wh.exists(table) and (moment := wh.scalar(f"SELECT min({column}) FROM {table}")) is not None
        ),
        default=None,
    )
    return {
        "time_zone": shop().time_zone,
        "currency": shop().currency,
        "language": shop().language,
        "as_of": as_of,
        "first_day": None if first is None else _local_date(first, zone),
        "last_day": _local_date(as_of, zone) - dt.timedelta(days=1),
        "session_timeout_minutes": sessions.timeout_minutes,
        "session_cap_hours": sessions.cap_hours,
        "session_rule": sessions.rule_version,
        "engaged_seconds": sessions.engaged_seconds,
        "engaged_page_views": sessions.engaged_page_views,
        "bot_page_views": sessions.bot_page_views,
        "bot_events_per_minute": sessions.bot_events_per_minute,
        "bot_silent_page_views": sessions.bot_silent_page_views,
        "lookback_days": windows.lookback_days,
        "repeat_days": windows.repeat_days,
        "churn_days": windows.churn_days,
    }


def _local_date(moment: dt.datetime, zone: ZoneInfo) -> dt.date:
    return moment.replace(tzinfo=dt.UTC).astimezone(zone).date()


@lru_cache(maxsize=2)
def business_days(zone: ZoneInfo) -> pd.DataFrame:
    """When the date changes in `zone`, for every UTC date: utc_date, boundary_at, date_before, date_after.

    A UTC moment belongs to date_before until boundary_at and to date_after from then on. Days of 23 and 25
    hours come out right because every local midnight is converted on its own.
    """
    import pandas as pd

    midnights: dict[dt.date, tuple[dt.datetime, dt.date]] = {}
    day = dt.date(FIRST_YEAR, 1, 1) - dt.timedelta(days=1)
    while day.year <= LAST_YEAR:
        start = dt.datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(dt.UTC)
        midnights[start.date()] = (start.replace(tzinfo=None), day)
        day += dt.timedelta(days=1)
    rows = [
        (date, moment, local - dt.timedelta(days=1), local) for date, (moment, local) in midnights.items()
    ]
    return pd.DataFrame(rows, columns=["utc_date", "boundary_at", "date_before", "date_after"])


def touchpoint_rules() -> pd.DataFrame:
    """``touchpoints.yml`` as rows."""
    import pandas as pd

    signals = config.stages().consideration_signals
    rows = [
        {
            "touchpoint_type": name,
            "source": kind.source,
            "event": kind.event,
            "department": kind.department,
            "channel": kind.channel,
            "consideration_from": signals.get(name),
        }
        for name, kind in config.touchpoints().types.items()
    ]
    return pd.DataFrame(rows).astype({"consideration_from": "Int64"})


def stage_rules() -> pd.DataFrame:
    """``stages.yml`` as disjoint cells: exactly one row fits a touchpoint, or none.

    For each type and state the thresholds of all rules cut counts and scores into ranges, and the first rule
    that fits a range claims it. A touchpoint without a score counts as the lowest score.
    """
    import pandas as pd

    rules = config.stages().rules
    rows = []
    for name in config.touchpoints().types:
        for state in ("new", "considering", "customer"):
            mine = [rule for rule in rules if name in rule.types and state in rule.states]
            counts = sorted({1, *(rule.min_count or 1 for rule in mine)})
            scores = sorted({-math.inf, *(_floor(rule) for rule in mine)})
            for low, high in zip(counts, [*counts[1:], 2**62], strict=True):
                for bottom, top in zip(scores, [*scores[1:], math.inf], strict=True):
                    fitting = (
                        rule for rule in mine if (rule.min_count or 1) <= low and _floor(rule) <= bottom
                    )
                    first = next(fitting, None)
                    if first is not None:
                        rows.append((name, state, low, high - 1, bottom, top, first.stage, first.id))
    columns = ["touchpoint_type", "state", "min_count", "max_count", "min_score", "max_score", "stage"]
    return pd.DataFrame(rows, columns=[*columns, "rule_id"])


def _floor(rule: config.StageRule) -> float:
    return -math.inf if rule.min_score is None else rule.min_score
