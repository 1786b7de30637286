"""What the quality page shows, read from the quality tables: plain figures, no values of the data."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from cja_pipeline.quality.waterfall import read_waterfall
from cja_pipeline.validated.profile import Judged, judge
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.validated.suites import load_suite
from cja_pipeline.validated.summary import AFTER_QUALITY_PAGE, QualitySummary, quality_summary
from cja_pipeline.validated.usual_checks import volumes
from cja_pipeline.validated.volume import Range
from cja_pipeline.warehouse import Warehouse

DAYS_SHOWN = 42
NIGHTS_SHOWN = 30
FAILED, WARNED, PASSED, ABSENT = "failed", "warned", "passed", "absent"


@dataclass
class Series:
    """A daily figure with its usual range; `kind` rows, share or index."""

    table: str
    code: str
    kind: str
    text: str
    days: list[dt.date] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    unusual: list[bool] = field(default_factory=list)

    def add(self, day: dt.date, seen: float, low: float, high: float, unusual: bool) -> None:
        for values, value in zip(
            (self.days, self.seen, self.low, self.high, self.unusual),
            (day, seen, low, high, unusual),
            strict=True,
        ):
            values.append(value)  # type: ignore[attr-defined]


@dataclass
class Figures:
    """Everything the page needs; lists are empty where nothing is known."""

    summary: QualitySummary
    last_day: dt.date | None = None
    ledger: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    waterfall: list[dict[str, Any]] = field(default_factory=list)
    streams: list[dict[str, Any]] = field(default_factory=list)
    kept_out: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    nights: list[dt.date] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)


def read_figures(warehouse: Warehouse) -> Figures:
    """Read all figures; tables that are not there leave their part empty."""
    figures = Figures(quality_summary(warehouse, AFTER_QUALITY_PAGE))
    if warehouse.exists("quality.results"):
        figures.nights, figures.checks = _history(warehouse)
    if not warehouse.exists("quality.ledger"):
        return figures
    figures.last_day = warehouse.scalar("SELECT max(day) FROM quality.ledger")
    figures.ledger = _dicts(warehouse, LEDGER)
    figures.streams = _streams(warehouse)
    figures.kept_out = _kept_out(warehouse)
    figures.drift = _dicts(warehouse, DRIFT)
    figures.series = _series(warehouse)
    figures.waterfall = read_waterfall(warehouse)
    if warehouse.exists("quality.ledger_reasons"):
        figures.reasons = _dicts(warehouse, REASONS)
    return figures


LEDGER = """
SELECT table_name, stage, min(source) AS source, CAST(sum(offered) AS BIGINT) AS offered,
    CAST(sum(accepted) AS BIGINT) AS accepted, CAST(sum(rejected) AS BIGINT) AS rejected,
    CAST(sum(valid) AS BIGINT) AS valid, CAST(sum(quarantined) AS BIGINT) AS quarantined,
    CAST(sum(duplicate) AS BIGINT) AS duplicate, CAST(sum(late) AS BIGINT) AS late
FROM quality.ledger GROUP BY table_name, stage ORDER BY source, table_name, stage
"""
REASONS = """
SELECT table_name, reason, CAST(sum(records) AS BIGINT) AS records
FROM quality.ledger_reasons GROUP BY table_name, reason ORDER BY sum(records) DESC, table_name, reason
"""
DRIFT = """
SELECT kind, field, table_name, min(day) AS since, max(day) AS until, count(DISTINCT day) AS days,
    CAST(sum(records) AS BIGINT) AS records, any_value(detail) AS detail
