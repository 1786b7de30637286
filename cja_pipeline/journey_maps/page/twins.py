"""The table under each drawing: the same numbers as text, for those who cannot or would rather not see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING
from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page.bars import band
from cja_pipeline.journey_maps.page.courses import cohort_rows, month
from cja_pipeline.journey_maps.page.flows import STEP_GROUPS
from cja_pipeline.journey_maps.page.kpis import figure, interval, verdict_in_words
from cja_pipeline.journey_maps.rows import STAGES, Map, Row

MOST_ROWS = 150
Table = dict[str, Any]


def twins(page: Map, words: Labels) -> dict[str, Table]:
    """Tables by the name of their drawing: heads and rows of text; an empty dict entry has no rows."""
    return {
        "kpis": _kpis(page, words),
        "figures": _figures(page, words),
        "volumes": _volumes(page, words),
        "feelings": _feelings(page, words),
        "flows": _flows(page, words),
        "credit": _credit(page, words),
        "cohorts": _cohorts(page, words),
        "friction": _friction(page, words),
        "curve": _curve(page, words),
        "value": _value(page, words),
    }


def _table(words: Labels, heads: Iterable[str], rows: Iterable[list[str]]) -> Table:
    return {"heads": [words(f"table.{head}") for head in heads], "rows": list(rows)[:MOST_ROWS]}


def _money(words: Labels) -> Callable[[float | None, Row], str]:
    return lambda value, row: words.formats.money(value, row.currency, rough=True)


def _count(row: Row, words: Labels) -> str:
    return NOTHING if row.n is None else words.formats.short(row.n, exact_below=1e7)


def _kpis(page: Map, words: Labels) -> Table:
    return _table(
        words,
        ("day", "item", "value"),
        [
            [_day(point[0], words), words.name("kpi", row.item, row.label), figure(point[1], row, words)]
            for row in page.section("kpi")
            for point in _points(row)[-7:]
        ],
    )


def _figures(page: Map, words: Labels) -> Table:
    return _table(
        words,
        ("item", "stage", "value", "sure", "count", "target", "status"),
        [
            [
                words.name("kpi", row.item, row.label),
                words(f"stage.{row.stage}") if row.stage in STAGES else NOTHING,
                NOTHING if row.value is None else figure(row.value, row, words),
                interval(row, words),
                _count(row, words),
                NOTHING if row.target is None else figure(row.target, row, words),
                verdict_in_words(row, words),
            ]
            for row in page.section("figure")
        ],
    )


def _points(row: Row) -> list[Any]:
    parts = row.parts()
    points = parts.get("points") if isinstance(parts, dict) else None
    if not isinstance(points, list):
        return []
    known = [point for point in points if isinstance(point, list) and len(point) == 2]
    return [point for point in known if isinstance(point[1], int | float) or point[1] is None]


def _day(text: Any, words: Labels) -> str:
    import datetime as dt

    try:
        return words.formats.date(dt.date.fromisoformat(str(text)[:10]), short=True)
    except ValueError:
        return str(text)[:40]


def _volumes(page: Map, words: Labels) -> Table:
    rows = []
    for stage in STAGES:
        for row in page.section("volume", stage):
            name = words.words.get(f"map.{row.item}", row.item)
            count = words.formats.number(row.value)
            rows.append([words(f"stage.{stage}"), name, count, words.formats.percent(row.share, 1)])
    return {
        "heads": [words("map.stage"), words("table.item"), words("table.count"), words("table.share")],
        "rows": rows,
    }


def _feelings(page: Map, words: Labels) -> Table:
    form = words.formats
    rows = [
        [
            words(f"stage.{row.stage}"),
            words.name("topic", row.item, row.label),
            form.number(row.value, signed=True),
            form.number(row.low, signed=True),
            form.number(row.high, signed=True),
            _count(row, words),
        ]
        for stage in STAGES
        for row in page.section("emotion", stage)
    ]
    heads = ("item", "value", "low", "high", "count")
    return {"heads": [words("map.stage"), *(words(f"table.{head}") for head in heads)], "rows": rows}


def _flows(page: Map, words: Labels) -> Table:
    names = {
        row.item: words.any_name(STEP_GROUPS, row.item.split("/", 2)[-1], row.label)
        for row in page.section("path")
    }
    rows = [
        [names.get(row.label, row.label), names.get(row.text, row.text), words.formats.number(row.value)]
        for row in page.section("path")
        if row.item.startswith("link/")
    ]
    return _table(words, ("from", "to", "count"), rows)


def _credit(page: Map, words: Labels) -> Table:
    money = _money(words)
    rows = page.section("attribution")
    return {
        "heads": [
            words("table.channel"),
            words("cards.model"),
            words("table.low"),
            words("table.high"),
            words("cards.last_click"),
            words("cards.band"),
        ],
        "rows": [
            [
                words.name("channel", row.item, row.label),
                money(row.value, row),
                money(row.low, row),
                money(row.high, row),
                money(row.target, row),
                words.formats.between(*(money(end, row) for end in band(row))) if band(row) else NOTHING,
            ]
            for row in rows
        ],
    }


def _cohorts(page: Map, words: Labels) -> Table:
    form = words.formats
    rows = [
        [
            month(row, words),
            words("cards.month_after", n=place),
            *(form.percent(figure, 1) for figure in cell),
            _count(row, words),
        ]
        for row, cells in cohort_rows(page)
        for place, cell in enumerate(cells, 1)
        if cell is not None
    ]
    names = ("share", "low", "high", "count")
    heads = [words("cards.first_bought"), words("table.month"), *(words(f"table.{name}") for name in names)]
    return {"heads": heads, "rows": rows[:MOST_ROWS]}


def _friction(page: Map, words: Labels) -> Table:
    money, form = _money(words), words.formats
    return _table(
        words,
        ("item", "lost", "low", "high", "observed", "expected", "count", "owner"),
        [
            [
                row.label,
                money(row.value, row),
                money(row.low, row),
                money(row.high, row),
                form.percent(row.share, 1),
                form.percent(row.target, 1),
                _count(row, words),
                words.name("owner", row.owner, row.owner) if row.owner else NOTHING,
            ]
            for row in page.section("friction")
        ],
    )


def _curve(page: Map, words: Labels) -> Table:
    row = page.find("duration", "purchase_journey", "purchase")
    parts = row.parts() if row else None
    points = [
        part
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, list) and len(part) > 1 and all(isinstance(v, int | float) for v in part[:2])
    ]
    step = max(1, len(points) // 12)
    chosen = points[::step]
    return _table(
        words,
        ("days", "share"),
        [[words.formats.number(part[0], 1), words.formats.percent(part[1], 1)] for part in chosen],
    )


def _value(page: Map, words: Labels) -> Table:
    money = _money(words)
    return {
        "heads": [
            words("table.channel"),
            words("cards.clv"),
            words("table.low"),
            words("table.high"),
            words("cards.cac"),
            words("table.count"),
        ],
        "rows": [
            [
                words.name("channel", row.item, row.label),
                money(row.value, row),
                money(row.low, row),
                money(row.high, row),
                money(row.target, row),
                _count(row, words),
            ]
            for row in page.section("value")
        ],
    }
