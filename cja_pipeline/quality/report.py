"""Write the quality page beside the journey map: into ``latest`` and the folder of the newest day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.config import shop
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.build import shop_context
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.rows import Map, Rows, read_map
from cja_pipeline.journey_maps.sections.health import health
from cja_pipeline.quality.figures import read_figures
from cja_pipeline.quality.page import render_quality, verdict
from cja_pipeline.quality.published import Agreement
from cja_pipeline.quality.waterfall import add_published
from cja_pipeline.settings import Settings
from cja_pipeline.validated.summary import AFTER_QUALITY_PAGE
from cja_pipeline.warehouse import Warehouse

PAGE = "quality.html"


@dataclass(frozen=True)
class QualityPage:
    """What was written, and what is worth telling about it."""

    latest: Path
    verdict: str
    checks: int
    failed: int
    warned: int
    kilobytes: float


def write_quality_page(
    warehouse: Warehouse, settings: Settings, published: Agreement | None = None
) -> QualityPage:
    """Draw the page from the state of the quality tables.

    Args:
        published: what the serving database holds, once it has tonight's tables; the order waterfall ends
            with it.
    """
    if published is not None:
        add_published(warehouse, published.orders, published.net_revenue)
    figures = read_figures(warehouse)
    html = render_quality(figures, _health(warehouse)).encode()
    day = figures.last_day.isoformat() if figures.last_day else "latest"
    for folder in {settings.reports_dir / day, settings.reports_dir / "latest"}:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / PAGE, html)
    summary = figures.summary
    return QualityPage(
        settings.reports_dir / "latest" / PAGE,
        verdict(figures, load_labels(shop().language)),
        summary.checks,
        summary.failures,
        summary.warnings,
        round(len(html) / 1000, 1),
    )


def _health(warehouse: Warehouse) -> Map:
    rows = Rows()
    health(shop_context(warehouse), rows, AFTER_QUALITY_PAGE)
    return read_map(rows.frame())
