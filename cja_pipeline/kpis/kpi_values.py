"""Every KPI of the catalogue by period and slice, as one table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis import kept
from cja_pipeline.kpis.blocks import NUMBERS, concat, dense, length, table, take, with_zeros
from cja_pipeline.kpis.catalogue import Catalogue, load_catalogue
from cja_pipeline.kpis.compiler import Reading, Scan, Scope, plan_readings
from cja_pipeline.kpis.counted import FILLED, Counted, Made, Slices, fingerprint, mixed
from cja_pipeline.kpis.coverage import Coverage, Judgement, finish
from cja_pipeline.kpis.describe import describe, headline_numbers
from cja_pipeline.kpis.estimates import derive
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
    from cja_pipeline.kpis.blocks import Block, Days
    from cja_pipeline.kpis.counted import Digests
    from cja_pipeline.kpis.kept import Masks, Place

__all__ = ["build_kpi_values", "headline_numbers", "read_scope"]


def build_kpi_values(wh: Warehouse) -> int:
    """Compute all KPIs for ``kpis.kpi_values`` and ``kpis.kpi_catalogue``; returns rows of values.

    Rows of periods that count what they counted the night before stay as they are. Past numbers that the
    night before published otherwise go to ``kpis.restatements`` with the reasons. Reads the customer view and
    ``kpis.customer_value``; a source whose tables are not there yet gives null with the reason
    ``incomplete``. Same data, same table, to the last digit.
    """
    catalogue = load_catalogue()
    scope, calendar = read_scope(wh)
    build = _Build(wh, catalogue, scope, calendar)
    build.sums()
    build.rows()
    digests = build.digests()
    sources = {name: build.sources[name] for name in build.available}
    with wh.transaction():
        touched = kept.touched(wh, digests, build.starts)
        rows = kept.renew(wh, build.values(touched), digests, build.starts, touched)
        restate(wh, Tonight(catalogue, sources, build.scope, build.readings, build.whole))
        wh.write("kpis.kpi_catalogue", describe(catalogue))
    return rows


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
    counted: dict[Place, Counted] = field(default_factory=dict)
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
        self.currency = str(self.wh.scalar("select currency from config.params"))
        self.starts: dict[str, Days] = {grain: self.calendar.numbered(grain)[0] for grain in GRAINS}
        self.judged: dict[tuple[Coverage, str], tuple[list[Judgement], Digests]] = {}

    def _hold(self) -> Iterator[tuple[str, str]]:
        """Keep the rows of models that are read for sums and again for quantiles."""
        readers = [(str(kpi.source), kpi.needs_rows) for kpi in self.catalogue]
        for name in sorted({source for source, alone in readers if alone and source in self.available}):
            source = self.sources[name]
            if source.model and len([source for source, _ in readers if source == name]) > 1:
                self.wh.stage(f"kpi_rows_{name}", f"SELECT * FROM {source.text}")
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
        whole: dict[str, tuple[Any, Any]] = {}
        for plan in scan.plans:
            self.whole[plan.kpi.id] = plan.moments, whole
        for grain, by_dimension in cells.items():
            starts, _ = numbered[grain]
            whole[grain] = starts, dense(by_dimension[WHOLE], len(starts))
            sums = table(by_dimension, starts, rows.labels)
            if any(plan.kpi.kind in FILLED and plan.kpi.id in slices[grain] for plan in scan.plans):
                sums = with_zeros(sums, starts)
            shown = Slices.of(grain, sums, starts)
            for plan in scan.plans:
                if plan.kpi.id in slices[grain]:
                    self.counted[plan.kpi.id, grain] = shown.counted(plan, slices[grain][plan.kpi.id])
        days = rows.days(self.calendar.first)
        for plan in scan.plans:
            self._cover(plan.kpi, days)

    def rows(self) -> None:
        """KPIs that need the rows themselves."""
        for kpi in self.catalogue:
            if kpi.needs_rows and kpi.source in self.available:
                grains: dict[str, list[str]] = {g: self._slices(kpi, g) for g in kpi.grains}
                source = self.sources[str(kpi.source)]
                numbers, days = compute_rows(self.wh, kpi, source, self.scope, self.calendar, grains)
                for grain in kpi.grains:
                    block = take(numbers, numbers["grain"] == grain)
                    self.counted[kpi.id, grain] = Made.of(block, self.starts[grain])
                self._cover(kpi, days)

    def _cover(self, kpi: Kpi, days: list[dt.date]) -> None:
        self.coverage[kpi.id] = Coverage.of(kpi, self.sources[str(kpi.source)], days, self.calendar)

    def digests(self) -> dict[Place, Digests]:
        """What the rows of each KPI, grain and period are made of."""
        import numpy as np

        found: dict[Place, Digests] = {}
        for kpi in self.catalogue.in_order():
            parts = [part.id for part in self.catalogue.parts(kpi)] if kpi.kind == "derived" else []
            if parts:
                self.coverage[kpi.id] = self.coverage[parts[0]].also(self.coverage[parts[1]])
            elif kpi.id not in self.coverage:  # KPIs without a source yet
                self.coverage[kpi.id] = Coverage(None, self.scope.as_of, self.scope.as_of)
            rules = self._rules(kpi)
            for grain in self.catalogue.grains(kpi):
                periods = len(self.starts[grain])
                own = np.full(periods, rules, dtype=np.uint64)
                _, said = self._judged(kpi, grain)
                counted = self.counted.get((kpi.id, grain))
                rows = [counted.digests(periods)] if counted else [found[part, grain] for part in parts]
                found[kpi.id, grain] = mixed([own, said, *rows])
        return found

    def _rules(self, kpi: Kpi) -> int:
        """What the rows of a KPI depend on besides what is counted."""
        targets = [one for one in load_objectives() if one.kpi == kpi.id]
        return fingerprint([self.catalogue.definition_hash(kpi), kpi, targets, self.currency])

    def _judged(self, kpi: Kpi, grain: str) -> tuple[list[Judgement], Digests]:
        """What can be said about each period, and digests of it."""
        import numpy as np

        coverage = self.coverage[kpi.id]
        if (coverage, grain) not in self.judged:
            spans = self.calendar.periods(grain)
            found = [coverage.judge(*span, self.calendar.as_of) for span in spans]
            digests = np.array([fingerprint(one) for one in found], dtype=np.uint64)
            self.judged[coverage, grain] = found, digests
        return self.judged[coverage, grain]

    def values(self, touched: Masks) -> Block:
        """The rows of the touched periods."""
        needed = {place: mask.copy() for place, mask in touched.items()}
        for kpi in reversed(self.catalogue.in_order()):
            for part in self.catalogue.parts(kpi) if kpi.kind == "derived" else ():
                for grain in self.catalogue.grains(kpi):
                    needed[part.id, grain] |= needed[kpi.id, grain]
        parts: dict[str, Block] = {}
        for kpi in self.catalogue.in_order():
            grains = self.catalogue.grains(kpi)
            verdicts = {
                grain: {
                    start: verdict
                    for start, verdict, wanted in zip(
                        self.starts[grain].tolist(),
                        self._judged(kpi, grain)[0],
                        needed[kpi.id, grain],
                        strict=True,
                    )
                    if wanted
                }
                for grain in grains
            }
            parts[kpi.id] = finish(kpi, self._numbers(kpi, grains, needed, parts), verdicts)
        return concat(
            _labelled(self.catalogue, kpi, self._among(kpi, parts[kpi.id], touched), self.currency)
            for kpi in self.catalogue
        )

    def _numbers(self, kpi: Kpi, grains: Sequence[str], needed: Masks, parts: dict[str, Block]) -> Block:
        if kpi.kind == "derived":
            top, bottom = self.catalogue.parts(kpi)
            exact = self.catalogue.is_exact(top), self.catalogue.is_exact(bottom)
            split = self.catalogue.dimensions(kpi)
            both = derive(kpi, grains, split, parts[top.id], parts[bottom.id], exact)
            return self._among(kpi, both, needed)
        counted = {grain: self.counted[kpi.id, grain] for grain in grains if (kpi.id, grain) in self.counted}
        return concat(one.numbers(needed[kpi.id, grain]) for grain, one in counted.items())

    def _among(self, kpi: Kpi, rows: Block, masks: Masks) -> Block:
        """The rows of the periods of a mask."""
        import numpy as np

        chosen = np.zeros(length(rows), dtype=bool)
        for grain in self.catalogue.grains(kpi):
            here = np.flatnonzero(rows["grain"] == grain)
            chosen[here] = masks[kpi.id, grain][
                np.searchsorted(self.starts[grain], rows["period_start"][here])
            ]
        return rows if chosen.all() else take(rows, chosen)

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


def _labelled(catalogue: Catalogue, kpi: Kpi, rows: Block, currency: str) -> Block:
    """Rows with what is the same for the whole KPI, and with its targets."""
    import numpy as np

    same = {
        "kpi_id": kpi.id,
        "stage": kpi.stage,
        "currency": currency if kpi.format == "money" else None,
        "additive": kpi.additive,
        "definition_hash": catalogue.definition_hash(kpi),
    }
    labels = {name: np.full(length(rows), value, dtype=object) for name, value in same.items()}
    block = {**rows, **{name: _rounded(rows[name]) for name in NUMBERS}, **labels}
    return block | apply_objectives(block, [one for one in load_objectives() if one.kpi == kpi.id], catalogue)


def _rounded(numbers: Any) -> Any:
    """Sums of floats differ in the last digits with the number of threads; published numbers must not."""
    import numpy as np

    return np.where(np.abs(numbers) < 1000, np.round(numbers, 11), np.round(numbers, 6))
