"""From the catalogue to few scans: per-unit sums with second moments for every KPI, grain and slice.

One *scan* reads a source once for all its KPIs and keeps sums per unit, day and slice ("atoms"). One query
per grain then sums atoms per unit and period with GROUPING SETS over the slices, and takes the moments over
units. Distinct people therefore come out right at every grain: nobody's days are added up as if they were
people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import SEGMENT, SEGMENT_TABLE, Source
from cja_pipeline.kpis.periods import CALENDAR

ATOMS = "kpi_atoms"
NOT_SET = "(not set)"
WITH_MOMENTS = ("ratio", "mean", "per_unit", "proportion")


def business_day(column: str, zone: str = "p.kpi_zone") -> str:
    """SQL for the day, in the shop's zone, of a UTC timestamp column."""
    return f"cast(timezone({zone}, timezone('UTC', {column})) as date)"


@dataclass(frozen=True)
class Scope:
    """What a compilation depends on besides the catalogue: the last day and whether segments are known."""

    as_of: dt.date
    segments: bool = False

    @property
    def age(self) -> str:
        """SQL for the days between a row's day and the last day."""
        return f"date_diff('day', kpi_day, date '{self.as_of}')"

    def dimensions(self, source: Source) -> list[str]:
        """Dimensions that the rows of a source can be split by today."""
        return [name for name in source.slices if name != SEGMENT or self.segments]


def rows_sql(source: Source, scope: Scope, names: Sequence[str] | None = None) -> str:
    """SELECT of a source's rows with ``kpi_row``, ``kpi_unit``, ``kpi_day`` and ``kpi_<dimension>``.

    `names` limits the dimensions; default all of them.
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
        f"coalesce(nullif(cast({text} as varchar), ''), '{NOT_SET}') as kpi_{name}"
        for name, text in source.dimensions.items()
        if name in wanted
    ]
    joins = ["cross join (select time_zone as kpi_zone from config.params) p"]
    if SEGMENT in wanted:
        columns.append(f"coalesce(v.kpi_rfm, 'no_order') as kpi_{SEGMENT}")
        joins.append(
            "left join (select customer_id as kpi_customer, rfm_segment as kpi_rfm "
            f"from {SEGMENT_TABLE}) v on v.kpi_customer = s.{source.unit}"
        )
    where = f"\nwhere {source.where}" if source.where else ""
    return f"select s.*, {', '.join(columns)}\nfrom {source.text} s\n" + "\n".join(joins) + where


@dataclass
class Columns:
    """Expressions by alias, each distinct text once."""

    prefix: str
    found: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> str:
        return self.found.setdefault(text, f"{self.prefix}{len(self.found)}")

    def select(self) -> str:
        return "".join(f",\n  {text} as {alias}" for text, alias in self.found.items())


@dataclass(frozen=True)
class Plan:
    """Where a KPI's sums are in the result of its scan: role -> column."""

    kpi: Kpi
    columns: dict[str, str]


