"""Every KPI of the catalogue by period and slice, as one table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.blocks import NUMBERS, concat, dense, empty, length, table, with_zeros
from cja_pipeline.kpis.catalogue import Catalogue, load_catalogue
from cja_pipeline.kpis.compiler import Plan, Reading, Scan, Scope, plan_readings
from cja_pipeline.kpis.coverage import Coverage, finish
from cja_pipeline.kpis.describe import describe, headline_numbers
from cja_pipeline.kpis.estimates import derive, estimate
from cja_pipeline.kpis.kpi_entry import GRAINS, Kpi
from cja_pipeline.kpis.kpi_sources import SEGMENT_TABLE, load_sources, load_sources_file
from cja_pipeline.kpis.objectives import apply_objectives, load_objectives
from cja_pipeline.kpis.periods import Calendar
from cja_pipeline.kpis.restatements import Tonight, Whole, restate
from cja_pipeline.kpis.row_kpis import compute_rows
from cja_pipeline.kpis.unit_rows import UnitRows, read_rows
from cja_pipeline.kpis.unit_sums import WHOLE, sum_units
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from cja_pipeline.kpis.blocks import Block

__all__ = ["build_kpi_values", "headline_numbers", "read_scope"]
# A slice without any row is a zero for these, and nothing at all for a rate.
FILLED = ("count", "sum", "distinct")


def build_kpi_values(wh: Warehouse) -> int:
    """Compute all KPIs and replace ``kpis.kpi_values`` and ``kpis.kpi_catalogue``; returns rows of values.

    Past numbers that the night before published otherwise go to ``kpis.restatements`` with the reasons.
    Reads the customer view and ``kpis.customer_value``; a source whose tables are not there yet gives null
    with the reason ``incomplete``. Same data, same table, to the last digit.
    """
    import pandas as pd

    catalogue = load_catalogue()
    currency = str(wh.scalar("select currency from config.params"))
    scope, calendar = read_scope(wh)
    build = _Build(wh, catalogue, scope, calendar)
    build.sums()
    build.rows()
    build.rest()
    values = concat(_labelled(catalogue, kpi, build.parts[kpi.id], currency) for kpi in catalogue)
    values |= apply_objectives(values, load_objectives(), catalogue)
    sources = {name: build.sources[name] for name in build.available}
    with wh.transaction():
        restate(wh, Tonight(catalogue, sources, build.scope, build.readings, build.whole), values)
        wh.write("kpis.kpi_catalogue", describe(catalogue))
        return wh.write("kpis.kpi_values", pd.DataFrame(values))


def read_scope(wh: Warehouse) -> tuple[Scope, Calendar]:
    """The last complete day, whether segments exist, and the days that are measured."""
    last: dt.date = wh.scalar("select last_day from config.params")
    opening: dt.date = wh.scalar("select coalesce(first_day, last_day) from config.params")
    ordered = wh.scalar("select min(business_date) from customers.orders")
    first = min(opening, ordered or opening, last)
    segments = wh.exists(SEGMENT_TABLE) and bool(wh.scalar(f"select count(*) from {SEGMENT_TABLE}"))
    wh.ensure(SEGMENT_TABLE)
    return Scope(last, segments), Calendar(first, last, dict(load_sources_file().keep_days), opening)


@dataclass
class _Build:
    """The numbers of one night, KPI by KPI."""

    wh: Warehouse
    catalogue: Catalogue
    scope: Scope
    calendar: Calendar
    parts: dict[str, Block] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    whole: Whole = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sources = load_sources()
        # what a source counts must be there; what it only looks up may be missing and is then empty
        self.available = {
            name
            for name, source in self.sources.items()
            if self.wh.exists(source.table) and self.wh.count(source.table)
        }
        for read in {read for name in self.available for read in self.sources[name].reads}:
            self.wh.ensure(read)
        self.scope = replace(self.scope, held=dict(self._hold()))

    def _hold(self) -> Iterator[tuple[str, str]]:
        """Keep the rows of models that are read for sums and again for quantiles."""
        readers = [(str(kpi.source), kpi.needs_rows) for kpi in self.catalogue]
        for name in sorted({source for source, alone in readers if alone and source in self.available}):
            source = self.sources[name]
            if source.model and len([source for source, _ in readers if source == name]) > 1:
                self.wh.execute(
                    f"CREATE OR REPLACE TEMP TABLE kpi_rows_{name} AS SELECT * FROM {source.text}"
                )
                yield source.text, f"kpi_rows_{name}"

    def sums(self) -> None:
        """KPIs that are sums over units: one pass per source."""
        kpis = [kpi for kpi in self.catalogue if kpi.source in self.available]
        first = self.calendar.first
        self.readings = plan_readings(kpis, self.sources, self.scope)
        for reading in self.readings:
            dimensions = self._split_by([plan.kpi for scan in reading.scans for plan in scan.plans])
            rows = read_rows(self.wh, reading.sql(first, dimensions), dimensions).added_up()
            for scan in reading.scans:
                self._scan(scan, reading.rows_of(scan, rows, first))

    def _scan(self, scan: Scan, rows: UnitRows) -> None:
        slices: dict[str, dict[str, list[str]]] = {
            grain: {p.kpi.id: self._slices(p.kpi, grain) for p in scan.plans if grain in p.kpi.grains}
            for grain in GRAINS
        }
        wanted: dict[str, list[str]] = {
            grain: sorted({n for names in each.values() for n in names})
            for grain, each in slices.items()
            if each
        }
        numbered = {grain: self.calendar.numbered(grain) for grain in wanted}
        cells = sum_units(
            rows, list(scan.moments), {g: number for g, (_, number) in numbered.items()}, wanted
        )
        found: dict[str, list[Block]] = {plan.kpi.id: [] for plan in scan.plans}
        whole: dict[str, tuple[Any, Any]] = {}
        for plan in scan.plans:
            self.whole[plan.kpi.id] = plan.moments, whole
        for grain, by_dimension in cells.items():
            starts, _ = numbered[grain]
            whole[grain] = starts, dense(by_dimension[WHOLE], len(starts))
            sums = table(by_dimension, starts, rows.labels)
            if any(plan.kpi.kind in FILLED and plan.kpi.id in slices[grain] for plan in scan.plans):
                sums = with_zeros(sums, starts)
            for plan in scan.plans:
                if plan.kpi.id in slices[grain]:
                    found[plan.kpi.id].append(_numbers(plan, grain, sums, slices[grain][plan.kpi.id]))
        days = rows.days(self.calendar.first)
        for plan in scan.plans:
            self._keep(plan.kpi, concat(found[plan.kpi.id]), days)

    def rows(self) -> None:
        """KPIs that need the rows themselves."""
        for kpi in self.catalogue:
            if kpi.needs_rows and kpi.source in self.available:
                grains: dict[str, list[str]] = {g: self._slices(kpi, g) for g in kpi.grains}
                source = self.sources[str(kpi.source)]
                self._keep(kpi, *compute_rows(self.wh, kpi, source, self.scope, self.calendar, grains))

    def rest(self) -> None:
        """KPIs without a source yet, then those that are made of others."""
        for kpi in self.catalogue.in_order():
            if kpi.kind == "derived":
                top, bottom = self.catalogue.parts(kpi)
                grains, dimensions = self.catalogue.grains(kpi), self.catalogue.dimensions(kpi)
                numbers = derive(kpi, grains, dimensions, self.parts[top.id], self.parts[bottom.id])
                self.coverage[kpi.id] = self.coverage[top.id].also(self.coverage[bottom.id])
                self.parts[kpi.id] = finish(kpi, grains, numbers, self.calendar, self.coverage[kpi.id])
            elif kpi.id not in self.parts:
                self.coverage[kpi.id] = Coverage(None, self.scope.as_of, self.scope.as_of)
                self.parts[kpi.id] = finish(kpi, kpi.grains, empty(), self.calendar, self.coverage[kpi.id])

    def _keep(self, kpi: Kpi, numbers: Block, days: list[dt.date]) -> None:
        source = self.sources[str(kpi.source)]
        self.coverage[kpi.id] = Coverage.of(kpi, source, days, self.calendar)
        self.parts[kpi.id] = finish(kpi, kpi.grains, numbers, self.calendar, self.coverage[kpi.id])

    def _split_by(self, kpis: list[Kpi]) -> list[str]:
        """Dimensions that any of these KPIs of one source is split by at any of its grains."""
        wanted = {name for kpi in kpis for grain in kpi.grains for name in self._slices(kpi, grain)}
        return [name for name in self.scope.dimensions(self.sources[str(kpis[0].source)]) if name in wanted]

    def _slices(self, kpi: Kpi, grain: str) -> list[str]:
        """Dimensions that a KPI is split by at a grain today."""
        limits = load_sources_file().slice_grains
        known = self.scope.dimensions(self.sources[str(kpi.source)])
        return [
            name
            for name in self.catalogue.dimensions(kpi)
            if name in known and (name not in limits or grain in limits[name])
        ]


def _numbers(plan: Plan, grain: str, sums: Block, slices: list[str]) -> Block:
    """Published numbers of one KPI at one grain from the moments of its scan."""
    import numpy as np

    whole = sums["dimension"] == "all"
    chosen = whole.copy()
    for name in slices:
        chosen |= sums["dimension"] == name
    if plan.kpi.kind not in FILLED:
        chosen &= whole | (sums["sums"][:, plan.moments["units"]] > 0)
    return {
        "grain": np.full(int(chosen.sum()), grain, dtype=object),
        "period_start": sums["period"][chosen],
        "dimension": sums["dimension"][chosen],
        "dimension_value": sums["dimension_value"][chosen],
        **estimate(plan.kpi, {role: sums["sums"][chosen, place] for role, place in plan.moments.items()}),
    }


def _labelled(catalogue: Catalogue, kpi: Kpi, rows: Block, currency: str) -> Block:
    """Rows with what is the same for the whole KPI."""
    import numpy as np

    same = {
        "kpi_id": kpi.id,
        "stage": kpi.stage,
        "currency": currency if kpi.format == "money" else None,
        "additive": kpi.additive,
        "definition_hash": catalogue.definition_hash(kpi),
    }
    labels = {name: np.full(length(rows), value, dtype=object) for name, value in same.items()}
    return {**rows, **{name: _rounded(rows[name]) for name in NUMBERS}, **labels}


def _rounded(numbers: Any) -> Any:
    """Sums of floats differ in the last digits with the number of threads; published numbers must not."""
    import numpy as np

    return np.where(np.abs(numbers) < 1000, np.round(numbers, 11), np.round(numbers, 6))
