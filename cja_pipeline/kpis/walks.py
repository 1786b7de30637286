"""The ways of numbers from the night before to tonight: the rows of all their sources, walked once each."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cja_pipeline.kpis.compiler import Scan
from cja_pipeline.kpis.countings import Counting
from cja_pipeline.kpis.estimates import estimate
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.periods import bounds
from cja_pipeline.kpis.reasons import PLACE, REASONS, of_customer
from cja_pipeline.kpis.row_kpis import estimate_groups
from cja_pipeline.kpis.unit_sums import measures_of
from cja_pipeline.kpis.walk import CLOSE, STATES, Rows, concerned, walk
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.memory import Definition, Known
    from cja_pipeline.kpis.restatements import Tonight
    from cja_pipeline.kpis.unit_sums import Moment

    Numbers = NDArray[np.int64]
    Behind = Mapping[int, frozenset[int]]

NOTHING = float("nan")


class Path(NamedTuple):
    """A number from state to state, by the definition of the night before; last, by that of tonight.

    `rows` are the places of the rows behind each reason, `units` whose they are.
    """

    values: list[float]
    rows: Behind
    units: Behind

    def parts(self) -> list[float]:
        """What each reason changed. A state that has no number takes part in the next one that has."""
        known = [self.values[0]]
        for value in self.values[1:]:
            known.append(known[-1] if value != value else value)
        parts = [new - old for old, new in itertools.pairwise(known)]
        return [*parts[: PLACE["rule"]], sum(parts[PLACE["rule"] :])]


@dataclass
class Walks:
    """Walks over the rows that differ.

    `compared` holds the countings whose rows can be compared, with what was known of them, `entries` the KPIs
    as the night before defined them, `starts` the periods to look at by grain.
    """

    wh: Warehouse
    tonight: Tonight
    compared: Mapping[str, tuple[Counting, Known]]
    entries: Mapping[str, Definition]
    starts: Mapping[str, Sequence[dt.date]]
    walked: dict[tuple[Any, ...], tuple[Rows, Numbers, dict[Moment, Any]]] = field(default_factory=dict)
    scans: dict[str, Scan | None] = field(default_factory=dict)
    read: dict[tuple[str, bool], Rows] = field(default_factory=dict)

    def path(self, kpi_id: str, grain: str, start: dt.date, now: float) -> Path | None:
        """The way of one number to `now`; None if the rows behind it are not the same rows any more."""
        if kpi_id not in self.entries:
            return None
        kpi = self.before.get(kpi_id) or self._earlier(kpi_id)
        if kpi is None:
            return None
        place = list(self.starts[grain]).index(start)
        if kpi.kind == "derived":
            parts = [self.path(str(one), grain, start, NOTHING) for one in (kpi.numerator, kpi.denominator)]
            path = _divided(kpi, parts[0], parts[1]) if parts[0] and parts[1] else None
        elif kpi.needs_rows:
            path = self._of_rows(kpi, grain, place)
        else:
            path = self._of_sums(kpi, grain, place)
        if path is None or kpi_id in self.before:
            return path
        return path._replace(values=[*path.values[:-1], now])

    @cached_property
    def before(self) -> dict[str, Kpi]:
        """KPIs that are defined as they were."""
        catalogue = self.tonight.catalogue
        return {
            kpi.id: kpi
            for kpi in catalogue
            if kpi.id in self.entries and self.entries[kpi.id].fingerprint == catalogue.definition_hash(kpi)
        }

    def _earlier(self, kpi_id: str) -> Kpi | None:
        try:
            return Kpi.model_validate(self.entries[kpi_id].content)
        except ValueError:  # its source does not know such columns any more
            return None

    def _scan(self, kpi: Kpi) -> Scan | None:
        """The sums of a KPI over the measures that the night before counted."""
        if kpi.id not in self.scans:
            self.scans[kpi.id] = self._planned(kpi)
        return self.scans[kpi.id]

    def _planned(self, kpi: Kpi) -> Scan | None:
        if str(kpi.source) not in self.compared:
            return None
        known = self.compared[str(kpi.source)][1].measures
        measures = {text: place for place, text in enumerate(known)}
        source = self.tonight.sources[str(kpi.source)]
        scan = Scan(source, self.tonight.scope, kpi.shift_days, kpi.maturity_days, measures)
        scan.add(kpi)
        return scan if len(measures) == len(known) else None

    def _of_sums(self, kpi: Kpi, grain: str, place: int) -> Path | None:
        scan = self._scan(kpi)
        if scan is None:
            return None
        same = kpi.id in self.before
        rows, period, states = self._walk(str(kpi.source), grain, kpi.shift_days, None if same else kpi)
        moments, roles = list(scan.moments), scan.plans[0].moments
        sums = {role: states[moments[at]][:, place] for role, at in roles.items()}
        if same:
            others = {role: self._others(kpi, role, grain, place, one[-1]) for role, one in sums.items()}
            sums = {role: one + others[role] for role, one in sums.items()}
        values = estimate(kpi.model_copy(update={"min_n": 0}), sums)["value"].tolist()
        return Path([*values, values[-1]], *_behind(rows.take(period == place), measures_of(moments)))

    def _walk(
        self, name: str, grain: str, shift: int, changed: Kpi | None
    ) -> tuple[Rows, Numbers, dict[Moment, Any]]:
        """Rows of the periods of a grain, the period of each, and all sums that KPIs need of them by state.

        A KPI that is defined anew is counted from all rows: tonight's sums are by another definition.
        """
        key = (name, grain, shift, changed and changed.id)
        if key not in self.walked:
            rows, period = self._rows(name, changed is not None, grain, shift)
            kpis = [changed] if changed else self.before.values()
            scans = [
                self._scan(kpi)
                for kpi in kpis
                if kpi.source == name and kpi.shift_days == shift and not kpi.needs_rows
            ]
            moments = list({moment: None for scan in scans if scan for moment in scan.moments})
            found = walk(rows, moments, period, len(self.starts[grain]))
            self.walked[key] = rows, period, {one: found[:, :, i] for i, one in enumerate(moments)}
        return self.walked[key]

    def _others(self, kpi: Kpi, role: str, grain: str, place: int, concerned_now: float) -> float:
        """What everybody adds who has no row that differs."""
        import numpy as np

        roles, grains = self.tonight.whole[kpi.id]
        starts, sums = grains[grain]
        whole = float(sums[starts == np.datetime64(self.starts[grain][place]), roles[role]][0])
        rest = whole - concerned_now
        return 0.0 if abs(rest) <= CLOSE * max(1.0, abs(whole)) else rest

    def _of_rows(self, kpi: Kpi, grain: str, place: int) -> Path | None:
        import numpy as np

        name = f"{kpi.source}/{kpi.id}"
        if name not in self.compared:
            return None
        rows, period = self._rows(name, True, grain, 0)
        rows = rows.take(period == place)
        values: list[float] = []
        for number in range(STATES):
            if number and number - 1 not in rows.steps:
                values.append(values[-1])
                continue
            unit, measures = rows.state(number)
            there = ~np.isnan(measures[:, 0])
            _, code = np.unique(unit[there], return_inverse=True)
            part = {"x": measures[there, 0], "event": measures[there, 1], "unit": code}
            whole = kpi.model_copy(update={"min_n": 0})
            none = not there.any()
            values.append(
                NOTHING if none else float(estimate_groups(whole, np.zeros_like(code), part)["value"][0])
            )
        return Path([*values, values[-1]], *_behind(rows, [0, 1]))

    def _rows(self, name: str, everybody: bool, grain: str, shift: int) -> tuple[Rows, Numbers]:
        """Rows of the periods of a grain, and the period of each."""
        import numpy as np

        if (name, everybody) not in self.read:
            self.read[name, everybody] = read_rows(self.wh, *self.compared[name], everybody)
        rows = self.read[name, everybody]
        since = self.compared[name][0].since
        period = np.full(int(rows.day.max(initial=0)) + 1, -1)
        as_of = self.tonight.scope.as_of
        for place, start in enumerate(self.starts[grain]):
            first, last = ((day - since).days - shift for day in bounds(grain, start, as_of))
            period[max(first, 0) : max(last + 1, 0)] = place
        numbers = period[rows.day]
        return rows.take(numbers >= 0), numbers[numbers >= 0]


def _divided(kpi: Kpi, top: Path, bottom: Path) -> Path:
    none: frozenset[int] = frozenset()
    pairs = zip(top.values, bottom.values, strict=True)
    values = [kpi.scale * a / b + kpi.offset if b else NOTHING for a, b in pairs]
    rows, units = (
        {at: one.get(at, none) | other.get(at, none) for at in range(len(REASONS))}
        for one, other in ((top.rows, bottom.rows), (top.units, bottom.units))
    )
    return Path(values, rows, units)


def _behind(rows: Rows, measures: Sequence[int]) -> tuple[Behind, Behind]:
    """Rows that differ in these measures, and whose they are, by reason."""
    some = rows.take(rows.chosen >= 0)
    found = concerned(some, measures)
    units = {
        at: frozenset([*some.unit_now[hit].tolist(), *some.unit_before[hit].tolist()])
        for at, hit in found.items()
    }
    return {at: frozenset(some.chosen[hit].tolist()) for at, hit in found.items()}, units


def read_rows(wh: Warehouse, counting: Counting, known: Known, everybody: bool) -> Rows:
    """Rows of a counting that differ, and the other rows of the same units (or of everybody)."""
    import numpy as np

    size = len(known.measures)
    absent = "'nan'" if counting.kpi else "0"
    fill = f"[{', '.join([absent] * size)}]::DOUBLE[]"
    place = " ".join(f"WHEN '{reason}' THEN {at}" for reason, at in PLACE.items())
    whose = "" if everybody else "AND customer_id IN (SELECT unnest([unit_before, unit_now]) FROM hit) "
    table = wh.connection.sql(
        "WITH hit AS (SELECT * FROM counted_reasons WHERE source = $source), rows AS ("
        "SELECT coalesce(unit_before, unit_now) AS b, coalesce(unit_now, unit_before) AS n, day, "
        f"coalesce(before, {fill}) AS before, coalesce(now, {fill}) AS now, CASE own {place} END AS own, "
        f"CASE of_customer {place} END AS of_customer, place FROM hit UNION ALL "
        "SELECT customer_id, customer_id, day, measures, measures, 0, 0, -1 FROM kpis.counted_rows "
        "WHERE source = $source AND counted_until IS NULL AND day BETWEEN $since AND $last "
        f"{whose}AND (row_key, day) NOT IN (SELECT (row_key, day) FROM hit)) "
        "SELECT hash(b), hash(n), date_diff('day', $since, day), before, now, own, of_customer, place "
        "FROM rows",
        params={"source": counting.name, "since": counting.since, "last": min(counting.last, known.last)},
    ).to_arrow_table()
    columns = [column.combine_chunks() for column in table.columns]
    unit_before, unit_now, day, own, of, chosen = (columns[i].to_numpy() for i in (0, 1, 2, 5, 6, 7))
    before, now = (columns[i].flatten().to_numpy().reshape(-1, size) for i in (3, 4))
    tells = np.array(of_customer(counting, known.measures), dtype=bool)
    return Rows(unit_before, unit_now, day.astype(np.int64), before, now, own, of, tells, chosen)