@dataclass
class Scan:
    """All KPIs that are computed from one pass over one source."""

    source: Source
    scope: Scope
    shift_days: int
    maturity_days: int
    plans: list[Plan] = field(default_factory=list)
    measures: Columns = field(default_factory=lambda: Columns("m"))
    moments: Columns = field(default_factory=lambda: Columns("a"))

    @property
    def last_row_day(self) -> dt.date:
        """Newest day of rows that are old enough to count."""
        return self.scope.as_of - dt.timedelta(days=max(self.maturity_days, self.shift_days))

    def add(self, kpi: Kpi) -> None:
        """Plan a KPI's sums."""
        roles: dict[str, str] = {}
        if kpi.kind == "nps":
            roles["promoters"] = self._sum(self._measure(kpi, f"({self._text(kpi, 'numerator')}) >= 9"))
            roles["detractors"] = self._sum(self._measure(kpi, f"({self._text(kpi, 'numerator')}) <= 6"))
            roles["d"] = self._sum(self._measure(kpi, "1"))
            roles["units"] = roles["d"]
            self.plans.append(Plan(kpi, roles))
            return
        numerator = self._text(kpi, "numerator")
        n = self._measure(kpi, numerator)
        d = self._measure(kpi, self._denominator(kpi)) if kpi.denominator else None
        has_n, has_d = f"case when {n} > 0 then 1 else 0 end", f"case when {d} > 0 then 1 else 0 end"
        if kpi.kind == "distinct":
            n = has_n
        elif kpi.kind == "proportion":
            n, d = f"case when {d} > 0 and {n} > 0 then 1 else 0 end", has_d
        elif kpi.kind == "per_unit":
            n, d = f"case when {d} > 0 then {n} else 0 end", has_d
        roles["n"] = self._sum(n)
        # a sum may be 0 for a customer who has rows (a refunded order): they count all the same
        rows = self._measure(kpi, "1") if kpi.kind == "sum" or kpi.format == "money" else ""
        roles["units"] = self._sum(
            f"case when {rows if kpi.kind == 'sum' else d or n} <> 0 then 1 else 0 end"
        )
        if d:
            roles["d"] = self._sum(d)
        if kpi.kind in (*WITH_MOMENTS, "count", "sum") and kpi.interval != "none":
            roles["nn"] = self._sum(f"{n} * {n}")
            if d:
                roles["dd"], roles["nd"] = self._sum(f"{d} * {d}"), self._sum(f"{n} * {d}")
        if kpi.format == "money":
            missing = f"case when ({numerator}) is null then 1 else 0 end"
            roles["missing"] = self._sum(self._measure(kpi, missing))
            roles["rows"] = self._sum(rows)
        for name in ("model_low", "model_high"):
            if getattr(kpi, name):
                roles[name] = self._sum(self._measure(kpi, self._text(kpi, name)))
        self.plans.append(Plan(kpi, roles))

    def _text(self, kpi: Kpi, name: str) -> str:
        return str(kpi.expression(name, self.scope.age))

    def _denominator(self, kpi: Kpi) -> str:
        text = self._text(kpi, "denominator")
        if kpi.format == "money":
            # an order of unknown worth is neither above nor below the line
            return f"case when ({self._text(kpi, 'numerator')}) is not null then {text} end"
        return text

    def _measure(self, kpi: Kpi, text: str) -> str:
        return self.measures.add(f"coalesce(sum({measure_sql(kpi, text, self.scope)}), 0)")

    def _sum(self, text: str) -> str:
        return self.moments.add(f"cast(sum({text}) as double)")

    # --- SQL ---------------------------------------------------------------------------------------
    def atoms_sql(self, first: dt.date) -> str:
        """SELECT of the sums per unit, reporting day and slice of all KPIs, from reporting day `first` on."""
        slices = [f"kpi_{name} as {name}" for name in self.scope.dimensions(self.source)]
        day = f"kpi_day + {self.shift_days}" if self.shift_days else "kpi_day"
        oldest = first - dt.timedelta(days=self.shift_days)
        return (
            f"select {', '.join([f'{day} as day', 'kpi_unit as unit', *slices])}{self.measures.select()}\n"
            f"from (\n{rows_sql(self.source, self.scope)}\n) r\n"
            f"where kpi_day between date '{oldest}' and date '{self.last_row_day}'\n"
            "group by all"
        )

    def grain_sql(self, grain: str, dimensions: Sequence[str]) -> str:
        """SELECT of the moments per period and slice of one grain, from the atoms."""
        names = list(self.measures.found.values())
        sums = ", ".join(f"sum({name}) as {name}" for name in names)
        sets = ", ".join(["(period, unit)"] + [f"(period, unit, {name})" for name in dimensions])
        cases = " ".join(f"when {name} is not null then '{name}'" for name in dimensions)
        which = f"case {cases} else 'all' end" if dimensions else "'all'"
        value = f"coalesce({', '.join([*dimensions, repr('all')])})"
        listed = "".join(f", {name}" for name in dimensions)
        return (
            f"with dated as (\n  select c.{grain} as period, a.* from {ATOMS} a "
            f"join {CALENDAR} c on c.day_of = a.day where c.{grain} is not null\n),\n"
            f"units as (\n  select period, unit{listed}, {sums}\n"
            f"  from dated group by grouping sets ({sets})\n)\n"
            f"select period, {which} as dimension, {value} as dimension_value{self.moments.select()}\n"
            "from units group by all"
        )


def measure_sql(kpi: Kpi, text: str, scope: Scope) -> str:
    """SQL for what one row adds to a KPI: the expression as a number where the KPI's condition holds."""
    number = f"cast(({text}) as double)"
    where = kpi.expression("where", scope.age)
    return f"case when {where} then {number} end" if where else number


def plan_scans(kpis: Sequence[Kpi], sources: dict[str, Source], scope: Scope) -> list[Scan]:
    """The scans for all KPIs that are sums over units (all kinds but quantile, survival, derived)."""
    scans: dict[tuple[str, int, int], Scan] = {}
    for kpi in kpis:
        if kpi.kind in ("quantile", "survival", "derived"):
            continue
        key = (str(kpi.source), kpi.shift_days, kpi.maturity_days)
        if key not in scans:
            scans[key] = Scan(sources[key[0]], scope, kpi.shift_days, kpi.maturity_days)
        scans[key].add(kpi)
    return list(scans.values())
