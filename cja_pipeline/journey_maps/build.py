"""The long table behind the page, for every group of customers, from the customer view and the KPIs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cja_pipeline import __version__
from cja_pipeline.config import shop
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.reconcile import require_sums
from cja_pipeline.journey_maps.rows import Rows, to_frame
from cja_pipeline.journey_maps.sections.attribution import attribution
from cja_pipeline.journey_maps.sections.changes import changes
from cja_pipeline.journey_maps.sections.cohorts import cohorts
from cja_pipeline.journey_maps.sections.context import Context, day
from cja_pipeline.journey_maps.sections.experiments import experiments
from cja_pipeline.journey_maps.sections.feelings import feelings
from cja_pipeline.journey_maps.sections.figures import figures
from cja_pipeline.journey_maps.sections.flows import flows
from cja_pipeline.journey_maps.sections.friction import friction, losses, opportunities
from cja_pipeline.journey_maps.sections.headline import headline
from cja_pipeline.journey_maps.sections.health import health
from cja_pipeline.journey_maps.sections.kpis import kpis
from cja_pipeline.journey_maps.sections.pains import pains
from cja_pipeline.journey_maps.sections.settings import map_config
from cja_pipeline.journey_maps.sections.times import times
from cja_pipeline.journey_maps.sections.touchpoints import touchpoints
from cja_pipeline.journey_maps.sections.value import value
from cja_pipeline.journey_maps.sections.volumes import volumes
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

EPOCH = dt.date(1970, 1, 1)


def build_journey_map(wh: Warehouse, run: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """All rows of ``journey_maps.journey_map``, for every group of ``config.segments``.

    A table that is not there, or a group too small, leaves its section out; nothing is invented.

    Args:
        run: what is known about this run: `run_id`, `as_of` (UTC), `language` (default the shop's), and
            `previous` and `week` (maps of earlier nights as DataFrames, for what changed).

    Raises:
        SumError: figures that must agree do not; the message lists them.
    """
    known = dict(run or {})
    context = _context(wh, known)
    segments = _segments(context)
    shared = shop_sections(context)
    rows: list[dict[str, Any]] = []
    for segment in segments:
        rows += build_segment(replace(context, segment=segment), segments, shared).rows
    frame = to_frame(rows)
    require_sums(frame)
    return frame


def shop_sections(context: Context) -> Rows:
    """What is measured for the shop as a whole and stands on every group's page."""
    rows = _rows(context, "all")
    health(context, rows)
    attribution(context, rows)
    cohorts(context, rows)
    value(context, rows)
    experiments(context, rows)
    return rows


def build_segment(context: Context, segments: list[str], shared: Rows) -> Rows:
    """The rows of one group: its own sections and copies of the shop's."""
    rows = _rows(context, context.segment)
    _header(context, rows, segments)
    rows.rows += [row | {"segment": context.segment} for row in shared.rows]
    kpis(context, rows)
    figures(context, rows)
    volumes(context, rows)
    touchpoints(context, rows)
    times(context, rows)
    feelings(context, rows)
    found = losses(context)
    pains(context, rows, found)
    opportunities(context, rows, found)
    friction(context, rows, found)
    flows(context, rows)
    headline(context, rows, found)
    changes(context, rows)
    return rows


def _rows(context: Context, segment: str) -> Rows:
    """Empty rows of the map's period; without data there is no period."""
    if context.last_day == EPOCH:
        return Rows(segment)
    return Rows(segment, context.first_day, context.last_day)


def shop_context(wh: Warehouse) -> Context:
    """The context of all customers, for what is not split by group."""
    return _context(wh, {})


def _segments(context: Context) -> list[str]:
    if not context.has("config.segments"):
        return ["all"]
    names = [str(row[0]) for row in context.wh.sql("SELECT segment FROM config.segments").fetchall()]
    fixed = [name for name in ("all", "new", "returning", "mobile", "desktop") if name in names]
    return [*fixed, *sorted(set(names) - set(fixed))] or ["all"]


def _context(wh: Warehouse, run: Mapping[str, Any]) -> Context:
    config = map_config()
    here = shop()
    tables = frozenset(
        f"{schema}.{name}"
        for schema, name in wh.sql(
            "SELECT table_schema, table_name FROM information_schema.tables"
        ).fetchall()
    )
    last = None
    for table in ("config.params", "config.journey_params"):
        if last is None and table in tables:
            last = day(wh.scalar(f"SELECT last_day FROM {table}"))
    last = last or EPOCH
    return Context(
        wh=wh,
        config=config,
        words=load_labels(str(run.get("language") or here.language)),
        segment="all",
        last_day=last,
        first_day=_first_day(wh, last, config.period_days, tables),
        currency=here.currency,
        time_zone=here.time_zone,
        run=run,
        tables=tables,
    )


def _first_day(wh: Warehouse, last: dt.date, days: int, tables: frozenset[str]) -> dt.date:
    """First day of the map's period: so many days back, but not before the data begin."""
    first = last - dt.timedelta(days=days - 1)
    if "config.params" in tables:
        begins = day(wh.scalar("SELECT first_day FROM config.params"))
        first = max(first, begins) if begins and begins <= last else first
    return first


def _header(context: Context, rows: Rows, segments: list[str]) -> None:
    for item, text in (
        ("shop", shop().name),
        ("language", context.words.language),
        ("run", str(context.run.get("run_id") or "")[:8]),
        ("version", __version__),
        ("time_zone", context.time_zone),
    ):
        rows.add("header", item, text=text)
    rows.add("header", "period")
    rows.add("header", "segments", series=segments)
    if context.has("config.journey_params"):
        idle = context.wh.scalar("SELECT idle_days FROM config.journey_params")
        rows.add("header", "idle_days", value=None if idle is None else float(idle), unit="days")
