"""Drawings over time: the cohort heat map and the curve of buying."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.page.palette import RAMP
from cja_pipeline.journey_maps.rows import Map, Row

HEIGHT = 150.0
MOST_PERIODS = 6


def cohorts(page: Map, words: Labels) -> dict[str, Any] | None:
    """Rows of months with their cells; a month not yet over is an empty cell, not a zero."""
    rows = cohort_rows(page)
    # months that nobody has lived through yet need no column
    over = [place + 1 for _, cells in rows for place, cell in enumerate(cells) if cell is not None]
    periods = min(MOST_PERIODS, max(over, default=0))
    if not rows or not periods:
        return None
    largest = max(cell[0] for _, cells in rows for cell in cells if cell is not None)
    several_years = len({row.item[:4] for row, _ in rows}) > 1
    return {
        "heads": [words("cards.month_after", n=place + 1) for place in range(periods)],
        "rows": [
            {
                "name": month(row, words, year=several_years),
                "buyers": words.formats.short(row.n, exact_below=1e6),
                "cells": [_cell(cell, largest, words) for cell in _padded(cells, periods)],
            }
            for row, cells in rows
        ],
    }


def month(row: Row, words: Labels, *, year: bool = True) -> str:
    """The month of first orders, and whether only a part of it was watched."""
    name = words.formats.month(row.item, year=year)
    return words("cards.in_part", month=name) if row.status == "in_part" else name


def cohort_rows(page: Map) -> list[tuple[Row, list[list[float] | None]]]:
    """The months with their cells [share, low, high]; None where a month is not over."""
    found = []
    for row in page.section("cohort"):
        parts = row.parts()
        if isinstance(parts, list):
            found.append((row, [_known(part) for part in parts]))
    return found


def _known(part: Any) -> list[float] | None:
    """A cell, if it is one; an interval that is not known is as narrow as its share."""
    if not isinstance(part, list) or len(part) != 3 or not isinstance(part[0], int | float):
        return None
    return [float(end) if isinstance(end, int | float) else float(part[0]) for end in part]


def _padded(cells: list[list[float] | None], periods: int) -> list[list[float] | None]:
    return [*cells[:periods], *[None] * (periods - len(cells))]


def _cell(cell: list[float] | None, largest: float, words: Labels) -> dict[str, str]:
    if cell is None:
        return {"text": "", "level": ""}
    place = min(len(RAMP) - 1, int(cell[0] / largest * len(RAMP))) if largest > 0 else 0
    return {"text": words.formats.number(cell[0] * 100), "level": RAMP[place]}


def buying_curve(page: Map, words: Labels) -> dict[str, Any] | None:
    """Share of attempts that have ended in an order by day, with band; None without a curve."""
    row = page.find("duration", "purchase_journey", "purchase")
    parts = row.parts() if row else None
    if row is None or not isinstance(parts, list) or len(parts) < 2:
        return None
    points = [_point(part) for part in parts]
    known = [point for point in points if point is not None]
    if len(known) < 2:
        return None
    last = max(point[0] for point in known) or 1.0
    top = draw.ceiling(max(point[3] for point in known)) if known else 1.0
    top = min(1.0, max(top, 0.01))

    def place(day: float, share: float) -> draw.Point:
        return day / last * 100, HEIGHT * (1 - min(1.0, share / top))

    steps = _steps([(point[0], point[1]) for point in known])
    upper = _steps([(point[0], point[3]) for point in known])
    lower = _steps([(point[0], point[2]) for point in known])
    form = words.formats
    days = row.value
    return {
        "line": draw.line([place(*point) for point in steps]),
        "area": draw.line([place(*point) for point in steps]) + f"V{draw.c(HEIGHT)}H0Z",
        "band": draw.closed([place(*p) for p in upper], [place(*p) for p in lower], smooth=False),
        "levels": [
            {
                "y": draw.pct(1 - part),
                "text": form.percent(top * part, 0 if top * part * 100 % 1 < 0.01 else 1),
            }
            for part in (1.0, 0.5)
        ],
        "days": ["0", form.duration(last * 43_200), form.duration(last * 86_400)],
        "verdict": words("cards.duration_median", days=form.duration(days * 86_400))
        if days is not None
        else _slow(known, words),
        "end": (draw.pct(1.0), draw.pct(1 - min(1.0, known[-1][1] / top))),
        "final": form.percent(known[-1][1], 1),
    }


def _slow(known: list[tuple[float, float, float, float]], words: Labels) -> str:
    """Where less than half of the attempts end in an order: how many do, and how soon half of those."""
    form = words.formats
    final = known[-1][1]
    half = next(day for day, share, *_ in known if share >= final / 2)
    return words(
        "cards.duration_slow",
        share=form.percent(final, 1),
        days=form.duration(known[-1][0] * 86_400),
        half=form.duration(half * 86_400),
    )


def _point(part: Any) -> tuple[float, float, float, float] | None:
    """[day, share, low, high]; the interval may be missing."""
    if not isinstance(part, list) or len(part) < 2:
        return None
    if not all(isinstance(value, int | float) for value in part[:2]):
        return None
    low, high = (part[2], part[3]) if len(part) > 3 else (part[1], part[1])
    low = part[1] if not isinstance(low, int | float) else low
    high = part[1] if not isinstance(high, int | float) else high
    return float(part[0]), float(part[1]), float(low), float(high)


def _steps(points: list[draw.Point]) -> list[draw.Point]:
    """A step function: a share holds until the day it changes."""
    found: list[draw.Point] = []
    for x, y in sorted(points):
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return found
