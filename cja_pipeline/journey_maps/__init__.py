"""5_journey_maps: the map that people act on, as a long table, a page, a picture and a scorecard.

The functions are loaded when they are first used, because importing this package must cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cja_pipeline.journey_maps.build import build_journey_map
    from cja_pipeline.journey_maps.page.render import render
    from cja_pipeline.journey_maps.preview import preview_png
    from cja_pipeline.journey_maps.reconcile import SumError
    from cja_pipeline.journey_maps.report import build_report, write_report
    from cja_pipeline.journey_maps.scorecard import build_scorecard, scorecard_markdown

_PLACES = {
    "build_journey_map": "build",
    "build_report": "report",
    "build_scorecard": "scorecard",
    "preview_png": "preview",
    "render": "page.render",
    "scorecard_markdown": "scorecard",
    "SumError": "reconcile",
    "write_report": "report",
}
__all__ = [
    "SumError",
    "build_journey_map",
    "build_report",
    "build_scorecard",
    "preview_png",
    "render",
    "scorecard_markdown",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
