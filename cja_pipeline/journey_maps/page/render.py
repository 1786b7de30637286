"""The page as one HTML file: no script, no font, no request anywhere, equal bytes for equal input."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.journey_maps.labels import Labels, load_labels
from cja_pipeline.journey_maps.page import bars, courses, feelings, flows, head, kpis, palette, river, stages
from cja_pipeline.journey_maps.page.experiments import experiments
from cja_pipeline.journey_maps.page.foot import changes, foot
from cja_pipeline.journey_maps.page.twins import twins
from cja_pipeline.journey_maps.reconcile import require_sums
from cja_pipeline.journey_maps.rows import STAGES, Map, read_map
from cja_pipeline.journey_maps.sections.friction import DEVICES
from cja_pipeline.journey_maps.suppress import SMALL, SUPPRESS

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
LIMIT_BYTES = 150_000
ROWS = (12, 8, 5, 3)  # rows per section and stage: as many as the limit has room for


class PageTooLargeError(ValueError):
    """The page is larger than its limit even with few rows: some part of it is not bounded."""


def render(journey_map: pd.DataFrame, segment: str = "all", *, language: str | None = None) -> str:
    """The stakeholder page of one customer group, from the long table alone.

    Args:
        journey_map: rows as declared for ``journey_maps.journey_map``.
        segment: the group to draw; a group without rows gives a page that says so.
        language: of the labels; default the language the map was made in.

    Raises:
        SumError: figures of this group do not add up.
        PageTooLargeError: the page would exceed 150 kB.
    """
    chosen = journey_map[journey_map["segment"] == segment]
    require_sums(chosen)
    whole = read_map(journey_map, segment)
    words = load_labels(language or whole.text("header", "language", "en"))
    template = environment().get_template("page.html.j2")
    size = 0
    for most in ROWS:
        html = re.sub(r"\n\s*\n+", "\n", template.render(context(whole.bounded(most), words)))
        size = len(html.encode())
        if size < LIMIT_BYTES:
            return html
    raise PageTooLargeError(f"the page of segment {segment!r} has {size} bytes; the limit is {LIMIT_BYTES}")


def context(page: Map, words: Labels) -> dict[str, Any]:
    """Everything the templates place, as ready text and numbers."""
    return {
        "t": words,
        "rich": emphasised,
        "policy": POLICY,
        "language": words.language,
        "direction": words.direction,
        "light": palette.variables(palette.LIGHT),
        "dark": palette.variables(palette.DARK),
        "head": head.head(page, words),
        "cards": kpis.cards(page, words),
        # losses are split by device only; other groups see those of all customers
        "hurts_wide": page.segment not in DEVICES,
        "kpi_note": kpis.note(page, words),
        "shop_only": page.text("note", "shop_only"),
        "back_test": page.text("note", "back_test"),
        "changes": changes(page, words),
        "paths_how": words("cards.paths_how", k=SUPPRESS),
        "stages": [
            {"code": stage, "name": words(f"stage.{stage}"), "rule": words(f"stage_rule.{stage}")}
            for stage in STAGES
        ],
        "river": river.river(page, words, SUPPRESS),
        "touchpoints": stages.touchpoints(page, words),
        "times": stages.times(page, words),
        "feelings": feelings.feelings(page, words),
        "pains": stages.pains(page, words),
        "opportunities": stages.opportunities(page, words),
        "flows": flows.flows(page, words),
        "credit": bars.credit(page, words),
        "cohorts": courses.cohorts(page, words),
        "friction": bars.friction(page, words),
        "curve": courses.buying_curve(page, words),
        "value": bars.value_against_cost(page, words),
        "experiments": experiments(page, words),
        "twins": twins(page, words),
        "shop_wide": "" if page.segment == "all" else words("page.segment_all"),
        "foot": foot(page, words, SUPPRESS, SMALL),
    }


def emphasised(text: str) -> Any:
    """Text with ``*words*`` in bold; everything else is escaped."""
    from markupsafe import Markup, escape

    parts = re.split(r"\*([^*]+)\*", text)
    return Markup("").join(
        Markup("<strong>{}</strong>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates with autoescape in every one, whatever its name, and no undefined names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
