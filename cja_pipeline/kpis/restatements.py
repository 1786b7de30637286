"""Numbers of past days that changed tonight, each with the reasons, whose parts add up to the change.

``kpis.counted_rows`` remembers what the night before counted. Rows that differ get a reason (`reasons`), and
a walk from the old rows to the new ones counts anew after each reason (`walk`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cja_pipeline.kpis import memory as remembered
from cja_pipeline.kpis import reasons
from cja_pipeline.kpis.catalogue import Catalogue
from cja_pipeline.kpis.compiler import Reading, Scope
from cja_pipeline.kpis.countings import Counting, countings
from cja_pipeline.kpis.kpi_sources import Source, load_sources_file
from cja_pipeline.kpis.memory import Definition, Known, Memory
from cja_pipeline.kpis.restated import Cell, starts_of, write_restatements
from cja_pipeline.kpis.walks import Walks
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

# per KPI the place of each of its sums by role, and per grain the starts of the periods and (periods x
# sums) sums over everybody
Whole = dict[str, tuple[dict[str, int], dict[str, tuple[Any, Any]]]]
# numbers of whole periods; those that are settled will be changed by no window
NUMBERS = ("kpi_id", "grain", "period_start", "value", "numerator", "denominator")
WHOLE = (
    "FROM kpis.kpi_values WHERE dimension = 'all' AND grain <> 'rolling_28d' AND period_start >= ? "
    "AND value IS NOT NULL"
)
SETTLED = "AND is_complete AND is_mature"


@dataclass(frozen=True)
class Tonight:
    """What tonight's numbers were computed from: the sources that are there, and sums over everybody."""

    catalogue: Catalogue
    sources: dict[str, Source]
    scope: Scope
    readings: list[Reading]
    whole: Whole

    @property
    def first(self) -> dt.date:
        """The first day of which rows are remembered."""
        return self.scope.as_of - dt.timedelta(days=load_sources_file().remember_days - 1)


def restate(wh: Warehouse, tonight: Tonight) -> None:
    """Write tonight's rows of ``kpis.restatements`` and ``kpis.restated_rows``, and remember what it counted.

    Call it in the transaction that writes ``kpis.kpi_values``, after that. The same night again gives the
    same rows; the first night gives none.
    """
    night: dt.datetime = wh.scalar("select as_of from config.params")
    memory = Memory.open(wh, night)
    kpis = [kpi for kpi in tonight.catalogue if kpi.source in tonight.sources]
    found = countings(tonight.readings, kpis, tonight.sources, tonight.scope, tonight.first)
    rules, sources = remembered.rules(), memory.definitions("source")
    known = {name: Known.of(one.content, tonight.scope.age) for name, one in sources.items()}
    reasons.begin(wh)
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_now (source VARCHAR, row_key VARCHAR, customer_id VARCHAR, "
        "day DATE, measures DOUBLE[])"
    )
    compared: dict[str, tuple[Counting, Known]] = {}
    for counting in found:
        before = known.get(counting.name)
        also = None
        if before and sources[counting.name].fingerprint == counting.fingerprint:
            also = _with(counting, before.measures)
        wh.execute(f"INSERT INTO counted_now {(also or counting).select}")
        if before and also:
            compared[counting.name] = also, before
            memory.compare(also, before.measures, before.since, before.last)
    erased = _erased()
    if memory.before is not None:
        reasons.judge(wh, found, memory.before, erased, memory.definitions("rules") != rules)
        cells = _changed(wh, tonight)
        walks = Walks(wh, tonight, compared, memory.definitions("kpi"), starts_of(cells))
        write_restatements(wh, night, memory.before, cells, walks)
    memory.keep(found, {name: before for name, (_, before) in compared.items()})
    memory.anonymise(erased)
    _note(memory, tonight, found)
    memory.note("rules", rules)
    for table in ("counted_now", "counted_changes", "counted_moves", "counted_reasons"):
        wh.execute(f"DROP TABLE IF EXISTS {table}")


def _with(counting: Counting, measures: Sequence[str]) -> Counting | None:
    """Count what the night before counted as well; None if the source cannot say it any more."""
    also = counting.also(measures)
    try:
        for text in also.measures[len(counting.measures) :]:
            counting.source.bind(text)
    except ValueError:
        return None
    return also


def _erased() -> list[str]:
    settings = get_settings()
    if not any(settings.privacy_dir.glob("*")):
        return []
    from cja_pipeline.privacy.work import pending  # takes a while to import, for a rare event

    return sorted(work.customer_id for work in pending(settings) if work.customer_id)


def _changed(wh: Warehouse, tonight: Tonight) -> list[Cell]:
    """Numbers of the night before that are others now, or none any more."""
    now = {(kpi, grain, start): tuple(numbers) for kpi, grain, start, *numbers in _rows(wh, WHOLE, tonight)}
    found = []
    for kpi, grain, start, *before in _rows(wh, "FROM kpis.counted_values WHERE period_start >= ?", tonight):
        cell = Cell(kpi, grain, start, tuple(before), now.get((kpi, grain, start)))
        if kpi in tonight.catalogue.kpis and cell.differs:
            found.append(cell)
    return found


def _rows(wh: Warehouse, place: str, tonight: Tonight) -> list[tuple[Any, ...]]:
    return wh.sql(f"SELECT {', '.join(NUMBERS)} {place} ORDER BY ALL", [tonight.first]).fetchall()


def _note(memory: Memory, tonight: Tonight, found: Sequence[Counting]) -> None:
    """Remember the numbers and the definitions of tonight."""
    memory.wh.execute(
        f"INSERT INTO kpis.counted_values BY NAME SELECT ? AS night, {', '.join(NUMBERS)} {WHOLE} {SETTLED}",
        [memory.night, tonight.first],
    )
    memory.note(
        "source",
        {one.name: Definition(one.fingerprint, Known.noted(one, tonight.scope.age)) for one in found},
    )
    memory.note(
        "kpi",
        {
            kpi.id: Definition(tonight.catalogue.definition_hash(kpi), kpi.model_dump(mode="json"))
            for kpi in tonight.catalogue
        },
    )
