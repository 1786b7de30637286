"""Section `path`: how purchase attempts flow from the first touch to their outcome."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context
from cja_pipeline.journey_maps.suppress import SUPPRESS

TABLES = ("kpis.journeys", "kpis.journey_touches", "config.segments")
FIRST_TOUCHES = 5
ENDS = ("left_at_once", "left_looking")  # an attempt that ended here flows no further
OPEN = "open"
LOSSES = ("left_at_cart", "left_at_checkout", "left_at_payment")
ORDER = (
    "product_view",
    "search",
    "add_to_cart",
    "straight",
    "bought",
    *LOSSES,
    "left_looking",
    "left_at_once",
)
Attempt = tuple[str, str, str, str, int]


def flows(context: Context, rows: Rows) -> None:
    """Nodes and links of the Sankey drawing, and the largest loss after the cart.

    Rare first touches are pooled; ribbons that are still below 20 attempts are taken out with their attempts,
    so that every node equals the sum of its ribbons.
    """
    if not context.has(*TABLES):
        return
    found: list[Attempt] = [
        (str(row.first_touch), str(row.second), str(row.third), str(row.outcome), int(row.attempts))
        for row in context.model("flows").itertuples()
    ]
    draw_flows(context, rows, found)


def draw_flows(context: Context, rows: Rows, attempts: Iterable[Attempt]) -> None:
    """Rows from counted attempts (first touch, second, third, outcome, attempts)."""
    known = list(attempts)
    links = _links(_without_small(_pool([attempt for attempt in known if attempt[3] != OPEN])))
    if not any(to.startswith("3/") for _, to in links):
        return
    running = sum(attempt[4] for attempt in known if attempt[3] == OPEN)
    if running >= SUPPRESS:
        rows.add("path", "open", label=context.words("path.open"), value=float(running), n=running)
    loss = _largest_loss(links)
    sizes = _sizes(links)
    for place, node in enumerate(sorted(sizes, key=lambda node: _rank(node, sizes))):
        code = node.split("/", 1)[1]
        rows.add(
            "path",
            f"node/{node}",
            position=place,
            label=context.words.any_name(("path", "touch", "channel"), code),
            value=float(sizes[node]),
            status="loss" if node == loss else "exit" if code in ENDS or code in LOSSES else "go",
        )
    for (origin, to), count in sorted(links.items()):
        end = to.split("/", 1)[1]
        kind = "loss" if to == loss else "exit" if end in (*ENDS, *LOSSES) else "go"
        rows.add(
            "path",
            f"link/{origin}/{to}",
            label=f"node/{origin}",
            text=f"node/{to}",
            value=float(count),
            status=kind,
        )
    if loss and sizes.get("2/add_to_cart"):
        rows.add(
            "path",
            "callout",
            label=loss.split("/", 1)[1],
            share=sizes[loss] / sizes["2/add_to_cart"],
            n=sizes["2/add_to_cart"],
        )


def _pool(attempts: list[Attempt]) -> list[Attempt]:
    """First touches beyond the largest five, and those of fewer than 20 attempts, become "other"."""
    totals: dict[str, int] = {}
    for first, *_, count in attempts:
        totals[first] = totals.get(first, 0) + count
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    kept = {name for name in ranked[:FIRST_TOUCHES] if totals[name] >= SUPPRESS}
    return [(first if first in kept else "other", *rest) for first, *rest in attempts]  # type: ignore[misc]


def _links(attempts: list[Attempt]) -> dict[tuple[str, str], int]:
    """Attempts per pair of neighbouring nodes."""
    links: dict[tuple[str, str], int] = {}
    for attempt in attempts:
        for ends in _steps(attempt):
            links[ends] = links.get(ends, 0) + attempt[4]
    return links


def _steps(attempt: Attempt) -> list[tuple[str, str]]:
    first, second, third, outcome, _ = attempt
    nodes = [f"0/{first}", f"1/{second}"]
    if second not in ENDS:
        nodes.append(f"2/{third}")
        if third not in ENDS:
            nodes.append(f"3/{outcome}")
    return list(pairwise(nodes))


def _without_small(attempts: list[Attempt]) -> list[Attempt]:
    """Without the attempts that run through a ribbon of fewer than 20, until no such ribbon is left."""
    while True:
        links = _links(attempts)
        kept = [attempt for attempt in attempts if all(links[ends] >= SUPPRESS for ends in _steps(attempt))]
        if len(kept) == len(attempts):
            return kept
        attempts = kept


def _sizes(links: dict[tuple[str, str], int]) -> dict[str, int]:
    inward: dict[str, int] = {}
    outward: dict[str, int] = {}
    for (origin, to), count in links.items():
        outward[origin] = outward.get(origin, 0) + count
        inward[to] = inward.get(to, 0) + count
    return {node: max(inward.get(node, 0), outward.get(node, 0)) for node in sorted({*inward, *outward})}


def _rank(node: str, sizes: dict[str, int]) -> tuple[int, int, int, str]:
    column, code = node.split("/", 1)
    fixed = ORDER.index(code) if code in ORDER else -1
    last = 1 if code == "other" or code == "no_known_touch" else 0
    return int(column), fixed if fixed >= 0 else last, -sizes[node], code


def _largest_loss(links: dict[tuple[str, str], int]) -> str:
    found = {to: count for (_, to), count in sorted(links.items()) if to.split("/", 1)[1] in LOSSES}
    return max(sorted(found), key=lambda node: found[node]) if found else ""
