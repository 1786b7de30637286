"""The rows of the map under the river: touchpoints, time, pain points, opportunities."""

from __future__ import annotations

import math
from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.rows import STAGES, Map, Row

SHORTEST, LONGEST = 60.0, 120 * 86_400.0  # ends of the log scale: a minute, four months
SEVERITY = {"minor": 1, "serious": 2, "severe": 3}


def touchpoints(page: Map, words: Labels) -> list[list[dict[str, str]]]:
    """Per stage: name, share as text and as bar length (to scale from zero, full at 60 % or the largest)."""
    rows = {stage: page.section("touchpoint", stage) for stage in STAGES}
    largest = max([row.share or 0.0 for found in rows.values() for row in found] or [0.0])
    full = max(0.6, largest)
    return [[_touch(row, full, words) for row in rows[stage]] for stage in STAGES]


def _touch(row: Row, full: float, words: Labels) -> dict[str, str]:
    return {
        "name": words.any_name(("touch", "channel"), row.item, row.label),
        "share": words.formats.percent(row.share, 0),
        "bar": draw.pct((row.share or 0.0) / full),
        "rest": "rest" if row.item == "other" else "",
    }


def times(page: Map, words: Labels) -> list[dict[str, Any]]:
    """Per stage: the median in words, the middle half as text and as a bar on a log scale."""
    return [_time(page.find("time", "spell", stage), words) for stage in STAGES]


def _time(row: Row | None, words: Labels) -> dict[str, Any]:
    form = words.formats
    if row is None or row.status in ("no_data", "suppressed"):
        return _in_words(words("page.not_enough"), kind="muted")
    if row.status == "open_ended":
        return _in_words(words("map.open_ended"), words("map.last_stage"))
    quarter = words("map.quarter", low=form.duration(row.low)) if row.low is not None else ""
    if row.value is None:
        if row.target is None:
            return _in_words(words("page.not_enough"), kind="muted")
        watched = words("map.watched", days=form.duration(row.target))
        if not quarter:
            return _in_words(words("map.under_quarter"), watched)
        return _in_words(words("map.under_half"), f"{quarter}; {watched}")
    both = row.low is not None and row.high is not None
    half = form.between(form.duration(row.low), form.duration(row.high))
    start = _log(row.low if row.low is not None else row.value)
    end = _log(row.high) if row.high is not None else 1.0
    bar = {"left": start, "width": max(0.01, end - start), "tick": _log(row.value)}
    return {
        "value": form.duration(row.value),
        "kind": "lasts",
        "how": words("map.half_take", range=half) if both else quarter,
        "bar": {name: draw.pct(share) for name, share in bar.items()},
    }


def _in_words(value: str, how: str = "", kind: str = "words") -> dict[str, Any]:
    return {"value": value, "kind": kind, "how": how, "bar": None}


def _log(seconds: float) -> float:
    held = min(LONGEST, max(SHORTEST, seconds))
    return math.log(held / SHORTEST) / math.log(LONGEST / SHORTEST)


def pains(page: Map, words: Labels) -> list[list[dict[str, Any]]]:
    """Per stage: severity in marks and a word, title, evidence, quote, source."""
    return [[_pain(row, words) for row in page.section("pain", stage)] for stage in STAGES]


def _pain(row: Row, words: Labels) -> dict[str, Any]:
    status = row.status if row.status in SEVERITY else "minor"
    return {
        "severity": words(f"severity.{status}"),
        "marks": [place < SEVERITY[status] for place in range(3)],
        "title": row.label,
        "evidence": row.evidence,
        "quote": row.text,
        "source": row.owner,
    }


def opportunities(page: Map, words: Labels) -> list[list[dict[str, Any]]]:
    """Per stage: money at stake with interval and whisker on one scale, action, owner, confidence."""
    rows = {stage: page.section("opportunity", stage) for stage in STAGES}
    ends = [row.high if row.high is not None else row.value for found in rows.values() for row in found]
    full = max([end for end in ends if end is not None] or [0.0]) * 1.02
    return [[_opportunity(row, full, words) for row in rows[stage]] for stage in STAGES]


def _opportunity(row: Row, full: float, words: Labels) -> dict[str, Any]:
    form = words.formats
    known = row.value is not None
    proven = known and (row.low or 0.0) > 0
    return {
        "money": form.money(row.value, row.currency, rough=True) if known else words("page.not_enough"),
        "interval": money_interval(row, words),
        "proven": proven,
        "first": row.status.endswith("first"),
        "bar": whisker(row.value, row.low, row.high, full),
        "title": row.label,
        "owner": words.name("owner", row.owner, row.owner) if row.owner else "",
        "confidence": words(f"confidence.{row.status.split()[0]}")
        if row.status.split()[:1] and row.status.split()[0] in ("high", "medium", "low")
        else "",
        "evidence": row.evidence,
    }


def money_interval(row: Row, words: Labels) -> str:
    """``21 k to 56 k`` without the currency, which stands beside it."""
    form = words.formats
    if row.low is None or row.high is None:
        return ""
    low, high = (form.money(value, None, rough=True) for value in (row.low, row.high))
    return form.between(low, high)


def whisker(value: float | None, low: float | None, high: float | None, full: float) -> dict[str, str] | None:
    """Bar length and whisker ends as shares of a scale from zero to `full`."""
    if value is None or full <= 0:
        return None
    bar = {"value": draw.pct(value / full), "low": "", "width": ""}
    if low is not None and high is not None:
        start, end = max(0.0, low) / full, max(0.0, high) / full
        bar["low"], bar["width"] = draw.pct(start), draw.pct(min(1.0, end) - min(1.0, start))
    return bar
