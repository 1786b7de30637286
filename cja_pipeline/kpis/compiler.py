"""From the catalogue to few scans: what each row of a source adds, and the moments over units that KPIs need.

One *scan* reads a source once for all its KPIs. `unit_sums` then adds rows up by unit, period and slice and
takes the moments over units. Distinct people therefore come out right at every grain: nobody's days are added
up as if they were people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import SEGMENT, SEGMENT_TABLE, Source
from cja_pipeline.kpis.unit_sums import Moment, Total

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


@dataclass(frozen=True)
class Plan:
    """Where a KPI's sums are in the result of its scan: role -> number of the moment."""

    kpi: Kpi
    moments: dict[str, int]


@dataclass
class Scan:
    """All KPIs that are computed from one pass over one source."""

    source: Source
    scope: Scope
    shift_days: int
    maturity_days: int
    plans: list[Plan] = field(default_factory=list)
    measures: dict[str, int] = field(default_factory=dict)
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
        return self.moments.setdefault(Moment(left, right), len(self.moments))

    def sql(self, first: dt.date) -> str:
        """SELECT of ``unit, day`` (days since `first`, on which the row is reported), the dimensions and the
        measures of every row."""
        oldest = first - dt.timedelta(days=self.shift_days)
        slices = [f"kpi_{name}" for name in self.scope.dimensions(self.source)]
        measures = [f"{text} as m{number}" for text, number in self.measures.items()]
        return (
            f"select hash(kpi_unit) as unit, cast(kpi_day - date '{oldest}' as integer) as day, "
            f"{', '.join([*slices, *measures])}\n"
            f"from (\n{rows_sql(self.source, self.scope)}\n) r\n"
            f"where kpi_day between date '{oldest}' and date '{self.last_row_day}'"
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
