"""Section `note`: what moved against an earlier map of the same group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.journey_maps.page.kpis import change, change_class
from cja_pipeline.journey_maps.rows import Map, Row, Rows, read_map, to_frame
from cja_pipeline.journey_maps.sections.context import Context

if TYPE_CHECKING:
    import pandas as pd

MOST = 6


def changes(context: Context, rows: Rows) -> None:
    """Key figures and stages that moved since the map in ``run["previous"]``; nothing without one."""
    before: pd.DataFrame | None = context.run.get("previous")
    if before is None or not len(before):
        return
    old = read_map(before, context.segment)
    new = read_map(to_frame(rows.rows), context.segment)
    period = old.find("header", "period")
    if period is None or period.period_end is None or period.period_end >= context.last_day:
        return
    form = context.words.formats
    rows.add("note", "since", text=context.words("cards.changes_how", day=form.date(period.period_end)))
    found = [*_kpis(context, new, old), *_stages(context, new, old)]
    for place, (label, words, status) in enumerate(found[:MOST]):
        rows.add("note", f"change/{place}", label=label, text=words, status=status)


def _kpis(context: Context, new: Map, old: Map) -> list[tuple[str, str, str]]:
    found = []
    for row in new.section("kpi"):
        past = old.find("kpi", row.item, row.stage)
        if past is None or past.value is None or row.value is None:
            continue
        moved = Row(**{**row.__dict__, "previous": past.value})
        parts = row.parts()
        status = change_class(moved, parts if isinstance(parts, dict) else {})
        words = change(moved, context.words)
        if any(digit in words for digit in "123456789"):
            name = context.words.name("kpi", row.item, row.label)
            found.append((name, words, "" if status == "flat" else status))
    return found


def _stages(context: Context, new: Map, old: Map) -> list[tuple[str, str, str]]:
    found = []
    for row in new.section("volume"):
        past = old.find("volume", row.item, row.stage)
        if row.item != "reached" or past is None or not past.value or row.value is None:
            continue
        if row.value == past.value:
            continue
        words = context.words.formats.number(row.value - past.value, signed=True)
        found.append((context.words(f"stage.{row.stage}"), words, ""))
    return found
