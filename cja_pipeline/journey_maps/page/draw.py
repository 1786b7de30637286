"""Small helpers for drawings: coordinates as short text, monotone curves, scales.

All drawings are stretched SVG (``preserveAspectRatio="none"``) under HTML text, so a path lives in plain
units of its view box and no text is ever inside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


def c(value: float) -> str:
    """A coordinate with at most one decimal: ``12.0 -> "12"``."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def pct(value: float) -> str:
    """A share between 0 and 1 as a CSS percentage, held inside the drawing."""
    return f"{c(min(1.0, max(0.0, value)) * 100)}%"


def line(points: Sequence[Point]) -> str:
    """A polyline as an SVG path."""
    return "".join(f"{'ML'[index > 0]}{c(x)} {c(y)}" for index, (x, y) in enumerate(points))


def curve(points: Sequence[Point]) -> str:
    """A smooth path through the points that never overshoots them (monotone cubic, Fritsch-Carlson)."""
    if len(points) < 3:
        return line(points)
    slopes = _slopes(points)
    parts = [f"M{c(points[0][0])} {c(points[0][1])}"]
    for (x0, y0), (x1, y1), m0, m1 in zip(points, points[1:], slopes, slopes[1:], strict=False):
        third = (x1 - x0) / 3
        parts.append(
            f"C{c(x0 + third)} {c(y0 + third * m0)} {c(x1 - third)} {c(y1 - third * m1)} {c(x1)} {c(y1)}"
        )
    return "".join(parts)


def _slopes(points: Sequence[Point]) -> list[float]:
    secants = [(y1 - y0) / (x1 - x0 or 1e-9) for (x0, y0), (x1, y1) in pairwise(points)]
    slopes = [secants[0]]
    for before, after in pairwise(secants):
        slopes.append(0.0 if before * after <= 0 else 2 * before * after / (before + after))
    return [*slopes, secants[-1]]


def sampled(bezier: Sequence[Point], count: int = 16) -> list[Point]:
    """Points along a cubic curve of four control points."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = bezier
    found = []
    for place in range(count + 1):
        t = place / count
        a, b, d, e = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        found.append((a * x0 + b * x1 + d * x2 + e * x3, a * y0 + b * y1 + d * y2 + e * y3))
    return found


def closed(top: Sequence[Point], bottom: Sequence[Point], *, smooth: bool = True) -> str:
    """The area between two lines over the same x."""
    path = curve if smooth else line
    back = path(list(reversed(bottom)))
    return f"{path(top)}L{back[1:]}Z"


def ribbon(x0: float, top0: float, x1: float, top1: float, thick0: float, thick1: float) -> str:
    """A flow of people between two bars."""
    mid = (x0 + x1) / 2
    return (
        f"M{c(x0)} {c(top0)}C{c(mid)} {c(top0)} {c(mid)} {c(top1)} {c(x1)} {c(top1)}"
        f"V{c(top1 + thick1)}C{c(mid)} {c(top1 + thick1)} "
        f"{c(mid)} {c(top0 + thick0)} {c(x0)} {c(top0 + thick0)}Z"
    )


def span(values: Sequence[float | None], *, pad: float = 0.06) -> tuple[float, float]:
    """Lowest and highest finite value with some air; (0, 1) without any."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    air = (high - low) * pad or abs(high) * 0.1 or 1.0
    return low - air, high + air


def ceiling(value: float) -> float:
    """The next round number at or above value."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power
        for step in (1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
        if step * power >= value * (1 - 1e-12)
    )
