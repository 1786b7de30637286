"""How many customers reach each stage, go on, stay or leave: one drawing to scale."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.rows import STAGES, Map

WIDTH = 100.0  # units of the view box per stage
HEIGHT = 205.0
TALLEST = 117.0  # what the largest stage takes of the height
HAIRLINE = 1.5  # the least that is drawn for a group that is not empty
_CELL = dict.fromkeys(("unit", "of_first", "go_share", "go_on", "leave", "open"), "") | {"known": False}


def river(page: Map, words: Labels, minimum: int) -> dict[str, Any]:
    """Bands (SVG paths by class) and the figures of each stage as text."""
    counts = [_counts(page, stage) for stage in STAGES]
    tallest = max((count["reached"] or 0.0 for count in counts), default=0.0)
    scale = TALLEST / tallest if tallest else 0.0
    bands: list[dict[str, Any]] = []
    cells = []
    first = next((count["reached"] for count in counts if count["reached"]), None)
    for index, count in enumerate(counts):
        last = index == len(counts) - 1
        bands += _bands(index * WIDTH, count, scale, last)
        cells.append(_cell(count, first, index, last, words, minimum))
    return {"bands": bands, "cells": cells, "empty": not tallest}


def _counts(page: Map, stage: str) -> dict[str, Any]:
    rows = {row.item: row for row in page.section("volume", stage)}
    found: dict[str, Any] = {}
    for item in ("reached", "go_on", "open", "leave"):
        row = rows.get(item)
        found[item] = None if row is None else row.value
        found[f"{item}_status"] = "no_data" if row is None else row.status
        found[f"{item}_share"] = None if row is None else row.share
    return found


def _size(value: float | None, scale: float) -> float:
    return max(HAIRLINE, value * scale) if value else 0.0


def _bands(x: float, count: dict[str, Any], scale: float, last: bool) -> list[dict[str, Any]]:
    """Bands of one stage: `path` for the page, `points` (an outline of straight lines) for the preview."""
    go, stay, leave = (_size(count[item], scale) for item in ("go_on", "open", "leave"))
    if last:
        whole = _size(count["reached"], scale)
        return [_box("go", x, 0.0, WIDTH, whole)] if whole else []
    found = []
    if go:
        found.append(_box("go", x, 0.0, WIDTH, go))
    if stay:
        found.append(_box("stay", x, go, WIDTH * 0.9, stay))
    if leave:
        found.append(_bend(x, go + stay, leave))
    return found


def _box(kind: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    c = draw.c
    return {
        "kind": kind,
        "path": f"M{c(x)} {c(y)}h{c(width)}v{c(height)}h-{c(width)}Z",
        "points": [(x, y), (x + width, y), (x + width, y + height), (x, y + height)],
    }


def _bend(x: float, top: float, thick: float) -> dict[str, Any]:
    """A band that runs on for a while, then falls out of the drawing; as wide at its end as it was high."""
    across = min(thick * 0.41, 0.34 * WIDTH)  # a column is about 245 pixels wide and 100 units
    right, left = x + 0.9 * WIDTH, x + 0.9 * WIDTH - across
    turn_out, turn_in = x + 0.34 * WIDTH, x + max(0.12, 0.34 - across / WIDTH) * WIDTH
    low = top + thick
    outer = ((turn_out, top), (turn_out + 0.36 * WIDTH, top), (right, top + 50), (right, HEIGHT))
    inner = (
        (left, HEIGHT),
        (left, low + (HEIGHT - low) * 0.5),
        (left - (left - turn_in) * 0.3, low),
        (turn_in, low),
    )
    c = draw.c
    out, back = (" ".join(f"{c(a)} {c(b)}" for a, b in part[1:]) for part in (outer, inner))
    return {
        "kind": "leave",
        "path": f"M{c(x)} {c(top)}H{c(turn_out)}C{out}H{c(left)}C{back}H{c(x)}Z",
        "points": [(x, top), *draw.sampled(outer), *draw.sampled(inner), (x, low)],
    }


def _cell(
    count: dict[str, Any], first: float | None, index: int, last: bool, words: Labels, minimum: int
) -> dict[str, Any]:
    form = words.formats
    reached = count["reached"]
    if count["reached_status"] == "passed":
        return _CELL | {"reached": words("map.passed"), "last": last}
    share = reached / first if reached is not None and first else None
    return {
        "reached": _figure(count, "reached", words, minimum),
        "known": reached is not None,
        "unit": words("map.reached") if reached is not None and (index == 0 or share is None) else "",
        "of_first": words("map.of_first", share=form.percent(share, 1))
        if index and share is not None
        else "",
        "go_share": "" if last or count["go_on_share"] is None else form.percent(count["go_on_share"], 1),
        "go_on": _figure(count, "go_on", words, minimum),
        "leave": "" if last else _figure(count, "leave", words, minimum),
        "open": "" if last else _figure(count, "open", words, minimum),
        "last": last,
    }


def _figure(count: dict[str, Any], item: str, words: Labels, minimum: int) -> str:
    value, status = count[item], count[f"{item}_status"]
    if status == "suppressed":
        return words("page.fewer", n=minimum)
    if value is None:
        return words("page.not_enough") if item == "reached" else ""
    text = words.formats.short(value, exact_below=1e7)
    return words("page.about", n=text) if status == "rounded" else text
