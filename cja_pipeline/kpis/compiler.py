"""From the catalogue to few scans: what each row of a source adds, and the moments over units that KPIs need.

A source is read once for all its KPIs. `unit_sums` then adds rows up by unit, period and slice and takes the
moments over units, in one *scan* per window and maturity. Distinct people therefore come out right at every
grain: nobody's days are added up as if they were people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import SEGMENT, SEGMENT_TABLE, Source
from cja_pipeline.kpis.unit_rows import UnitRows
from cja_pipeline.kpis.unit_sums import Moment, Total, product

WITH_MOMENTS = ("ratio", "mean", "per_unit", "proportion")


def business_day(column: str, zone: str = "p.kpi_zone") -> str:
    """SQL for the day, in the shop's zone, of a UTC timestamp column."""
    return f"cast(timezone({zone}, timezone('UTC', {column})) as date)"


@dataclass(frozen=True)
class Scope:
    """What a compilation depends on besides the catalogue: the last day and whether segments are known.

    `held` maps the text of a source that is read several times to the table where its rows are.
    """

    as_of: dt.date
    segments: bool = False
    held: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def age(self) -> str:
        """SQL for the days between a row's day and the last day."""
        return f"date_diff('day', kpi_day, date '{self.as_of}')"

    def dimensions(self, source: Source) -> list[str]:
        """Dimensions that the rows of a source can be split by today."""
        return [name for name in source.slices if name != SEGMENT or self.segments]


def rows_sql(source: Source, scope: Scope, names: Sequence[str] | None = None) -> str:
    """SELECT of a source's rows with ``kpi_row``, ``kpi_unit``, ``kpi_day`` and ``kpi_<dimension>``.

    `names` limits the dimensions; default all of them. Empty values are named when they are read.
    """
    wanted = scope.dimensions(source) if names is None else names
    unit = f"cast(s.{source.unit} as varchar)" if source.unit else "cast(null as varchar)"
    day = (source.day and f"s.{source.day}") or business_day(f"s.{source.at}")
    columns = [
        f"{source.key} as kpi_row",
        f"coalesce({unit}, concat('row/', {source.key})) as kpi_unit",
        f"{day} as kpi_day",
    ]
    columns += [
        f"cast({text} as varchar) as kpi_{name}" for name, text in source.dimensions.items() if name in wanted
    ]
    joins = ["cross join (select time_zone as kpi_zone from config.params) p"]
    if SEGMENT in wanted:
        columns.append(f"coalesce(v.kpi_rfm, 'no_order') as kpi_{SEGMENT}")
        joins.append(
            "left join (select customer_id as kpi_customer, rfm_segment as kpi_rfm "
            f"from {SEGMENT_TABLE}) v on v.kpi_customer = s.{source.unit}"
        )
    where = f"\nwhere {source.where}" if source.where else ""
    return (
        f"select s.*, {', '.join(columns)}\nfrom {scope.held.get(source.text, source.text)} s\n"
        + "\n".join(joins)
        + where
    )


@dataclass(frozen=True)
class Plan:
    """Where a KPI's sums are in the result of its scan: role -> number of the moment."""

    kpi: Kpi
    moments: dict[str, int]


