"""The scorecard: the key figures of the leadership meeting as a table and as a few lines of markdown."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cja_pipeline.config import shop
from cja_pipeline.journey_maps.build import shop_context
from cja_pipeline.journey_maps.formats import NOTHING, THIN, TIED
from cja_pipeline.journey_maps.labels import Labels, load_labels
from cja_pipeline.journey_maps.page.kpis import change, figure
from cja_pipeline.journey_maps.rows import Row, encode
from cja_pipeline.journey_maps.sections.kpis import kpi_row
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

TABLE = "journey_maps.scorecard"
INLINE = 1_000  # longer markdown is hidden behind a link in the Dagster UI
MARKS = {"on": "✓", "near": "△", "off": "✗", "doubtful": "△", "none": "·", "no_data": "–"}
POINTS = 8
BLOCKS = "▁▂▃▄▅▆▇█"
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille: left and right, top to bottom


def build_scorecard(wh: Warehouse) -> pd.DataFrame:
    """Write ``journey_maps.scorecard`` from ``kpis.kpi_values`` and return it: one row per KPI of the strip.

    KPIs that the catalogue does not know are left out; without the KPI tables the scorecard is empty.
    """
    import pandas as pd

    from cja_pipeline.tables import TABLES

    context = shop_context(wh)
    rows: list[dict[str, Any]] = []
    if context.has("kpis.kpi_values", "kpis.kpi_catalogue"):
        for place, shown in enumerate(context.config.kpis):
            found = kpi_row(context, shown.id, shown.base, shown.count)
            if found is not None:
                rows.append(_columns(place, shown.id, found))
    columns = list(TABLES[TABLE].columns)
    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in columns}, columns=columns)
    for name in ("value", "previous", "change", "target", "low", "high"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    frame["n"] = frame["n"].astype("Int64")
    wh.write(TABLE, frame)
    return frame


def _columns(place: int, kpi: str, found: dict[str, Any]) -> dict[str, Any]:
    series = found["series"]
    value, previous = found["value"], found["previous"]
    return {
        "kpi_id": kpi,
        "position": place,
        "change": None if value is None or previous is None else value - previous,
        "n_unit": series["n_unit"],
        "better": series["better"],
        "ci_method": found["evidence"],
        "null_reason": found["text"] or None,
        "currency": found["currency"] or None,
        "series": encode(series["points"]),
        **{
            name: found[name]
            for name in (
                "label",
                "stage",
                "value",
                "previous",
                "target",
                "low",
                "high",
                "n",
                "unit",
                "status",
                "period_start",
                "period_end",
            )
        },
    }


def scorecard_markdown(scorecard: pd.DataFrame, language: str | None = None) -> str:
    """The scorecard as a markdown table of less than 1,000 characters: the Dagster UI shows that inline.

    Courses are drawn as SVG data URIs for as many rows as fit, first rows first, and in braille dots for
    the rest. Only our own words and figures go in: nothing that a customer or a vendor wrote.
    """
    words = load_labels(language or shop().language)
    rows = [_row(record) for record in scorecard.to_dict("records")]
    heads = [words("table.item"), words("table.value"), "Δ", words("kpi.target"), "28 d"]
    text = [_cells(row, words) for row in rows]
    courses = [_points(row) for row in rows]
    drawn = 0
    for count in range(len(rows), -1, -1):
        drawn = count
        if len(_table(heads, text, courses, drawn)) < INLINE:
            break
    return _table(heads, text, courses, drawn)[: INLINE - 1]


def scorecard_lines(
    scorecard: pd.DataFrame, language: str | None = None
) -> tuple[list[str], list[list[str]]]:
    """The scorecard for a terminal: column names, and per KPI its name, figures, interval, n and course."""
    import pandas as pd

    words = load_labels(language or shop().language)
    heads = [words("table.item"), words("table.value"), "Δ", words("kpi.target"), "95 %", "n", "28 d"]
    lines = []
    for record in scorecard.to_dict("records"):
        row = _row(record)
        name, value, moved, target = _cells(row, words)
        ends = [
            _tight(figure(record[end], row, words)) for end in ("low", "high") if record[end] == record[end]
        ]
        n = "" if pd.isna(record["n"]) else f"{int(record['n']):,}"
        lines.append([name, value.strip("*"), moved, target, " – ".join(ends), n, spark_blocks(_points(row))])
    return heads, lines


def _table(heads: list[str], cells: list[list[str]], courses: list[list[float]], drawn: int) -> str:
    lines = ["|".join(heads), "|".join(["-", "-:", "-:", "-:", "-"][: len(heads)])]
    for place, (row, course) in enumerate(zip(cells, courses, strict=True)):
        picture = spark_image(course) if place < drawn else spark_dots(course)
        lines.append("|".join([*row, picture]))
    return "\n".join(lines)


def _row(record: dict[Any, Any]) -> Row:
    def known(value: Any) -> float | None:
        return None if value is None or value != value else float(value)

    return Row(
        section="kpi",
        item=str(record["kpi_id"]),
        label=str(record["label"]),
        unit=str(record["unit"]),
        currency=record["currency"] if isinstance(record["currency"], str) else "",
        status=str(record["status"]),
        series=record["series"] if isinstance(record["series"], str) else "[]",
        value=known(record["value"]),
        previous=known(record["previous"]),
        target=known(record["target"]),
    )


def _cells(row: Row, words: Labels) -> list[str]:
    mark = MARKS.get(row.status if row.value is not None else "no_data", "·")
    name = _plain(words.name("kpi", row.item, row.label))
    value = figure(row.value, row, words) if row.value is not None else NOTHING
    target = figure(row.target, row, words) if row.target is not None else NOTHING
    return [f"{mark} {name[:26]}", f"**{_tight(value)}**", _tight(change(row, words)), _tight(target)]


def _plain(text: str) -> str:
    """Without the characters that markdown reads."""
    return "".join(char for char in text if char not in "[]()!|`*_<>\\\n")


def _tight(text: str) -> str:
    return _plain(text.replace(THIN, "").replace(TIED, " "))


def _points(row: Row) -> list[float]:
    """The course as at most eight means of equal stretches of days."""
    try:
        points = json.loads(row.series)
    except ValueError:
        return []
    known = [
        float(point[1])
        for point in points
        if isinstance(point, list) and len(point) > 1 and isinstance(point[1], int | float)
    ]
    if len(known) < 2:
        return []
    count = min(POINTS, len(known))
    edges = [round(place * len(known) / count) for place in range(count + 1)]
    return [sum(known[a:b]) / (b - a) for a, b in pairwise(edges)]


def spark_image(points: list[float]) -> str:
    """A markdown image of 56 x 16 pixels with the course as SVG in a data URI, as short as it can be."""
    if len(points) < 2:
        return ""
    heights = [15 - round(14 * share) for share in _shares(points)]
    step = 56 // (len(points) - 1)
    moves = "".join(f",{step}{'' if to < at else ','}{to - at}" for at, to in pairwise(heights))
    return (
        "![](data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20width='56'%20height='16'%3E"
        f"%3Cpath%20fill='none'%20stroke='teal'%20d='M0,{heights[0]}l{moves[1:]}'/%3E%3C/svg%3E)"
    )


def spark_dots(points: list[float]) -> str:
    """The course in braille dots: two points per character, four heights."""
    if len(points) < 2:
        return ""
    levels = [3 - round(3 * share) for share in _shares(points)]
    pairs = [levels[place : place + 2] for place in range(0, len(levels), 2)]
    return "".join(chr(0x2800 + sum(DOTS[side][level] for side, level in enumerate(pair))) for pair in pairs)


def spark_blocks(points: list[float]) -> str:
    """The course in block characters, for a terminal."""
    if len(points) < 2:
        return ""
    return "".join(BLOCKS[round(share * (len(BLOCKS) - 1))] for share in _shares(points))


def _shares(points: list[float]) -> list[float]:
    """Heights between 0 and 1."""
    low, high = min(points), max(points)
    return [(value - low) / ((high - low) or 1) for value in points]
