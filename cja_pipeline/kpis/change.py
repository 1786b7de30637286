"""Why a published number of the past is no longer what it was: `cja explain change`."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.explain import NoSuchNumberError
from cja_pipeline.kpis.kpi_sources import load_sources_file
from cja_pipeline.kpis.kpi_values import read_scope
from cja_pipeline.kpis.periods import bounds
from cja_pipeline.kpis.reasons import REASONS
from cja_pipeline.warehouse import Warehouse

WORDS = {
    **REASONS,
    "withheld": "there is no number any more",
    "unexplained": "no row that it was counted from differs",
}


def explain_change(wh: Warehouse, kpi_id: str, day: dt.date, grain: str = "day") -> dict[str, Any]:
    """Every recorded change of one whole number, oldest first.

    Returns:
        kpi_id, label, grain, period_start, value and null_reason as published now, `changes` (one per night
        that restated it: counted_before, restated_at, value_before, value_now, change, and `parts`: reason,
        meaning, part, rows, customers, examples) and `note`, a sentence about what the record covers.

    Raises:
        KeyError: there is no such KPI. NoSuchNumberError: nothing is published for that period.
    """
    kpi = load_catalogue()[kpi_id]
    scope, _ = read_scope(wh)
    start, _ = bounds(grain, day, scope.as_of)
    where = [kpi.id, grain, start]
    published = wh.sql(
        "SELECT value, null_reason, is_complete AND is_mature FROM kpis.kpi_values WHERE kpi_id = ? "
        "AND grain = ? AND period_start = ? AND dimension = 'all'",
        where,
    ).fetchall()
    if not published:
        grains = [one for one in load_catalogue().grains(kpi) if one != "rolling_28d"]
        raise NoSuchNumberError(
            f"{kpi.id} has no {grain} of {start}: it is published by {', '.join(grains)} up to {scope.as_of}."
        )
    value, null_reason, settled = published[0]
    changes = _changes(wh, where)
    return {
        "kpi_id": kpi.id,
        "label": kpi.label,
        "grain": grain,
        "period_start": start,
        "value": value,
        "null_reason": null_reason,
        "changes": changes,
        "note": _note(scope.as_of, start, grain, bool(settled), bool(changes)),
    }


def _changes(wh: Warehouse, where: list[Any]) -> list[dict[str, Any]]:
    for table in ("kpis.restatements", "kpis.restated_rows"):
        wh.ensure(table)
    this = "kpi_id = ? AND grain = ? AND period_start = ?"
    examples: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    names = ("source", "row_key", "what", "customer_id", "other_customer_id")
    for night, reason, *row in wh.sql(
        f"SELECT restated_at, reason, {', '.join(names)} FROM kpis.restated_rows WHERE {this} "
        "ORDER BY restated_at, reason, source, row_key",
        where,
    ).fetchall():
        examples.setdefault((night, reason), []).append(dict(zip(names, row, strict=True)))
    order = list(WORDS)
    found: dict[dt.datetime, dict[str, Any]] = {}
    for night, before, was, now, reason, part, rows, customers in sorted(
        wh.sql(
            "SELECT restated_at, counted_before, value_before, value_now, reason, part, rows, customers "
            f"FROM kpis.restatements WHERE {this}",
            where,
        ).fetchall(),
        key=lambda row: (row[0], order.index(row[4])),
    ):
        change = found.setdefault(
            night,
            {
                "counted_before": before,
                "restated_at": night,
                "value_before": was,
                "value_now": now,
                "change": None if now is None else now - was,
                "parts": [],
            },
        )
        change["parts"].append(
            {
                "reason": reason,
                "meaning": WORDS[reason],
                "part": part,
                "rows": rows,
                "customers": customers,
                "examples": examples.get((night, reason), []),
            }
        )
    return list(found.values())


def _note(last: dt.date, start: dt.date, grain: str, settled: bool, changed: bool) -> str:
    days = load_sources_file().remember_days
    if start <= last - dt.timedelta(days=days):
        return (
            f"Rows are remembered for {days} days (remember_days in kpi_sources.yml): what changed in this "
            f"{grain} when it was older than that is not recorded."
        )
    if not settled:
        return f"This {grain} is not over yet, or a window of it is still running: it changes until then."
    return "" if changed else "It is what it was when it was first published."
