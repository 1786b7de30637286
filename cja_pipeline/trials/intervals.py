"""Do 95 % intervals cover the truth in 95 % of samples? Every interval of the catalogue, put to the test.

A large shop is taken as the world: its own figures are the truth. Samples of its customers are drawn as
customers come to a shop (each any number of times, Poisson), and every KPI with its interval is computed from
each sample by the functions that publish it. Customers are drawn whole, with all their visits and orders, so
an interval that takes visits for independent fails here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.blocks import blank
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.compiler import Reading, Scan, Scope, plan_readings
from cja_pipeline.kpis.estimates import derive, estimate
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.kpi_values import read_scope
from cja_pipeline.kpis.periods import Calendar
from cja_pipeline.kpis.row_kpis import estimate_groups, read_kpi_rows
from cja_pipeline.kpis.unit_rows import UnitRows, read_rows
from cja_pipeline.kpis.unit_sums import evaluate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Block
    from cja_pipeline.warehouse import Warehouse

    Floats = NDArray[np.float64]

DAYS = 28
SLICES = (("all", "all"), ("device", "mobile"), ("new_returning", "returning"))
SUMMED = ("count", "sum", "distinct")
CHUNK = 100  # samples at a time


@dataclass
class Samples:
    """How often each customer is in each sample; the same for all sources, as in a night."""

    units: NDArray[np.uint64]
    share: float
    count: int
    seed: int

    def weights(self, units: NDArray[np.uint64], first: int, last: int) -> NDArray[np.float32]:
        """Shape (samples `first` to `last`, units)."""
        import numpy as np

        place = np.searchsorted(self.units, units)
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=first))
        return random.poisson(self.share, (last - first, len(self.units))).astype(np.float32)[:, place]


def coverage(
    wh: Warehouse, *, customers: int = 2_000, samples: int = 500, row_samples: int = 100, seed: int = 7
) -> pd.DataFrame:
    """Coverage of every interval of the catalogue's KPIs over four weeks.

    Args:
        wh: a warehouse with customer view and customer value, much larger than a sample.
        customers: customers of a sample on average. row_samples: samples for quantiles and survival.

    Returns:
        ``kpi_id, ci_method, dimension, dimension_value, samples`` (with an interval), ``n`` (mean),
        ``covered, below, above`` (shares; below: the interval ends below the truth).
    """
    import numpy as np
    import pandas as pd

    catalogue, sources = load_catalogue(), load_sources()
    scope, calendar = read_scope(wh)
    readings = [
        reading
        for reading in plan_readings(list(catalogue), sources, scope)
        if reading.source.people and wh.exists(reading.source.table)
    ]
    scans = [scan for reading in readings for scan in reading.scans]
    read = [rows for reading in readings for rows in _recent(wh, reading, scope, calendar)]
    units = np.unique(np.concatenate([rows.unit for rows in read]))
    drawn = Samples(units, customers / len(units), samples, seed)
    found: list[dict[str, Any]] = []
    for dimension, value in SLICES:
        blocks: dict[str, Block] = {}
        for scan, rows in zip(scans, read, strict=True):
            chosen = _slice(rows, dimension, value)
            if chosen is not None:
                blocks |= _sampled(scan, chosen, drawn)
        for kpi in catalogue.in_order():
            if kpi.kind == "derived" and all(part.id in blocks for part in catalogue.parts(kpi)):
                top, bottom = (blocks[part.id] for part in catalogue.parts(kpi))
                first, second = map(catalogue.is_exact, catalogue.parts(kpi))
                blocks[kpi.id] = derive(kpi, ["rolling_28d"], [], top, bottom, (first, second))
        for kpi in catalogue:
            if kpi.id in blocks:
                found += _judged(kpi, blocks[kpi.id], dimension, value)
    few = Samples(units, customers / len(units), row_samples, seed)
    for kpi in catalogue:
        if kpi.needs_rows and wh.exists(sources[str(kpi.source)].table):
            rows = read_kpi_rows(wh, kpi, sources[str(kpi.source)], scope, calendar)
            found += _judged(kpi, _sampled_rows(kpi, rows, few), "all", "all")
    return pd.DataFrame(found)


def _recent(wh: Warehouse, reading: Reading, scope: Scope, calendar: Calendar) -> Iterator[UnitRows]:
    """Rows of the last days of every scan of a reading."""
    dimensions = scope.dimensions(reading.source)
    rows = read_rows(wh, reading.sql(calendar.first, dimensions), dimensions)
    last = (calendar.as_of - calendar.first).days
    for scan in reading.scans:
        counted = reading.rows_of(scan, rows, calendar.first)
        yield counted.between(last - DAYS + 1, last)


def _slice(rows: UnitRows, dimension: str, value: str) -> UnitRows | None:
    """Rows of one slice; None where the source is not split so."""
    import numpy as np

    if dimension == "all":
        return rows
    if dimension not in rows.codes or value not in rows.labels[dimension]:
        return None
    wanted = rows.labels[dimension][rows.codes[dimension]] == value
    return rows.take(np.flatnonzero(wanted[rows.slice]))


def _sampled(scan: Scan, rows: UnitRows, drawn: Samples) -> dict[str, Block]:
    """Per KPI of a scan a block with one row per sample, and the truth as the last row."""
    import numpy as np
    from scipy.sparse import csr_matrix

    if not len(rows.unit):
        return {}
    units, place = np.unique(rows.unit, return_inverse=True)
    columns = np.stack([measure.astype(float) for measure in rows.measures], axis=1)
    per_unit = csr_matrix((np.ones(len(place)), (place, np.arange(len(place))))) @ columns
    terms = np.column_stack(list(evaluate(list(scan.moments), list(per_unit.T))))
    sums = [
        drawn.weights(units, low, min(low + CHUNK, drawn.count)) @ terms
        for low in range(0, drawn.count, CHUNK)
    ]
    return {
        plan.kpi.id: _block(
            plan.kpi,
            estimate(plan.kpi, {role: np.concatenate(sums)[:, i] for role, i in plan.moments.items()}),
            estimate(plan.kpi, {role: terms[:, i].sum(keepdims=True) for role, i in plan.moments.items()}),
            drawn.share,
        )
        for plan in scan.plans
    }


def _block(kpi: Kpi, samples: dict[str, Any], whole: dict[str, Any], share: float) -> Block:
    """Estimates as a block; the last row is the truth, scaled to the size of a sample for totals."""
    import numpy as np

    count = len(samples["value"])
    block = blank("rolling_28d", [dt.date(2000, 1, 1)] * (count + 1))
    block["dimension_value"] = np.arange(count + 1).astype(str).astype(object)
    for name in ("value", "n", "missing", "ci_low", "ci_high", "ci_method", "null_reason"):
        block[name] = np.concatenate([samples[name], whole[name]])
    if kpi.kind in SUMMED:
        block["value"][-1] *= share
    block["ci_low"][-1] = block["ci_high"][-1] = np.nan
    return block


def _sampled_rows(kpi: Kpi, rows: UnitRows, drawn: Samples) -> Block:
    """As `_sampled`, for KPIs that need the rows themselves: a customer drawn twice is two customers."""
    import numpy as np

    units, place = np.unique(rows.unit, return_inverse=True)
    x, event = (measure.astype(float) for measure in rows.measures)
    parts = []
    for sample in range(drawn.count):
        times = drawn.weights(units, sample, sample + 1)[0].astype(int)[place]
        chosen = np.repeat(np.arange(len(place)), times)
        copy = np.arange(len(chosen)) - np.repeat(np.cumsum(times) - times, times)
        kept = {"x": x[chosen], "event": event[chosen], "unit": place[chosen] * (times.max() + 1) + copy}
        parts.append(estimate_groups(kpi, np.zeros(len(chosen), dtype=int), kept))
    samples = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    whole = estimate_groups(kpi, np.zeros(len(place), dtype=int), {"x": x, "event": event, "unit": place})
    return _block(kpi, samples, whole, drawn.share)


def _judged(kpi: Kpi, block: Block, dimension: str, value: str) -> list[dict[str, Any]]:
    import numpy as np

    truth, low, high = block["value"][-1], block["ci_low"][:-1], block["ci_high"][:-1]
    known = ~np.isnan(block["value"][:-1]) & ~(np.isnan(low) & np.isnan(high))
    if np.isnan(truth) or not known.any() or (kpi.format in ("percent", "count") and truth in (0.0, 1.0)):
        return []  # what never happens is always covered
    below, above = high[known] < truth, low[known] > truth
    methods = block["ci_method"][:-1][known]
    return [
        {
            "kpi_id": kpi.id,
            "ci_method": methods[0],
            "dimension": dimension,
            "dimension_value": value,
            "samples": int(known.sum()),
            "n": float(block["n"][:-1][known].mean()),
            "covered": 1 - float(below.mean() + above.mean()),
            "below": float(below.mean()),
            "above": float(above.mean()),
        }
    ]


def by_method(rows: pd.DataFrame, *, at_least: Sequence[str] = ()) -> pd.DataFrame:
    """Mean coverage per method, over KPIs and slices."""
    grouped = rows.groupby("ci_method")
    return grouped.agg(
        kpis=("kpi_id", "nunique"),
        intervals=("samples", "sum"),
        covered=("covered", "mean"),
        lowest=("covered", "min"),
        highest=("covered", "max"),
    ).reset_index()
