"""The Sankey drawing of the commonest ways, from node and link rows of the section `path`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING
from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.page import draw
from cja_pipeline.journey_maps.rows import Map, Row

HEIGHT = 520.0
GAP = 22.0  # pixels of air between two nodes of a column, enough for a two-line label
BAR = 1.2  # width of a node
PLACES = {
    2: (0.0, 76.0),
    3: (0.0, 38.0, 78.0),
    4: (0.0, 29.0, 54.0, 76.0),
    5: (0.0, 22.0, 42.0, 62.0, 82.0),
}
LEAST = 1.5  # height of the smallest bar
HAIR = 0.7  # the thinnest ribbon, so that none is an interrupted line
APART = 38.0  # units between the middles of two labels of a column
STEP_GROUPS = ("path", "touch", "channel")


@dataclass
class Node:
    """A bar of the drawing: column, size and position, and how far its flows are already placed."""

    code: str
    column: int
    row: Row
    top: float = 0.0
    size: float = 0.0
    placed_in: float = 0.0
    placed_out: float = 0.0
    links: list[Any] = field(default_factory=list)


def flows(page: Map, words: Labels) -> dict[str, Any] | None:
    """Ribbons, bars and labels, or None where there are no paths to draw.

    Node rows: item ``node/<column>/<code>``, value = attempts. Link rows: item ``link/<from>/<to>`` with the
    items of two nodes in `label` and `text`.
    """
    nodes = {row.item: _node(row) for row in page.section("path") if row.item.startswith("node/")}
    links = [row for row in page.section("path") if row.item.startswith("link/") and row.value]
    nodes = {code: node for code, node in nodes.items() if node.row.value and node.column < 5}
    links = [row for row in links if row.label in nodes and row.text in nodes]
    columns = max((node.column for node in nodes.values()), default=-1) + 1
    if columns < 2 or columns not in PLACES or not links:
        return None
    by_column = [
        sorted((n for n in nodes.values() if n.column == k), key=lambda n: n.row.position)
        for k in range(columns)
    ]
    if any(not column for column in by_column):
        return None
    scale = min(
        (HEIGHT - APART * (len(column) - 1)) / sum(node.row.value or 0 for node in column)
        for column in by_column
    )
    for column in by_column:
        top, middle = 0.0, -APART
        for node in column:
            node.size = max(LEAST, (node.row.value or 0) * scale)
            node.top = max(top, middle + APART - node.size / 2)
            middle, top = node.top + node.size / 2, node.top + node.size + GAP
    places = PLACES[columns]
    ribbons = [_ribbon(row, nodes, scale, places) for row in _ordered(links, nodes)]
    height = max(HEIGHT, *(node.top + node.size for node in nodes.values()))
    return {
        "ribbons": ribbons,
        "bars": [_bar(node, places) for column in by_column for node in column],
        "labels": [label for column in by_column for label in _labels(column, places, height, words)],
        "heads": [_head(k, columns, places, words) for k in range(columns)],
        "height": draw.c(height),
        "callout": _callout(page, words, by_column),
        "open": _still_open(page, words),
    }


def _node(row: Row) -> Node:
    parts = row.item.split("/", 2)
    column = int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 99
    return Node(parts[-1], column, row)


def _ordered(links: list[Row], nodes: dict[str, Node]) -> list[Row]:
    """From top to bottom on both sides, so that flows leave and arrive in the order of their other ends."""
    return sorted(links, key=lambda row: (nodes[row.label].column, nodes[row.label].top, nodes[row.text].top))


def _ribbon(row: Row, nodes: dict[str, Node], scale: float, places: tuple[float, ...]) -> dict[str, str]:
    start, end = nodes[row.label], nodes[row.text]
    thick = max(HAIR, (row.value or 0) * scale)
    path = draw.ribbon(
        places[start.column] + BAR,
        start.top + start.placed_out,
        places[end.column],
        end.top + end.placed_in,
        thick,
        thick,
    )
    start.placed_out += thick
    end.placed_in += thick
    return {"path": path, "kind": row.status if row.status in ("go", "loss", "stay") else "exit"}


def _bar(node: Node, places: tuple[float, ...]) -> dict[str, str]:
    return {
        "x": draw.c(places[node.column]),
        "y": draw.c(node.top),
        "h": draw.c(node.size),
        "kind": node.row.status if node.row.status in ("go", "loss") else "exit",
    }


def _labels(
    column: list[Node], places: tuple[float, ...], height: float, words: Labels
) -> list[dict[str, str]]:
    """Labels beside the middle of their bars, moved apart where bars are too thin for two lines of text."""
    middles = [node.top + node.size / 2 for node in column]
    for place in range(1, len(middles)):
        middles[place] = max(middles[place], middles[place - 1] + APART)
    if middles and middles[-1] > height - APART / 2:
        middles[-1] = max(column[-1].top + column[-1].size / 2, height - APART / 2)
        for place in range(len(middles) - 2, -1, -1):
            middles[place] = min(middles[place], middles[place + 1] - APART)
    return [_label(node, y / height, places, words) for node, y in zip(column, middles, strict=True)]


def _label(node: Node, y: float, places: tuple[float, ...], words: Labels) -> dict[str, str]:
    room = (*places, 100.0)[node.column + 1] - places[node.column] - 4
    return {
        "x": f"{draw.c(places[node.column] + BAR)}%",
        "y": draw.pct(y),
        "width": f"{draw.c(room)}%",
        "name": words.any_name(STEP_GROUPS, node.code, node.row.label),
        "value": words.formats.short(node.row.value, exact_below=1e6),
        "kind": "loss" if node.row.status == "loss" else "",
    }


def _head(column: int, columns: int, places: tuple[float, ...], words: Labels) -> dict[str, str]:
    key = "first_touch" if column == 0 else "outcome" if column == columns - 1 else "then"
    return {"x": f"{draw.c(places[column])}%", "name": words(f"cards.{key}")}


def _still_open(page: Map, words: Labels) -> str:
    row = page.find("path", "open")
    if row is None or row.value is None:
        return ""
    return words("cards.paths_open", n=words.formats.number(row.value))


def _callout(page: Map, words: Labels, by_column: list[list[Node]]) -> dict[str, Any] | None:
    row = page.find("path", "callout")
    if row is None or row.share is None:
        return None
    # in the free corner below the last two columns if there is one, else under the drawing
    floor = max(node.top + node.size for column in by_column[-2:] for node in column)
    carts = words.formats.number(row.n) if row.n is not None else NOTHING
    key = f"callout.{row.label}"
    return {
        "figure": words.formats.percent(row.share, 0),
        "text": words(key, n=carts)
        if key in words.words
        else words("callout.other", n=carts, step=words.any_name(STEP_GROUPS, row.label)),
        "free": floor < HEIGHT * 0.62,
    }
