"""The drawings of the quality page: waterfalls, strips of days, courses with their usual range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.quality.figures import ABSENT, FAILED, PASSED, WARNED, Series

HEIGHT = 44.0
CELL = 10.0
LEAST = 0.0015  # of the width: what is there is seen


def waterfall(steps: Sequence[tuple[str, str, float]]) -> list[dict[str, Any]]:
    """Bars of a waterfall from (kind, style, amount): a total stands on zero, a step hangs where the last
    bar ended. Gives left and width in per cent of the largest reach, and the style."""
    reached, level, spans = 0.0, 0.0, []
    for kind, style, amount in steps:
        start, end = (0.0, amount) if kind == "total" else (level, level + amount)
        level = end
        reached = max(reached, start, end)
        spans.append((min(start, end), max(start, end), style, bool(amount)))
    whole = reached or 1.0
    return [
        {
            "left": draw.pct(max(0.0, low) / whole),
            "width": draw.pct(max((high - low) / whole, LEAST if there else 0.0)),
            "style": style,
        }
        for low, high, style, there in spans
    ]


def strip(states: Sequence[str], least: int = 1) -> dict[str, Any]:
    """Cells of one width side by side, at least so many, the last one at the end; one path per state."""
    states = [ABSENT] * (least - len(states)) + list(states)
    paths: dict[str, str] = {}
    for place, state in enumerate(states):
        if state != ABSENT:
            paths[state] = (
                paths.get(state, "") + f"M{draw.c(place * CELL)} 0h{draw.c(CELL - 2)}v{CELL:g}h-{CELL - 2:g}z"
            )
    return {"width": draw.c(max(len(states), 1) * CELL), "paths": sorted(paths.items())}


def day_states(row: dict[str, Any], last: dt.date, shown: int) -> list[str]:
    """What each of the last `shown` days of a stream is: passed, warned (rows kept out), failed (missing)."""
    bad = dict(zip(row["days"], row["bad"], strict=True))
    states = []
    for back in range(shown - 1, -1, -1):
        day = last - dt.timedelta(days=back)
        if day in bad:
            states.append(WARNED if bad[day] else PASSED)
        else:
            states.append(FAILED if row["every_day"] and day > row["oldest"] else ABSENT)
    return states


def course(series: Series, figure: Callable[[float], str], words: Labels) -> dict[str, Any]:
    """A daily figure as a line in its usual band, days outside as dots; the newest day last."""
    last = series.days[-1]
    first = series.days[0]
    length = max((last - first).days, 1)
    across = [(day - first).days / length * 100 for day in series.days]
    low, high = draw.span([*series.seen, *series.low, *series.high])
    low = max(low, 0.0) if min(series.seen) >= 0 else low

    def down(value: float) -> float:
        return HEIGHT * (1 - (value - low) / (high - low or 1.0))

    top = [(x, down(value)) for x, value in zip(across, series.high, strict=True)]
    bottom = [(x, down(value)) for x, value in zip(across, series.low, strict=True)]
    odd = [place for place, unusual in enumerate(series.unusual) if unusual]
    return {
        "table": series.table.removeprefix("validated."),
        "code": series.code,
        "band": draw.closed(top, bottom, smooth=False) if len(top) > 1 else "",
        "line": draw.line([(x, down(value)) for x, value in zip(across, series.seen, strict=True)]),
        "dots": [(draw.pct(across[at] / 100), draw.pct(down(series.seen[at]) / HEIGHT)) for at in odd],
        "newest": figure(series.seen[-1]),
        "range": words(
            "quality.limit" if series.kind == "index" else "quality.usual",
            low=figure(series.low[-1]),
            high=figure(series.high[-1]),
        ),
        "odd": [words.formats.date(series.days[at], short=True, year=False) for at in odd[-3:]],
        "unusual": len(odd),
        "since": words.formats.dates(first, last, short=True),
    }
