"""Section `figure`: every KPI of the catalogue, so that a new entry is on the page without another word."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number, text, whole
from cja_pipeline.journey_maps.sections.kpis import EVERYBODY, SLICES, UNITS, judged
from cja_pipeline.journey_maps.suppress import SUPPRESS

LATEST = """
    SELECT v.*, c.label, c.format, c.better
    FROM kpis.kpi_values v
    JOIN kpis.kpi_catalogue c ON c.kpi_id = v.kpi_id
    WHERE v.dimension IN ('all', 'device', 'new_returning') AND v.grain = 'rolling_28d'
      AND v.period_end = $last_day
    ORDER BY list_position($stages, v.stage), v.kpi_id
"""


def figures(context: Context, rows: Rows) -> None:
    """One row per KPI: the last 28 days of this customer group; small groups are not shown."""
    if not context.has("kpis.kpi_values", "kpis.kpi_catalogue"):
        return
    for row in _latest(context):
        small = context.segment != "all" and (whole(row["n"]) or 0) < SUPPRESS
        current = None if small else number(row["value"])
        hidden = current is None
        unit = text(row["format"])
        rows.add(
            "figure",
            text(row["kpi_id"]),
            stage=text(row["stage"]),
            label=text(row["label"]),
            text=text(row["null_reason"]) if hidden and not small else "",
            value=current,
            low=None if hidden else number(row["ci_low"]),
            high=None if hidden else number(row["ci_high"]),
            n=None if hidden else whole(row["n"]),
            unit=UNITS.get(unit, unit),
            currency=(text(row["currency"]) or context.currency) if unit == "money" else "",
            target=number(row["target"]),
            status=judged(context, row, current),
            evidence=text(row["ci_method"]) or "exact",
            period_start=day(row["period_start"]),
            period_end=day(row["period_end"]),
        )


def _latest(context: Context) -> list[dict[Any, Any]]:
    """The newest 28 days of every KPI in this group's slice, in the catalogue's order."""

    def read() -> dict[tuple[str, str], list[dict[Any, Any]]]:
        grouped: dict[tuple[str, str], list[dict[Any, Any]]] = {}
        for row in context.df(LATEST, stages=list(STAGES)).to_dict("records"):
            grouped.setdefault((str(row["dimension"]), str(row["dimension_value"])), []).append(row)
        return grouped

    return list(context.once("figures", read).get(SLICES.get(context.segment, EVERYBODY), []))
