"""What there is to remember of a night: the rows of every source as its KPIs count them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.compiler import Reading, Scope, rows_sql
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import Source
from cja_pipeline.kpis.row_kpis import rows_of


@dataclass(frozen=True)
class Counting:
    """Rows of a source with what each adds to the measures, for the days `since` to `last`.

    `rows` is a SELECT with ``kpi_row``, ``kpi_unit`` and ``kpi_day``, `measures` are expressions over it.
    A KPI of kind quantile or survival reads rows of its own: it has a counting to itself, named after it,
    with the measures x and event. `refunded` is the place of the measure of what was given back.
    """

    name: str
    source: Source
    rows: str
    measures: tuple[str, ...]
    since: dt.date
    last: dt.date
    refunded: int | None = None
    kpi: Kpi | None = None

    def also(self, measures: Sequence[str]) -> Counting:
        """With further measures behind its own."""
        more = [text for text in measures if text not in self.measures]
        return replace(self, measures=(*self.measures, *more))

    @property
    def fingerprint(self) -> str:
        """Changes when the rows are no longer the same rows: then they cannot be compared one by one."""
        read = {name: one for name, one in self.source.definition.items() if name != "dimensions"}
        return digest([read, load_catalogue().definition_hash(self.kpi) if self.kpi else None])

    @property
    def select(self) -> str:
        """SELECT of source, row_key, customer_id, day, measures."""
        numbers = ", ".join(f"cast({text} as double)" for text in self.measures)
        return (
            f"SELECT '{self.name}' AS source, kpi_row AS row_key, kpi_unit AS customer_id, kpi_day AS day, "
            f"[{numbers}] AS measures\nFROM (\n{self.rows}\n) r\n"
            f"WHERE kpi_day BETWEEN DATE '{self.since}' AND DATE '{self.last}'"
        )


def countings(
    readings: Sequence[Reading],
    kpis: Sequence[Kpi],
    sources: dict[str, Source],
    scope: Scope,
    first: dt.date,
) -> list[Counting]:
    """Everything that the daily, weekly and monthly numbers from the day `first` on are counted from."""
    found = []
    for reading in readings:
        source, measures = reading.source, list(reading.scans[0].measures)
        refunded = None
        if source.refunded:
            text = f"coalesce(cast(({source.refunded}) as double), 0)"
            measures += [text] if text not in measures else []
            refunded = measures.index(text)
        name = str(reading.scans[0].plans[0].kpi.source)
        since = first - dt.timedelta(days=reading.shift_days)
        last = max(scan.last_row_day for scan in reading.scans)
        rows = rows_sql(source, scope, [])
        found.append(Counting(name, source, rows, tuple(measures), since, last, refunded))
    for kpi in kpis:
        if kpi.needs_rows:
            source = sources[str(kpi.source)]
            rows = f"SELECT *, day AS kpi_day FROM (\n{rows_of(kpi, source, scope)}\n) c WHERE x IS NOT NULL"
            name, last = f"{kpi.source}/{kpi.id}", scope.as_of
            # beyond the day that is asked about, a row that waits is like any other
            x = f"least(x, {kpi.at} + 1)" if kpi.kind == "survival" else "x"
            found.append(Counting(name, source, rows, (x, "event"), first, last, None, kpi))
    return found


def digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
