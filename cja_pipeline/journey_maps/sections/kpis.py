"""Section `kpi`: the key figures of the last 28 days with their course, from ``kpis.kpi_values``."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number, text, whole
from cja_pipeline.journey_maps.sections.value import is_refuted
from cja_pipeline.journey_maps.suppress import SUPPRESS
from cja_pipeline.kpis.catalogue import load_catalogue

DAYS = 28
WEEKS = 13
UNITS = {"percent": "share", "number": "ratio"}
# which slice of the KPI table a customer group is
SLICES = {
    "new": ("new_returning", "new"),
    "returning": ("new_returning", "returning"),
    "mobile": ("device", "mobile"),
    "desktop": ("device", "desktop"),
}
EVERYBODY = ("all", "all")
VALUES = """
    SELECT v.*, c.label, c.format, c.better
    FROM kpis.kpi_values v
    JOIN kpis.kpi_catalogue c ON c.kpi_id = v.kpi_id
    WHERE list_contains($shown, v.kpi_id) AND v.dimension IN ('all', 'device', 'new_returning')
      AND v.grain IN ('rolling_28d', 'day', 'week') AND v.period_end BETWEEN $first_day AND $last_day
    ORDER BY v.kpi_id, v.grain, v.period_end DESC
"""


def kpis(context: Context, rows: Rows) -> None:
    """One row per KPI of the strip; a KPI that the catalogue does not know or that has no value says why."""
    if not context.has("kpis.kpi_values", "kpis.kpi_catalogue"):
        return
    absent = []
    for shown in context.config.kpis:
        found = kpi_row(context, shown.id, shown.base, shown.count)
        if found is not None:
            rows.add("kpi", shown.id, **found)
        elif (shown.id, *EVERYBODY) in context.results["kpis"]:
            absent.append(context.words.name("kpi", shown.id))
    if absent and context.segment != "all":
        rows.add("note", "shop_only", text=context.words("kpi.shop_only", names=", ".join(absent)))


def kpi_row(context: Context, kpi: str, base: str, count: str) -> dict[str, Any] | None:
    """The columns of a KPI's row, or None where the KPI is unknown."""
    found = _values(context, kpi)
    periods = [row for row in found if row["grain"] == "rolling_28d"]
    if not periods:
        return None
    now = periods[0]
    # what was watched in part only is nothing to compare with
    before = periods[1] if len(periods) > 1 and periods[1]["is_complete"] else None
    money = now["format"] == "money"
    current = number(now["value"])
    size = whole(now[count]) if current is not None else None
    if context.segment != "all" and (whole(now["n"]) or 0) < SUPPRESS:
        current, size = None, None
    hidden = current is None
    return {
        "stage": text(now["stage"]),
        "label": context.words.name("kpi", kpi, text(now["label"])),
        "text": "" if not hidden else text(now["null_reason"]),
        "value": current,
        "low": None if hidden else number(now["ci_low"]),
        "high": None if hidden else number(now["ci_high"]),
        "n": size,
        "unit": UNITS.get(text(now["format"]), text(now["format"])),
        "currency": text(now["currency"]) or context.currency if money else "",
        "target": number(now["target"]),
        "status": judged(context, now, current),
        "previous": None if hidden or before is None else number(before["value"]),
        "series": {
            "better": text(now["better"]),
            "before": None
            if hidden or before is None
            else [number(before[end]) for end in ("ci_low", "ci_high")],
            "n_unit": base,
            "points": [] if hidden else _course(context, found),
        },
        "evidence": text(now["ci_method"]) or "exact",
        "period_start": day(now["period_start"]),
        "period_end": day(now["period_end"]),
    }


def _values(context: Context, kpi: str) -> list[dict[Any, Any]]:
    """All rows of a KPI in this group's slice, newest first within each grain."""

    def read() -> dict[tuple[str, str, str], list[dict[Any, Any]]]:
        ids = [shown.id for shown in context.config.kpis]
        # far enough back for the period before and for the weeks
        first = context.last_day - dt.timedelta(days=7 * (WEEKS + 1))
        grouped: dict[tuple[str, str, str], list[dict[Any, Any]]] = {}
        for row in context.df(VALUES, shown=ids, first_day=first).to_dict("records"):
            key = (str(row["kpi_id"]), str(row["dimension"]), str(row["dimension_value"]))
            grouped.setdefault(key, []).append(row)
        return grouped

    dimension, value = SLICES.get(context.segment, EVERYBODY)
    return list(context.once("kpis", read).get((kpi, dimension, value), []))


def judged(context: Context, row: dict[Any, Any], value: float | None) -> str:
    """The verdict; doubtful where the model that foretells the figure is refuted by what happened."""
    found = verdict(row, value)
    kpi = load_catalogue().kpis.get(str(row["kpi_id"]))
    foretold = kpi is not None and load_catalogue().is_foretold(kpi)
    return "doubtful" if foretold and found in ("on", "near", "off") and is_refuted(context) else found


def verdict(row: dict[Any, Any], value: float | None) -> str:
    """on: target met; near: missed, by no more than chance or tolerance; off: missed; none: no target.

    Off is what the KPI table says of the interval (`behind`), so that page and table never disagree.
    """
    target, judged = number(row["target"]), text(row["status"])
    if value is None or (target is not None and judged == "insufficient_data"):
        return "no_data"
    if target is None:
        return "none"
    if judged == "behind":
        return "off"
    return "on" if (value >= target if row["better"] != "down" else value <= target) else "near"


def _course(context: Context, found: list[dict[Any, Any]]) -> list[list[Any]]:
    """[day, value] of the last 28 days, null where a day has no value; of the last 13 complete weeks where
    single days say too little."""
    known = {day(row["period_end"]): number(row["value"]) for row in found if row["grain"] == "day"}
    days = [context.last_day - dt.timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    daily = [[each.isoformat(), known.get(each)] for each in days]
    if sum(value is not None for _, value in daily) >= DAYS // 2:
        return daily
    weeks = [row for row in found if row["grain"] == "week"][:WEEKS]
    return [[str(day(row["period_end"])), number(row["value"])] for row in reversed(weeks)]
