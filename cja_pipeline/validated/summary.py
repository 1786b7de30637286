"""The state of quality for a terminal or a page: newest results, what is kept out and why, freshness."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cja_pipeline.validated.load import LoadReport, load
from cja_pipeline.warehouse import Warehouse

# steps that follow a page: it cannot know what their checks find tonight, so it leaves them out
AFTER_MAP = ("published", "privacy")
AFTER_QUALITY_PAGE = ("privacy",)


def newest(without: Sequence[str] = ()) -> str:
    """Query of the results of the run that checked a table last (a check that is no longer declared does not
    linger), but for those of the steps `without`."""
    names = ", ".join(f"'{name}'" for name in without) or "''"
    return (
        "SELECT * FROM (SELECT *, max_by(run_id, checked_at) OVER (PARTITION BY table_name) AS newest_run "
        f"FROM quality.results WHERE table_name NOT IN ({names})) AS ranked WHERE run_id = newest_run"
    )


@dataclass
class QualitySummary:
    """The newest result of every check, and the totals behind them.

    `failed` holds dictionaries with table_name, check_id, severity, observed, expected, advice, error, worst
    first; `kept_out` table_name, outcome, rule, records, share, advice; `sources` source, newest_day, as_of,
    offered, valid.
    """

    checked_at: dt.datetime | None = None
    checks: int = 0
    passed: int = 0
    warnings: int = 0
    failures: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    kept_out: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocked(self) -> bool:
        """Whether a check that stops the night has failed."""
        return self.failures > 0


def quality_summary(warehouse: Warehouse, without: Sequence[str] = ()) -> QualitySummary:
    """Sum up the quality tables; empty where nothing was checked or loaded yet.

    Args:
        without: steps whose own checks are left out, because the page that asks is drawn before them.
    """
    summary, results = QualitySummary(), newest(without)
    if warehouse.exists("quality.results"):
        counts = warehouse.sql(
            "SELECT count(*), count(*) FILTER (passed), "
            "count(*) FILTER (NOT passed AND severity <> 'critical'), "
            f"count(*) FILTER (NOT passed AND severity = 'critical'), max(checked_at) FROM ({results})"
        ).fetchall()[0]
        summary.checks, summary.passed, summary.warnings, summary.failures, summary.checked_at = counts
        summary.failed = _dicts(
            warehouse,
            "SELECT table_name, check_id, severity, description, observed, expected, advice, error "
            f"FROM ({results}) WHERE NOT passed "
            "ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, "
            "table_name, check_id",
        )
    if warehouse.exists("quality.ledger"):
        summary.kept_out = _dicts(
            warehouse,
            "SELECT table_name, outcome, rule, CAST(sum(records) AS BIGINT) AS records, "
            "sum(records) / greatest(sum(offered), 1) AS share, any_value(advice) AS advice "
            "FROM quality.quarantine_summary GROUP BY table_name, outcome, rule "
            "ORDER BY sum(records) DESC, table_name, rule",
        )
        summary.sources = _dicts(
            warehouse,
            "SELECT source, max(day) AS newest_day, max(as_of) AS as_of, "
            "CAST(sum(offered) FILTER (stage = 'landed') AS BIGINT) AS offered, "
            "CAST(sum(valid) FILTER (stage = 'validated') AS BIGINT) AS valid "
            "FROM quality.ledger GROUP BY source ORDER BY source",
        )
    return summary


def quarantine_groups(warehouse: Warehouse, table: str | None = None) -> list[dict[str, Any]]:
    """Groups of kept-out rows (table_name, outcome, rules, records, first_day, last_day), largest first."""
    if not warehouse.exists("quality.quarantine"):
        return []
    return _dicts(
        warehouse,
        "SELECT table_name, outcome, rules, CAST(sum(records) AS BIGINT) AS records, min(day) AS first_day, "
        "max(day) AS last_day FROM quality.quarantine WHERE ? IS NULL OR table_name = ? "
        "GROUP BY table_name, outcome, rules ORDER BY sum(records) DESC, table_name, rules",
        [table, table],
    )


def quarantine_rows(
    warehouse: Warehouse, table: str, rule: str | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Kept-out rows with their payload, which may hold personal data: for authorised eyes only."""
    if not warehouse.exists("quality.quarantine"):
        return []
    return _dicts(
        warehouse,
        "SELECT day, outcome, rules, reason, source_file, source_row, records, payload "
        "FROM quality.quarantine WHERE table_name = ? "
        "AND (? IS NULL OR list_contains(string_split(rules, ';'), ?)) "
        "ORDER BY day, source_file, source_row LIMIT ?",
        [table, rule, rule, limit],
    )


def replay(warehouse: Warehouse, table: str, landing: Path, run_id: str) -> LoadReport:
    """Load again every day with rows in quarantine; what the rules accept by now comes in exactly once."""
    days: Sequence[dt.date] = []
    if warehouse.exists("quality.quarantine"):
        rows = warehouse.sql(
            "SELECT DISTINCT day FROM quality.quarantine WHERE table_name = ? ORDER BY day", [table]
        ).fetchall()
        days = [row[0] for row in rows]
    return load(warehouse, table, landing, days, run_id)


def _dicts(warehouse: Warehouse, query: str, params: Sequence[Any] | None = None) -> list[dict[str, Any]]:
    result = warehouse.sql(query, params)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
