"""What is wrong now, read from the warehouse and from what was published."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cja_pipeline.alerts.incidents import Condition, Kind
from cja_pipeline.config import shop
from cja_pipeline.settings import Settings
from cja_pipeline.warehouse import Warehouse

DEADLINE = dt.time(hour=6)  # by then the business day that ended has to be published
MOST_ANOMALIES = 20
ANOMALIES = """
    SELECT a.kpi_id, a.dimension, a.dimension_value, a.evidence
    FROM kpis.anomalies AS a
    WHERE a.day = ?
    ORDER BY a.score DESC, a.kpi_id, a.dimension, a.dimension_value
    LIMIT ?
"""


def of_data(warehouse: Warehouse, settings: Settings) -> tuple[list[Condition], list[Kind]]:
    """Failed blocking checks, sources that are behind, and KPIs outside their range; and the kinds looked at.

    While a source is behind or a blocking check has failed, anomalies are not looked at: neither told nor
    taken for over.
    """
    from cja_pipeline.validated.summary import quality_summary

    summary = quality_summary(warehouse)
    last = _last_day(warehouse)
    found = [
        Condition(
            "check",
            f"check/{row['table_name']}/{row['check_id']}",
            f"Blocking check failed on {row['table_name']}: {row['description']}",
            link(settings, "quality.html"),
        )
        for row in summary.failed
        if row["severity"] == "critical"
    ]
    behind = [row for row in summary.sources if last and (row["newest_day"] or dt.date.min) < last]
    found += [
        Condition(
            "stale",
            f"stale/{row['source']}",
            f"{row['source']} is behind: newest day {row['newest_day']}, expected {last}",
            link(settings, "quality.html"),
        )
        for row in behind
    ]
    kinds: list[Kind] = ["check", "stale"]
    if last is not None and not behind and not summary.blocked and warehouse.exists("kpis.anomalies"):
        kinds.append("anomaly")
        found += [
            Condition(
                "anomaly",
                f"anomaly/{kpi}/{dimension}/{value}",
                ";".join(str(evidence).split(";")[:2]),
                link(settings, "journey_map.html"),
            )
            for kpi, dimension, value, evidence in warehouse.sql(ANOMALIES, [last, MOST_ANOMALIES]).fetchall()
        ]
    return found, kinds


def of_publication(settings: Settings, now: dt.datetime) -> list[Condition]:
    """Whether the page that people read is older than it should be at this time of the shop's day."""
    newest = newest_report(settings.reports_dir)
    local = now.astimezone(shop().zone)
    days = 1 if local.time() >= DEADLINE else 2
    expected = local.date() - dt.timedelta(days=days)
    if newest is None or newest >= expected:
        return []
    title = f"The journey map is of {newest}; {expected} should have been published"
    return [Condition("late", "late/published", title, link(settings, "journey_map.html"))]


def newest_report(reports: Path) -> dt.date | None:
    """The business day of the newest archived page."""
    found = []
    for entry in reports.iterdir() if reports.is_dir() else ():
        try:
            found.append(dt.date.fromisoformat(entry.name))
        except ValueError:
            continue
    return max(found, default=None)


def link(settings: Settings, page: str) -> str:
    """Where a page is served."""
    return f"{_base(settings)}/latest/{page}"


def run_link(settings: Settings, run_id: str) -> str:
    """Where a run is shown: the UI has the origin of the reports."""
    return f"{_base(settings).removesuffix('/reports')}/runs/{run_id}"


def _base(settings: Settings) -> str:
    return (settings.report_base_url or "http://127.0.0.1:3000/reports").rstrip("/")


def _last_day(warehouse: Warehouse) -> dt.date | None:
    if not warehouse.exists("config.params"):
        return None
    found = warehouse.scalar("SELECT last_day FROM config.params")
    return found if isinstance(found, dt.date) else None