@dataclass
class Scan:
    """All KPIs of one source, window and maturity. Scans of one source share its measures: see `Reading`."""

    source: Source
    scope: Scope
    shift_days: int
    maturity_days: int
    measures: dict[str, int]
    plans: list[Plan] = field(default_factory=list)
    moments: dict[Moment, int] = field(default_factory=dict)

    @property
    def last_row_day(self) -> dt.date:
        """Newest day of rows that are old enough to count."""
        return self.scope.as_of - dt.timedelta(days=max(self.maturity_days, self.shift_days))

    def add(self, kpi: Kpi) -> None:
        """Plan a KPI's sums."""
        roles: dict[str, int] = {}
        if kpi.kind == "nps":
            score = self._text(kpi, "numerator")
            roles["promoters"] = self._moment(self._sum(kpi, f"({score}) >= 9"))
            roles["detractors"] = self._moment(self._sum(kpi, f"({score}) <= 6"))
            roles["d"] = roles["units"] = self._moment(self._sum(kpi, "1"))
            self.plans.append(Plan(kpi, roles))
            return
        n = self._sum(kpi, self._text(kpi, "numerator"))
        d = self._sum(kpi, self._denominator(kpi)) if kpi.denominator else None
        if kpi.kind == "distinct":
            n = Total("any", n.measure)
        elif kpi.kind == "proportion" and d:
            n, d = Total("both", n.measure, d.measure), Total("any", d.measure)
        elif kpi.kind == "per_unit" and d:
            n, d = Total("where", n.measure, d.measure), Total("any", d.measure)
        roles["n"] = self._moment(n)
        # a sum may be 0 for a customer who has rows (a refunded order): they count all the same
        rows = self._sum(kpi, "1") if kpi.kind == "sum" or kpi.format == "money" else None
        counted = rows if rows and kpi.kind == "sum" else d or n
        roles["units"] = self._moment(counted._replace(kind="some") if counted.kind == "sum" else counted)
        if d:
            roles["d"] = self._moment(d)
        if kpi.kind in (*WITH_MOMENTS, "count", "sum") and kpi.interval != "none":
            roles["nn"] = self._moment(n, n)
            if d:
                roles["dd"], roles["nd"] = self._moment(d, d), self._moment(n, d)
        if rows and kpi.format == "money":
            missing = f"({self._text(kpi, 'numerator')}) is null"
            roles["missing"], roles["rows"] = self._moment(self._sum(kpi, missing)), self._moment(rows)
        for name in ("model_low", "model_high"):
            if getattr(kpi, name):
                roles[name] = self._moment(self._sum(kpi, self._text(kpi, name)))
        self.plans.append(Plan(kpi, roles))

    def _text(self, kpi: Kpi, name: str) -> str:
        return str(kpi.expression(name, self.scope.age))

    def _denominator(self, kpi: Kpi) -> str:
        text = self._text(kpi, "denominator")
        if kpi.format == "money":
            # an order of unknown worth is neither above nor below the line
            return f"case when ({self._text(kpi, 'numerator')}) is not null then {text} end"
        return text

    def _sum(self, kpi: Kpi, text: str) -> Total:
        where = kpi.expression("where", self.scope.age)
        # yes and no take an eighth of the room of a number
        size = "utinyint" if text == "1" or self._is_condition(text) else "double"
        number = f"cast(({text}) as {size})"
        number = f"case when {where} then {number} end" if where else number
        return Total("sum", self.measures.setdefault(f"coalesce({number}, 0)", len(self.measures)))

    def _is_condition(self, text: str) -> bool:
        return self.source.bind(text.replace(self.scope.age, "0")) == "BOOLEAN"

    def _moment(self, left: Total, right: Total | None = None) -> int:
        moment = product(left, right) if right else Moment(left)
        return self.moments.setdefault(moment, len(self.moments))


@dataclass
class Reading:
    """All scans of one source, whose rows are read once."""

    scans: list[Scan]

    @property
    def source(self) -> Source:
        return self.scans[0].source

    @property
    def shift_days(self) -> int:
        """The longest shift: rows are read from so many days before the first that is measured."""
        return max(scan.shift_days for scan in self.scans)

    def sql(self, first: dt.date, dimensions: Sequence[str]) -> str:
        """SELECT of ``unit, day`` (days since `first` less `shift_days`, the row's own), the dimensions and
        the measures of every row."""
        oldest = first - dt.timedelta(days=self.shift_days)
        last = max(scan.last_row_day for scan in self.scans)
        slices = [f"kpi_{name}" for name in dimensions]
        measures = [f"{text} as m{number}" for text, number in self.scans[0].measures.items()]
        return (
            f"select hash(kpi_unit) as unit, cast(kpi_day - date '{oldest}' as integer) as day, "
            f"{', '.join([*slices, *measures])}\n"
            f"from (\n{rows_sql(self.source, self.scans[0].scope, dimensions)}\n) r\n"
            f"where kpi_day between date '{oldest}' and date '{last}'"
        )

    def rows_of(self, scan: Scan, rows: UnitRows, first: dt.date) -> UnitRows:
        """The rows that one scan counts, by the day (since `first`) on which they are reported."""
        begin = self.shift_days - scan.shift_days
        last = (scan.last_row_day - first).days + self.shift_days
        return rows.between(begin, last)


def measure_sql(kpi: Kpi, text: str, scope: Scope) -> str:
    """SQL for what one row adds to a KPI: the expression as a number where the KPI's condition holds."""
    number = f"cast(({text}) as double)"
    where = kpi.expression("where", scope.age)
    return f"case when {where} then {number} end" if where else number


def plan_readings(kpis: Sequence[Kpi], sources: dict[str, Source], scope: Scope) -> list[Reading]:
    """What to read for all KPIs that are sums over units (all kinds but quantile, survival, derived)."""
    scans: dict[tuple[str, int, int], Scan] = {}
    readings: dict[str, Reading] = {}
    for kpi in kpis:
        if kpi.needs_rows or kpi.kind == "derived":
            continue
        key = (str(kpi.source), kpi.shift_days, kpi.maturity_days)
        if key not in scans:
            reading = readings.setdefault(key[0], Reading([]))
            shared = reading.scans[0].measures if reading.scans else {}
            scans[key] = Scan(sources[key[0]], scope, kpi.shift_days, kpi.maturity_days, shared)
            reading.scans.append(scans[key])
        scans[key].add(kpi)
    return list(readings.values())
