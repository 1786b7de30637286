"""Sections `time` and `duration`: how long a stage lasts, and how long until an order."""

from __future__ import annotations

import json
from typing import Any

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context, number, text, whole
from cja_pipeline.journey_maps.suppress import size_status

DAY = 86_400.0
CURVE_POINTS = 60


def times(context: Context, rows: Rows) -> None:
    """Median and middle half of each stage's spells (Kaplan-Meier); `target` is the longest time observed."""
    if not context.has("kpis.durations"):
        return
    found = context.df("SELECT * FROM kpis.durations WHERE segment = $segment ORDER BY measure, stage")
    spells = found[found["measure"] == "stage"]
    for stage in STAGES:
        row = next(iter(spells[spells["stage"] == stage].to_dict("records")), None)
        if row is None:
            continue
        few = size_status(number(row["n"])) == "suppressed" or row["status"] == "few"
        curve = _curve(row["curve"])
        median, low, high = (_seconds(row[name]) for name in ("median_days", "p25_days", "p75_days"))
        rows.add(
            "time",
            "spell",
            stage=stage,
            value=None if few else median,
            low=None if few else low,
            high=None if few else high,
            target=None if few or not curve else curve[-1][0] * DAY,
            n=None if few else whole(row["n"]),
            unit="seconds",
            status="no_data" if few else text(row["status"]),
            evidence="Kaplan-Meier",
        )
    _purchase(context, rows, found[found["measure"] == "purchase_journey"].to_dict("records"))


def _purchase(context: Context, rows: Rows, found: list[dict[Any, Any]]) -> None:
    """The share of purchase attempts that have ended in an order, by day."""
    if not found or size_status(number(found[0]["n"])) == "suppressed" or found[0]["status"] == "few":
        return
    row = found[0]
    points = [[days, 1 - left, 1 - high, 1 - low] for days, left, low, high in _curve(row["curve"])]
    if points and points[0][0] > 0:
        points.insert(0, [0.0] * 4)
    rows.add(
        "duration",
        "purchase_journey",
        stage="purchase",
        label=context.words("cards.duration"),
        value=number(row["median_days"]),
        low=number(row["ci_low"]),
        high=number(row["ci_high"]),
        n=whole(row["n"]),
        unit="days",
        status=text(row["status"]),
        evidence="Kaplan-Meier",
        series=_thinned(points),
    )


def _curve(encoded: Any) -> list[list[float]]:
    """Decoded points [days, share not yet ended, low, high], in order of time."""
    try:
        points = json.loads(encoded) if isinstance(encoded, str) else []
    except ValueError:
        return []
    known = [[number(figure) for figure in part] for part in points if isinstance(part, list)]
    return sorted([f for f in part if f is not None] for part in known if len(part) == 4 and None not in part)


def _thinned(points: list[list[float]]) -> list[list[float]]:
    step = max(1, -(-len(points) // CURVE_POINTS))
    kept = points[::step]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _seconds(days: Any) -> float | None:
    found = number(days)
    return None if found is None else found * DAY
