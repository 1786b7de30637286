"""The strip of key figures: value, change, course, verdict, target, interval, base."""

from __future__ import annotations

from math import hypot, inf
from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING, usable
from cja_pipeline.journey_maps.labels import Labels, slug
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.rows import Map, Row

HEIGHT = 40.0
ICONS = {"on": "check", "near": "warn", "off": "cross", "doubtful": "warn", "none": "dash", "no_data": "dash"}


def cards(page: Map, words: Labels) -> list[dict[str, Any]]:
    """One entry per KPI row, every figure as text."""
    return [_card(row, words) for row in page.section("kpi")]


def note(page: Map, words: Labels) -> str:
    """Which days the strip is about and how to read it."""
    period = next((row for row in page.section("kpi") if row.period_start and row.period_end), None)
    dates = words.formats.dates(period.period_start, period.period_end, short=True) if period else ""
    return words("kpi.note", period=f" ({dates})" if dates else "")


def figure(value: float | None, row: Row, words: Labels, *, signed: bool = False) -> str:
    """A KPI's figure in its own unit."""
    form = words.formats
    if row.unit == "share":
        return form.percent(value)
    if row.unit == "money":
        return form.money(value, row.currency, signed=signed)
    if row.unit == "score":
        return form.number(value, _places(row), signed=True)
    if row.unit == "seconds":
        return form.duration(value)
    if row.unit == "days":
        return form.duration(None if value is None else value * 86_400)
    if row.unit == "ratio":
        return form.number(value, 2 if usable(value) and abs(value or 0) < 10 else 1, signed=signed)
    return form.short(value, signed=signed)


def change(row: Row, words: Labels) -> str:
    """The difference to the period before: points for shares, per cent for large sums, else in the unit."""
    form = words.formats
    if row.value is None or row.previous is None:
        return ""
    difference = row.value - row.previous
    if row.unit == "share":
        return form.change_in_points(difference)
    if row.unit == "score":
        return form.number(difference, _places(row), signed=True)
    large = row.unit == "count" or (row.unit == "money" and abs(row.value) >= 9_995)
    if large and row.previous:
        return form.change(difference / abs(row.previous))
    if row.unit in ("seconds", "days"):
        text = form.duration(abs(difference) * (86_400 if row.unit == "days" else 1))
        return f"{'+' if difference > 0 else '−'}{text}"
    return figure(difference, row, words, signed=True)


def _places(row: Row) -> int:
    """Decimal places of a score: the promoter score goes to 100, effort to 7, sentiment to 1."""
    largest = max(
        (abs(each) for each in (row.value, row.target, row.low, row.high) if each is not None), default=0
    )
    return 2 if largest <= 1 else 1 if largest < 10 else 0


def change_class(row: Row, parts: dict[str, Any]) -> str:
    """good, bad or flat: coloured only where the interval of the difference leaves zero out.

    Of two figures with limits of their own, by the square-and-add rule (Zou and Donner 2008, Statistics in
    Medicine 27, equation 7), as if independent: figures that share customers differ by chance less than that.
    """
    if row.value is None or row.previous is None or row.value == row.previous:
        return "flat"
    before = parts.get("before")
    low, high = before if isinstance(before, list) and len(before) == 2 else (None, None)
    below, above = _reach(row.value, row.low, row.high)
    below_before, above_before = _reach(row.previous, low, high)
    down, up = hypot(below, above_before), hypot(above, below_before)
    if -up <= row.value - row.previous <= down:
        return "flat"
    better = parts.get("better", "up")
    if better not in ("up", "down"):
        return "flat"
    return "good" if (row.value > row.previous) == (better == "up") else "bad"


def _reach(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    """How far the limits are below and above; what is counted has none, one that is unknown is anywhere."""
    if low is None and high is None:
        return 0.0, 0.0
    return inf if low is None else value - low, inf if high is None else high - value


def interval(row: Row, words: Labels) -> str:
    """``2.79 to 3.09 %``: the unit is written once."""
    if row.value is None:
        return NOTHING
    if row.low is None or row.high is None:
        return words("page.exact") if row.evidence in ("", "exact", "none") else NOTHING
    return words.formats.between(figure(row.low, row, words), figure(row.high, row, words))


def _card(row: Row, words: Labels) -> dict[str, Any]:
    form = words.formats
    parts = row.parts()
    parts = parts if isinstance(parts, dict) else {}
    status = _status(row)
    unit = str(parts.get("n_unit", "records"))
    return {
        "id": slug(row.item),
        "name": words.name("kpi", row.item, row.label),
        "value": figure(row.value, row, words) if row.value is not None else NOTHING,
        "change": change(row, words),
        "change_class": change_class(row, parts),
        "spark": sparkline(parts.get("points"), row.target),
        "status": status,
        "icon": ICONS[status],
        "verdict": verdict_in_words(row, words),
        "target": figure(row.target, row, words) if row.target is not None else NOTHING,
        "interval": interval(row, words),
        "base": words.count(f"unit.{unit}", row.n, form.short(row.n, exact_below=1e7)) if row.n else NOTHING,
        "small": row.n is not None and row.n < 100,
    }


def verdict_in_words(row: Row, words: Labels) -> str:
    """Whether the target is met, or why there is no figure."""
    return _reason(row, words) or words(f"status.{verdict_words(row)}")


def verdict_words(row: Row) -> str:
    """The key of the words for a verdict: just missed is below or above the target."""
    above = row.value is not None and row.target is not None and row.value > row.target
    status = _status(row)
    return "near_down" if status == "near" and above else status


def _status(row: Row) -> str:
    if row.value is None:
        return "no_data"
    return row.status if row.status in ICONS else "none"


def _reason(row: Row, words: Labels) -> str:
    """Why there is no value, if the KPI table says so."""
    return words.words.get(f"reason.{row.text}", "") if row.value is None else ""


def sparkline(points: Any, target: float | None) -> dict[str, Any] | None:
    """Line, area and last point of a daily series; None with fewer than two known days.

    Missing days break the line: a gap is not bridged, because nobody knows what was there.
    """
    if not isinstance(points, list):
        return None
    values = [_value(point) for point in points]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    shown_target = target if target is not None and _near(target, known) else None
    low, high = draw.span([*known, shown_target])
    step = 100 / max(1, len(values) - 1)

    def y(value: float) -> float:
        return HEIGHT * (1 - (value - low) / (high - low))

    runs: list[list[draw.Point]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place * step, y(value)))
    runs = [run for run in runs if len(run) > 1]
    last = max(place for place, value in enumerate(values) if value is not None)
    area = "".join(f"{draw.line(run)}V{draw.c(HEIGHT)}H{draw.c(run[0][0])}Z" for run in runs)
    return {
        "line": "".join(draw.line(run) for run in runs),
        "area": area,
        "points": [
            (place * step / 100, y(value) / HEIGHT) for place, value in enumerate(values) if value is not None
        ],
        "dot": (draw.pct(last * step / 100), draw.pct(y(values[last] or 0.0) / HEIGHT)),
        "target": None if shown_target is None else draw.c(y(shown_target)),
    }


def _value(point: Any) -> float | None:
    value = point[1] if isinstance(point, list | tuple) and len(point) > 1 else point
    return float(value) if isinstance(value, int | float) and usable(float(value)) else None


def _near(target: float, known: list[float]) -> bool:
    """A target far outside the course would flatten it to a line; then only the figure is shown."""
    low, high = min(known), max(known)
    reach = max(high - low, abs(high) * 0.02)
    return low - 3 * reach <= target <= high + 3 * reach
