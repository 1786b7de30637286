"""Bar drawings with interval whiskers: credit by channel, friction, value against cost."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.page.stages import whisker
from cja_pipeline.journey_maps.rows import Map, Row


def credit(page: Map, words: Labels) -> dict[str, Any] | None:
    """Net revenue by channel: bar (Markov), whisker (95 %), strip (all models), mark (last click), and the
    total they add up to; None without channels."""
    rows = [row for row in page.section("attribution") if row.item != "total" and row.value is not None]
    total = page.find("attribution", "total")
    if not rows:
        return None
    drawn = [row for row in rows if row.item != "Unattributed"] or rows
    ends = [v for row in drawn for v in (row.value, row.high, row.target, *band(row)) if v is not None]
    full = max(*ends, 0.0) * 1.02 or 1.0
    period = rows[0]
    loose = sum(row.value or 0 for row in rows if row.item == "Unattributed")
    whole = sum(row.value or 0 for row in rows)
    share = loose / whole if whole > 0 else 0
    return {
        "loose": words("cards.unattributed", share=words.formats.percent(share, 0)) if share >= 0.005 else "",
        "period": words.formats.dates(period.period_start, period.period_end),
        "total": words.formats.money(total.value, total.currency, rough=True) if total else "",
        "rows": [
            {
                "name": words.name("channel", row.item, row.label),
                "value": words.formats.money(row.value, row.currency, rough=True),
                "bar": whisker(row.value, row.low, row.high, full) if row in drawn else None,
                "mark": None if row.target is None or row not in drawn else draw.pct(row.target / full),
                "band": strip(row, full),
                "rest": row.status == "rest",
            }
            for row in rows
        ],
    }


def band(row: Row) -> list[float]:
    """Least and most that any model gives a channel; nothing where that is not known."""
    ends = row.parts()
    known = isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends)
    return [float(end) for end in ends] if known else []


def strip(row: Row, full: float) -> dict[str, str] | None:
    """The band on the scale of the bars."""
    ends = [min(1.0, max(0.0, end / full)) for end in band(row)]
    return {"left": draw.pct(ends[0]), "width": draw.pct(ends[1] - ends[0])} if ends else None


def friction(page: Map, words: Labels) -> list[dict[str, Any]]:
    """Losses in money, largest first, with whiskers on one scale from zero."""
    rows = [row for row in page.section("friction") if row.value is not None]
    full = max([row.high if row.high is not None else row.value or 0.0 for row in rows] or [0.0]) * 1.02
    return [
        {
            "name": row.label,
            "value": words.formats.money(row.value, row.currency, rough=True),
            "bar": whisker(row.value, row.low, row.high, full),
            "note": _note(row, words),
            "proven": row.status == "proven",
        }
        for row in rows
    ]


def _note(row: Row, words: Labels) -> str:
    """When it is lost, and why a loss is grey."""
    if row.status == "proven":
        return row.text
    reason = words.words.get(f"friction.{row.status}") or words("map.unproven")
    return " · ".join(part for part in (row.text, reason) if part)


def value_against_cost(page: Map, words: Labels) -> list[dict[str, Any]]:
    """Per channel: expected value (bar with whisker) and cost to win a customer (mark) on one scale."""
    rows = [row for row in page.section("value") if row.value is not None]
    ends = [value for row in rows for value in (row.value, row.high, row.target) if value is not None]
    full = max(ends or [0.0]) * 1.02
    return [_value(row, full, words) for row in rows]


def _value(row: Row, full: float, words: Labels) -> dict[str, Any]:
    form = words.formats
    ratio = row.share if row.share is not None else None
    return {
        "name": words.name("channel", row.item, row.label),
        "value": form.money(row.value, row.currency, rough=True),
        "cost": form.money(row.target, row.currency, rough=True) if row.target is not None else "",
        "ratio": words("cards.ratio", n=form.number(ratio, 1)) if ratio is not None else "",
        "bar": whisker(row.value, row.low, row.high, full),
        "mark": None if row.target is None or full <= 0 else draw.pct(row.target / full),
        "loses": row.target is not None and row.value is not None and row.value < row.target,
    }
