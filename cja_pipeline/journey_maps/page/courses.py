"""Drawings over time: the cohort heat map and the curve of buying."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.page.palette import RAMP
from cja_pipeline.journey_maps.rows import Map

HEIGHT = 150.0
MOST_PERIODS = 6


def cohorts(page: Map, words: Labels) -> dict[str, Any] | None:
    """Rows of months with their cells; a month not yet over is an empty cell, not a zero."""
    rows = [row for row in page.section("cohort") if isinstance(row.parts(), list)]
    periods = min(MOST_PERIODS, max((len(row.parts()) for row in rows), default=0))
    rates = [rate for row in rows for rate in row.parts()[:periods] if isinstance(rate, int | float)]
    if not rows or not periods:
        return None
    largest = max(rates, default=0.0)
    several_years = len({row.item[:4] for row in rows}) > 1
    return {
        "heads": [words("cards.month_after", n=place + 1) for place in range(periods)],
        "rows": [
            {
                "name": words.formats.month(row.item, year=several_years),
                "buyers": words.formats.short(row.n, exact_below=1e6),
                "cells": [_cell(rate, largest, words) for rate in _padded(row.parts(), periods)],
            }
            for row in rows
        ],
        "any": bool(rates),
    }


def _padded(parts: list[Any], periods: int) -> list[Any]:
    return [*parts[:periods], *[None] * (periods - len(parts))]


def _cell(rate: Any, largest: float, words: Labels) -> dict[str, str]:
    if rate == "few":
        return {"text": "·", "level": "h0"}
    if not isinstance(rate, int | float):
        return {"text": "", "level": ""}
    place = min(len(RAMP) - 1, int(rate / largest * len(RAMP))) if largest > 0 else 0
    return {"text": words.formats.number(rate * 100), "level": RAMP[place]}


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
        else words("cards.duration_open", days=form.duration(last * 86_400)),
        "end": (draw.pct(1.0), draw.pct(1 - min(1.0, known[-1][1] / top))),
        "final": form.percent(known[-1][1], 1),
    }


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