FROM quality.drift WHERE kind NOT IN ('file', 'vendor')
GROUP BY kind, field, table_name ORDER BY max(day) DESC, kind, table_name, field
"""


HISTORY = """
SELECT table_name, check_id, night, description, severity, passed, observed, expected, advice
FROM quality.results WHERE night IS NOT NULL AND table_name NOT IN (SELECT unnest($later))
QUALIFY row_number() OVER (PARTITION BY table_name, check_id, night ORDER BY checked_at DESC, run_id) = 1
ORDER BY table_name, check_id, night
"""


def _history(warehouse: Warehouse) -> tuple[list[dt.date], list[dict[str, Any]]]:
    """The last nights, oldest first, and every check with its outcome in each of them.

    A night counts once, as its last run left it: how often it was tried is told by the run history.
    """
    rows = _dicts(warehouse, HISTORY, {"later": list(AFTER_QUALITY_PAGE)})
    nights = sorted({row["night"] for row in rows})[-NIGHTS_SHOWN:]
    places = {night: place for place, night in enumerate(nights)}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        check = found.setdefault((row["table_name"], row["check_id"]), {"states": [ABSENT] * len(nights)})
        state = PASSED if row["passed"] else FAILED if row["severity"] == "critical" else WARNED
        if row["night"] in places:
            check["states"][places[row["night"]]] = state
        check |= row | {"state": state}
    last: dict[str, dt.date] = {}
    for check in found.values():
        last[check["table_name"]] = max(check["night"], last.get(check["table_name"], check["night"]))
    # a check that its table no longer declares has nothing to say about this night
    return nights, [check for check in found.values() if check["night"] == last[check["table_name"]]]


def _streams(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Per table: source, newest day, when it was pulled, and the state of each of the last days."""
    rows = _dicts(
        warehouse,
        "SELECT table_name, min(source) AS source, min(stream) AS stream, max(day) AS newest, "
        "min(day) AS oldest, max(as_of) AS as_of, list(day ORDER BY day) AS days, "
        "list(rejected + quarantined ORDER BY day) AS bad FROM quality.ledger "
        "WHERE stage = 'validated' GROUP BY table_name ORDER BY source, table_name",
    )
    layouts = load_streams()
    for row in rows:
        short = row["table_name"].removeprefix("validated.")
        row["every_day"] = short in layouts and layouts[short].layout == "window"
    return rows


def _kept_out(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Per table and rule: rows kept out, share of those offered, the course over the days."""
    return _dicts(
        warehouse,
        "SELECT s.table_name, s.outcome, s.rule, CAST(sum(s.records) AS BIGINT) AS records, "
        "any_value(s.advice) AS advice, list(s.day ORDER BY s.day) AS days, "
        "list(s.records ORDER BY s.day) AS counts, max(t.offered) AS offered "
        "FROM quality.quarantine_summary AS s JOIN (SELECT table_name, sum(offered) AS offered "
        "FROM quality.ledger WHERE stage = 'validated' GROUP BY table_name) AS t "
        "ON t.table_name = s.table_name GROUP BY s.table_name, s.outcome, s.rule "
        "ORDER BY sum(s.records) DESC, s.table_name, s.rule",
    )


def _series(warehouse: Warehouse) -> list[Series]:
    found: list[Series] = []
    for name in load_streams():
        table = f"validated.{name}"
        suite = load_suite(table)
        if suite is None:
            continue
        days = [
            row[0]
            for row in warehouse.sql(
                "SELECT day FROM quality.ledger WHERE table_name = ? AND stage = 'validated' "
                f"ORDER BY day DESC LIMIT {DAYS_SHOWN}",
                [table],
            ).fetchall()
        ]
        found += _volume_series(table, volumes(warehouse, table, days))
        found += _watched(table, {one.code: one for one in suite.monitors}, judge(warehouse, suite, days))
    return found


def _volume_series(table: str, ranges: list[Range]) -> list[Series]:
    if not ranges:
        return []
    series = Series(table, "rows", "rows", "")
    for one in ranges:
        series.add(one.day, float(one.rows), float(one.low), float(one.high), one.unusual)
    return [series]


def _watched(table: str, monitors: dict[str, Any], judged: list[Judged]) -> list[Series]:
    found: dict[tuple[str, str], Series] = {}
    for one in judged:
        monitor = monitors[one.series]
        part = one.part if monitor.nulls else ""
        kind = "index" if monitor.mix is not None else "share"
        key = one.series, part
        series = found.setdefault(key, Series(table, ".".join(filter(None, key)), kind, monitor.description))
        series.add(one.day, one.seen, one.low, one.high, one.unusual)
    return list(found.values())


def _dicts(warehouse: Warehouse, query: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    result = warehouse.sql(query, params)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
