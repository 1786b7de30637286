"""The receipt of a number: definition, SQL, inputs and the rows whose re-aggregation gives it again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.catalogue import Catalogue, load_catalogue
from cja_pipeline.kpis.compiler import Scope, measure_sql, rows_sql
from cja_pipeline.kpis.describe import formula, interval_of, unit_of
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import load_sources, load_sources_file
from cja_pipeline.kpis.kpi_values import read_scope
from cja_pipeline.kpis.periods import bounds
from cja_pipeline.kpis.recompute import recompute
from cja_pipeline.kpis.row_kpis import rows_of
from cja_pipeline.kpis.unit_rows import NOT_SET
from cja_pipeline.sql import literal
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 1e-6
SMALL_GROUP = "suppressed_small_n"
MOST_NAMED = 20  # values of a slice in a message
# for a source that has not been delivered yet
NO_ROWS = (
    "select cast(null as varchar) as kpi_row, cast(null as varchar) as kpi_unit, "
    "cast(null as timestamp) as kpi_day, cast(null as double) as numerator where false"
)


class NoSuchNumberError(LookupError):
    """There is no published number for the question; the message says what there is."""


@dataclass
class Receipt:
    """Why a number is what it is.

    `rows` has one row per counted row of the source (kpi_row, kpi_unit, kpi_day, what it adds); for a
    derived KPI it is empty and `parts` holds the receipts of both halves. `recomputed` is what the rows add
    up to now; `agrees` says whether that is the published value. Where the number is `withheld`, its rows
    give it away: they are for authorised eyes only, and are not shown.
    """

    kpi: Kpi
    definition: dict[str, Any]
    published: dict[str, Any]
    sql: str
    tables: list[dict[str, Any]]
    rows: pd.DataFrame
    recomputed: float | None
    agrees: bool
    parts: list[Receipt] = field(default_factory=list)

    @property
    def withheld(self) -> bool:
        """Whether the number is of so few people that it is not shown."""
        return bool(self.published["null_reason"] == SMALL_GROUP)

    def as_dict(self, limit: int = 20, *, public: bool = False) -> dict[str, Any]:
        """Everything but the full rows, for printing or JSON; at most `limit` rows are included, and with
        `public` nothing of a number that is withheld."""
        shown = not (public and self.withheld)
        return {
            **{name: getattr(self, name) for name in ("definition", "published", "sql", "tables")},
            "recomputed": self.recomputed if shown else None,
            "agrees": self.agrees,
            "row_count": len(self.rows) if shown else None,
            "rows": self.rows.head(limit).to_dict("records") if shown else [],
            "parts": [part.as_dict(limit, public=public) for part in self.parts] if shown else [],
        }


def explain_kpi(
    wh: Warehouse,
    kpi_id: str,
    day: dt.date | None = None,
    grain: str = "day",
    dimension: str = "all",
    dimension_value: str = "all",
) -> Receipt:
    """The receipt of one published number.

    Args:
        day: any business day of the period; default the newest period of `grain`.
        grain: day, week, month or rolling_28d.
        dimension, dimension_value: the slice, for example "device", "mobile".

    Raises:
        KeyError: there is no such KPI. NoSuchNumberError: it has no row for that period and slice.
    """
    catalogue = load_catalogue()
    kpi = catalogue[kpi_id]
    scope, _ = read_scope(wh)
    published = _published(wh, kpi, day, grain, dimension, dimension_value, scope)
    period = (published["period_start"], published["period_end"])
    definition = {
        "kpi_id": kpi.id,
        "label": kpi.label,
        "description": kpi.description,
        "formula": formula(kpi),
        "kind": kpi.kind,
        "unit": unit_of(kpi),
        "window_days": kpi.window_days,
        "interval": interval_of(kpi),
        "smallest_n": kpi.smallest_n,
        "owner": kpi.owner,
        "version": kpi.version,
        "definition_hash": catalogue.definition_hash(kpi),
    }
    tables = [_table(wh, name) for name in catalogue.tables(kpi)]
    if kpi.kind == "derived":
        return _derived(wh, catalogue, kpi, definition, published, tables)
    sql = receipt_sql(kpi, scope, period, dimension, dimension_value)
    rows = _rows(wh, sql) if wh.exists(load_sources()[str(kpi.source)].table) else _rows(wh, NO_ROWS)
    recomputed = recompute(kpi, rows)
    return Receipt(kpi, definition, published, sql, tables, rows, recomputed, _agree(published, recomputed))


def _rows(wh: Warehouse, sql: str) -> pd.DataFrame:
    rows = wh.df(sql)
    rows["kpi_day"] = rows["kpi_day"].dt.date
    return rows


def receipt_sql(
    kpi: Kpi, scope: Scope, period: tuple[dt.date, dt.date], dimension: str = "all", value: str = "all"
) -> str:
    """SELECT of the rows behind one number, one per counted row of the source, in a fixed order."""
    source = load_sources()[str(kpi.source)]
    first, last = period
    name = dimension if kpi.needs_rows else f"kpi_{dimension}"
    given = f"coalesce(nullif({name}, ''), '{NOT_SET}')" if value == NOT_SET else name
    chosen = f"\n  and {given} = {literal(value)}" if dimension != "all" else ""
    if kpi.needs_rows:
        inner = rows_of(kpi, source, scope)
        return (
            "select kpi_row, kpi_unit, day as kpi_day, dense_rank() over (order by kpi_unit) as unit, "
            "x, event\n"
            f"from (\n{inner}\n) counted\n"
            f"where day between date '{first}' and date '{last}' and x is not null{chosen}\norder by kpi_row"
        )
    columns = [f"{measure_sql(kpi, _expression(kpi, 'numerator', scope), scope)} as numerator"]
    for name in ("denominator", "model_low", "model_high"):
        if getattr(kpi, name):
            columns.append(f"{measure_sql(kpi, _expression(kpi, name, scope), scope)} as {name}")
    shift = dt.timedelta(days=kpi.shift_days)
    newest = min(last - shift, scope.as_of - dt.timedelta(days=max(kpi.maturity_days, kpi.shift_days)))
    where = kpi.expression("where", scope.age)
    condition = f"\n  and ({where})" if where else ""
    return (
        f"select kpi_row, kpi_unit, kpi_day, {', '.join(columns)}\n"
        f"from (\n{rows_sql(source, scope, [dimension])}\n) counted\n"
        f"where kpi_day between date '{first - shift}' and date '{newest}'{condition}{chosen}\n"
        "order by kpi_row"
    )


def _expression(kpi: Kpi, name: str, scope: Scope) -> str:
    return str(kpi.expression(name, scope.age))


def _derived(
    wh: Warehouse,
    catalogue: Catalogue,
    kpi: Kpi,
    definition: dict[str, Any],
    published: dict[str, Any],
    tables: list[dict[str, Any]],
) -> Receipt:
    import pandas as pd

    where = (
        published["period_end"],
        published["grain"],
        published["dimension"],
        published["dimension_value"],
    )
    parts = [explain_kpi(wh, part.id, *where) for part in catalogue.parts(kpi)]
    top, bottom = (part.recomputed for part in parts)
    value = kpi.scale * top / bottom + kpi.offset if top is not None and bottom else None
    sql = f"-- {formula(kpi)}: see the parts"
    if published["null_reason"] == SMALL_GROUP:
        value = None
    agrees = all(part.agrees for part in parts) and _agree(published, value)
    return Receipt(kpi, definition, published, sql, tables, pd.DataFrame(), value, agrees, parts)


def _published(
    wh: Warehouse, kpi: Kpi, day: dt.date | None, grain: str, dimension: str, value: str, scope: Scope
) -> dict[str, Any]:
    """The row as others may see it: what is withheld from the published table is null here, too."""
    start, _ = bounds(grain, day or scope.as_of, scope.as_of)
    withheld = ", ".join(
        f"case when {spec.withheld_when} then null else {column} end as {column}"
        for column, spec in TABLES["kpis.kpi_values"].columns.items()
        if spec.withheld_when
    )
    rows = wh.df(
        f"select * replace ({withheld}) from kpis.kpi_values where kpi_id = ? and grain = ? "
        "and period_start = ? and dimension = ? and dimension_value = ?",
        [kpi.id, grain, start, dimension, value],
    )
    if rows.empty:
        dimensions = load_catalogue().dimensions(kpi)
        split = ", ".join(dimensions) or "nothing"
        if dimension not in ("all", *dimensions):
            raise NoSuchNumberError(f"{kpi.id} is not split by {dimension!r}; it is split by {split}.")
        ends = "from kpis.kpi_values where kpi_id = ? and grain = ?"
        known = [wh.scalar(f"select {end}(period_start) {ends}", [kpi.id, grain]) for end in ("min", "max")]
        grains = load_sources_file().slice_grains.get(dimension)
        slow = f" ({dimension} only by {', '.join(grains)})" if grains else ""
        raise NoSuchNumberError(
            f"{kpi.id} has no {grain} of {start} for {dimension} = {value}; its {grain}s go from {known[0]} "
            f"to {known[1]}, and it is split by {split}{slow}.{_values(wh, kpi, grain, start, dimension)}"
        )
    row = {name: _plain(entry) for name, entry in rows.iloc[0].to_dict().items()}
    return row


def _values(wh: Warehouse, kpi: Kpi, grain: str, start: dt.date, dimension: str) -> str:
    """A sentence with the values of a slice, largest first; none if it is not split that way."""
    found = wh.sql(
        "select dimension_value from kpis.kpi_values where kpi_id = ? and grain = ? and period_start = ? "
        "and dimension = ? order by n desc, dimension_value",
        [kpi.id, grain, start, dimension],
    ).fetchall()
    names = [str(value) for (value,) in found]
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f" Values of {dimension} there: {', '.join(names[:MOST_NAMED])}{more}." if names else ""


def _table(wh: Warehouse, name: str) -> dict[str, Any]:
    """An input table: its rows, and what its checks said last."""
    found: dict[str, Any] = {"table": name, "rows": wh.count(name) if wh.exists(name) else None}
    if wh.exists("quality.results"):
        runs = wh.sql(
            "select run_id, count(*), count(*) filter (where not passed) from quality.results "
            "where table_name = ? group by run_id order by max(checked_at) desc, run_id limit 1",
            [name],
        ).fetchall()
        for run_id, checks, failed in runs:
            found |= {"checks": checks, "checks_failed": failed, "run_id": run_id}
    return found


def _agree(published: dict[str, Any], again: float | None) -> bool:
    value = published["value"]
    if value is None:
        # a period that was not delivered or not old enough has no value, whatever its few rows add up to
        return again is None or published["null_reason"] in ("incomplete", "immature")
    return again is not None and abs(value - again) <= CLOSE * max(1.0, abs(value))


def _plain(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, pd.Timestamp):
        return value.date()
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return value.item() if hasattr(value, "item") else value
