"""Plain pages of tables, as inert as the journey map: no script, nothing loaded, every value escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cja_pipeline.config import shop
from cja_pipeline.journey_maps.page import palette


@dataclass(frozen=True)
class Part:
    """A titled table; the first cell of a row is its heading."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    text: str = ""


def tables_page(title: str, lead: str, parts: Sequence[Part], links: Sequence[tuple[str, str]] = ()) -> str:
    """The page as HTML; `links` are (name, address) of pages beside it."""
    from cja_pipeline.journey_maps.page.render import POLICY, environment

    page: str = (
        environment()
        .get_template("processing.html.j2")
        .render(
            title=title,
            lead=lead,
            parts=parts,
            links=links,
            shop=shop().name,
            policy=POLICY,
            light=palette.variables(palette.LIGHT),
            dark=palette.variables(palette.DARK),
        )
    )
    return page
