"""The emotion curve: a line through the measured points with its interval band, highs and lows named."""

from __future__ import annotations

import math
from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.rows import STAGES, Map, Row

WIDTH = 100.0
HEIGHT = 210.0
MARGIN = 34.0  # room for labels above and below
WORTH_A_NAME = 5.0
APART = 62.0  # units between two labels on the same side


def feelings(page: Map, words: Labels) -> dict[str, Any]:
    """Paths, dots and labels; ``empty`` per stage where nobody said enough."""
    spots: list[tuple[float, Row]] = []
    empty = []
    for index, stage in enumerate(STAGES):
        rows = [row for row in page.section("emotion", stage) if row.value is not None]
        empty.append(not rows)
        spots += [(index * WIDTH + (place + 0.5) * WIDTH / len(rows), row) for place, row in enumerate(rows)]
    limit = _limit([row for _, row in spots])

    def y(value: float) -> float:
        held = max(-limit, min(limit, value))
        return MARGIN + (HEIGHT - 2 * MARGIN) * (1 - (held + limit) / (2 * limit))

    zero = y(0)
    lines = [_segment(run, y, zero) for run in _runs(spots, empty)]
    named = _named(spots)
    return {
        "lines": lines,
        "zero": draw.c(zero),
        "dots": [_dot(x, row, y, row in named) for x, row in spots],
        "labels": [_label(x, row, y, words) for x, row in spots if row in named],
        "top": words("map.happier", n=words.formats.number(limit)),
        "bottom": words("map.unhappier", n=words.formats.number(limit)),
        "empty": empty,
        "any": bool(spots),
    }


def _limit(rows: list[Row]) -> float:
    largest = max((abs(row.value or 0.0) for row in rows), default=0.0)
    return next((float(step) for step in (25, 50, 75) if largest <= step), 100.0)


def _runs(spots: list[tuple[float, Row]], empty: list[bool]) -> list[list[tuple[float, Row]]]:
    """Stretches without a stage that has no data in between; the line is not drawn across a gap."""
    runs: list[list[tuple[float, Row]]] = []
    for x, row in spots:
        stage = int(x // WIDTH)
        if runs and not any(empty[int(runs[-1][-1][0] // WIDTH) : stage]):
            runs[-1].append((x, row))
        else:
            runs.append([(x, row)])
    return runs


def _segment(run: list[tuple[float, Row]], y: Any, zero: float) -> dict[str, str]:
    # the line runs flat to the borders of the first and last stage of the run
    left = math.floor(run[0][0] / WIDTH) * WIDTH
    right = math.ceil(run[-1][0] / WIDTH) * WIDTH
    padded = [(left, run[0][1]), *run, (right, run[-1][1])]
    middle = [(x, y(row.value)) for x, row in padded]
    upper = [(x, y(row.high if row.high is not None else row.value)) for x, row in padded]
    lower = [(x, y(row.low if row.low is not None else row.value)) for x, row in padded]
    return {
        "line": draw.curve(middle),
        "area": f"{draw.curve(middle)}V{draw.c(zero)}H{draw.c(left)}Z",
        "band": draw.closed(upper, lower),
    }


def _named(spots: list[tuple[float, Row]]) -> list[Row]:
    """Highs and lows that get a label: the strongest first, none closer than APART on the same side."""
    values = [row.value or 0.0 for _, row in spots]
    candidates = []
    for place, (x, row) in enumerate(spots):
        value = values[place]
        before = values[place - 1] if place else -math.inf * (1 if value >= 0 else -1)
        after = values[place + 1] if place + 1 < len(values) else -math.inf * (1 if value >= 0 else -1)
        high = value >= 0 and value >= before and value >= after
        low = value < 0 and value <= before and value <= after
        if (high or low) and abs(value) >= WORTH_A_NAME:
            candidates.append((abs(value), x, row))
    chosen: list[tuple[float, Row]] = []
    for _, x, row in sorted(candidates, key=lambda entry: (-entry[0], entry[1])):
        above = (row.value or 0.0) >= 0
        if all(abs(x - other) >= APART for other, placed in chosen if ((placed.value or 0.0) >= 0) == above):
            chosen.append((x, row))
    return [row for _, row in chosen]


def _dot(x: float, row: Row, y: Any, named: bool) -> dict[str, str]:
    kind = "" if not named else "good" if (row.value or 0.0) >= 0 else "bad"
    return {"x": draw.pct(x / (WIDTH * len(STAGES))), "y": draw.pct(y(row.value) / HEIGHT), "kind": kind}


def _label(x: float, row: Row, y: Any, words: Labels) -> dict[str, str]:
    above = (row.value or 0.0) >= 0
    side = "start" if x < 30 else "end" if x > WIDTH * len(STAGES) - 30 else "mid"
    return {
        "x": draw.pct(x / (WIDTH * len(STAGES))),
        "y": draw.pct(y(row.value) / HEIGHT),
        "side": side,
        "place": "above" if above else "below",
        "value": words.formats.number(row.value, signed=True),
        "n": words("map.said", n=words.formats.short(row.n)) if row.n is not None else "",
        "name": words.name("topic", row.item, row.label),
    }
