"""The words around the figures: what changed, how to read the page, where it comes from, what is left out."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.rows import Map, Row


def foot(page: Map, words: Labels, suppress: int, small: int) -> dict[str, Any]:
    """Texts of the footer."""
    period = page.find("header", "period")
    idle = page.find("header", "idle_days")
    dates = words.formats.dates(period.period_start, period.period_end) if period else ""
    return {
        "read": words("foot.read_text", idle=words.formats.number(idle.value if idle else 30)),
        "source": words(
            "foot.source_text",
            version=page.text("header", "version", "–"),
            period=dates,
            zone=page.text("header", "time_zone", "UTC"),
        ),
        "run": words("foot.source_run", run=page.text("header", "run")) if page.text("header", "run") else "",
        "leaves": words("foot.leaves_text", k=suppress, small=small),
        "limits": [row.text for row in page.section("note") if row.item.startswith("limit/") and row.text],
    }


def changes(page: Map, words: Labels) -> list[dict[str, Any]]:
    """What moved since the map of the night before and that of a week before."""
    return [
        {
            "since": since.text,
            "moved": [_change(row) for row in page.section("note") if row.item.startswith(item)],
        }
        for name, item in (("since", "change/"), ("since_week", "week/"))
        if (since := page.find("note", name)) is not None
    ]


def _change(row: Row) -> dict[str, str]:
    return {"name": row.label, "text": row.text, "kind": row.status if row.status in ("good", "bad") else ""}
