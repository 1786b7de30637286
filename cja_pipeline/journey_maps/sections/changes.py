"""Section `note`: what moved against the map of the night before and that of a week before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.journey_maps.page.kpis import change, change_class, verdict_words
from cja_pipeline.journey_maps.rows import Map, Row, Rows, read_map, to_frame
from cja_pipeline.journey_maps.sections.context import Context

if TYPE_CHECKING:
    import pandas as pd

MOST = 10
MOST_LOSSES = 3


def changes(context: Context, rows: Rows) -> None:
    """Proven losses that came or went, key figures and stages that moved since the maps in
    ``run["previous"]`` and ``run["week"]``; nothing without them."""
    new = read_map(to_frame(rows.rows), context.segment)
    told = None
    for since, item, name in (("since", "change", "previous"), ("since_week", "week", "week")):
        before: pd.DataFrame | None = context.run.get(name)
        if before is None or not len(before):
            continue
        old = read_map(before, context.segment)
        period = old.find("header", "period")
        day = period.period_end if period else None
        if day is None or day >= context.last_day or day == told:
            continue
        told = day
        rows.add("note", since, text=context.words("cards.changes_how", day=context.words.formats.date(day)))
        found = [*_losses(context, new, old), *_kpis(context, new, old), *_stages(context, new, old)]
        for place, (label, words, status) in enumerate(found[:MOST]):
            rows.add("note", f"{item}/{place}", label=label, text=words, status=status)


def _losses(context: Context, new: Map, old: Map) -> list[tuple[str, str, str]]:
    now, before = (
        {row.label for row in page.section("friction") if row.status == "proven"} for page in (new, old)
    )
    came = [(label, context.words("cards.new"), "bad") for label in sorted(now - before)]
    went = [(label, context.words("cards.gone"), "good") for label in sorted(before - now)]
    return [*came, *went][:MOST_LOSSES]


def _kpis(context: Context, new: Map, old: Map) -> list[tuple[str, str, str]]:
    found = []
    for row in new.section("kpi"):
        past = old.find("kpi", row.item, row.stage)
        if past is None or past.value is None or row.value is None:
            continue
        moved = Row(**{**row.__dict__, "previous": past.value})
        parts = row.parts()
        known = parts if isinstance(parts, dict) else {}
        status = change_class(moved, {**known, "before": [past.low, past.high]})
        words = change(moved, context.words)
        if any(digit in words for digit in "123456789"):
            name = context.words.name("kpi", row.item, row.label)
            if row.status != past.status:
                words = f"{words}, {context.words(f'status.{verdict_words(row)}')}"
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
