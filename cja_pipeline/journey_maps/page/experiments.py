"""The table of experiments: what each variant changed, or why it is not read."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING
from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.rows import Map, Row

ICONS = {"better": "check", "worse": "cross", "sample_ratio_mismatch": "warn"}
COLOURS = {"better": "good", "worse": "bad"}
UNREAD = ("sample_ratio_mismatch", "too_few")


def experiments(page: Map, words: Labels) -> dict[str, Any] | None:
    """Names of the metrics and one entry per variant with a cell per metric; None without experiments."""
    rows = page.section("experiment")
    metrics = list(dict.fromkeys(row.evidence for row in rows))
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.label, row.text), []).append(row)
    if not found:
        return None
    return {
        "heads": [words.name("metric", metric) for metric in metrics],
        "rows": [_variant(several, metrics, words) for several in found.values()],
    }


def _variant(rows: list[Row], metrics: list[str], words: Labels) -> dict[str, Any]:
    first, form = rows[0], words.formats
    sizes = first.parts()
    known = isinstance(sizes, list) and len(sizes) == 2 and all(isinstance(n, int) for n in sizes)
    by_metric = {row.evidence: row for row in rows}
    unread = first.status in UNREAD
    return {
        "name": first.label,
        "against": first.text,
        "period": form.dates(first.period_start, first.period_end, short=True)
        if first.period_end
        else words("test.running"),
        "sizes": words("cards.against", value=form.number(sizes[0]), control=form.number(sizes[1]))
        if known and isinstance(sizes, list)
        else NOTHING,
        "unread": words.name("test", first.status) if unread else "",
        "cells": [] if unread else [_cell(by_metric.get(metric), words) for metric in metrics],
    }


def _cell(row: Row | None, words: Labels) -> dict[str, str]:
    if row is None or row.value is None:
        return {"lift": NOTHING, "range": "", "verdict": "", "icon": "dash", "kind": ""}
    form = words.formats
    both = row.low is not None and row.high is not None
    return {
        "lift": form.change(row.value),
        "range": form.between(form.change(row.low), form.change(row.high)) if both else "",
        "verdict": words.name("test", row.status),
        "icon": ICONS.get(row.status, "dash"),
        "kind": COLOURS.get(row.status, ""),
    }
