"""Sums over units with their second moments, for every period and slice, from rows that are read once.

A unit (a customer) may have several rows in a period, and they must be added up before they are squared or
asked whether there are any: people are never counted by their days. Most units have one row in most groups,
though, and there a row is the unit's sum. So each moment is first taken of every row and added up, for all
periods and slices at once; then the groups of several rows are corrected by the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from cja_pipeline.kpis.unit_rows import begins, numbered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.unit_rows import UnitRows

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]
    Wanted = Mapping[str, Sequence[str]]

WHOLE = "all"


class Total(NamedTuple):
    """What a unit comes to: a measure's sum (`sum`); 1 where that is positive (`any`) or not zero (`some`);
    1 where those of two measures are (`both`); the first sum where the second is positive (`where`)."""

    kind: Literal["sum", "any", "some", "both", "where"]
    measure: int
    other: int = -1


class Moment(NamedTuple):
    """A total, or the product of two, added up over units."""

    left: Total
    right: Total | None = None

    @property
    def is_linear(self) -> bool:
        """Whether rows can be added up one by one."""
        return self.right is None and self.left.kind == "sum"


def product(left: Total, right: Total) -> Moment:
    """The moment of a product, as the total that it comes to where it is one: yes and yes is yes."""
    if left == right and left.kind in ("any", "some", "both"):
        return Moment(left)
    if left.kind in ("both", "where") and right == Total("any", left.other):
        return Moment(left)
    return Moment(left, right)


def measures_of(moments: Iterable[Moment]) -> list[int]:
    """The places of the measures that moments are of."""
    totals = [total for moment in moments for total in moment if total]
    return sorted({place for total in totals for place in (total.measure, total.other) if place >= 0})


class Cells(NamedTuple):
    """Moments of one grain and dimension: ``place`` is value x periods + period; no empty cells."""

    place: Numbers
    sums: Floats  # shape (cells, moments)


def sum_units(
    rows: UnitRows,
    moments: Sequence[Moment],
    periods: Mapping[str, Numbers],
    wanted: Wanted,
) -> dict[str, dict[str, Cells]]:
    """All moments by grain, dimension and period.

    Args:
        rows: one per unit, day and slice, as `UnitRows.added_up` makes them.
        periods: per grain, the number of the period of each day, -1 where none is kept.
        wanted: per grain, the dimensions besides the whole.
    """
    import numpy as np

    bent = [i for i, moment in enumerate(moments) if not moment.is_linear]
    if not len(rows.unit):
        nothing = Cells(np.zeros(0, np.int64), np.zeros((0, len(moments))))
        return {grain: dict.fromkeys((WHOLE, *names), nothing) for grain, names in wanted.items()}
    found: dict[str, dict[str, Cells]] = {}
    daily = _Daily(rows, moments)
    for grain, names in wanted.items():
        period = periods[grain]
        count = int(period.max(initial=-1)) + 1
        sums = {name: daily.sums(name, period, count) for name in (WHOLE, *names)}
        for name, place, change in _changes(rows, [moments[i] for i in bent], period, count, list(sums)):
            for i, more in zip(bent, _spread(place, len(sums[name][-1]) + 1, change), strict=True):
                sums[name][i] += more[:-1]
        found[grain] = {}
        for name, total in sums.items():
            there = np.flatnonzero(total[-1])
            found[grain][name] = Cells(there, np.array([row[there] for row in total[:-1]]).T)
    return found


class _Daily:
    """Every moment of single rows by day and slice; the last of them says how many rows there are."""

    def __init__(self, rows: UnitRows, moments: Sequence[Moment]) -> None:
        import numpy as np

        self.rows, self.slices = rows, rows.slices
        key = rows.day.astype(np.int64) * self.slices + rows.slice
        cells, place = numbered(key, (int(rows.day.max()) + 1) * self.slices)
        self.day, self.slice = np.divmod(cells, self.slices)
        ones = np.ones(len(place))
        self.cells = _spread(place, len(cells), (*evaluate(moments, rows.measures), ones))
        self.known: dict[str, tuple[Numbers, Numbers, list[Floats]]] = {}

    def sums(self, name: str, period: Numbers, count: int) -> list[Floats]:
        """By moment, of values x periods."""
        import numpy as np

        if name not in self.known:
            # by day first: all grains are made of days
            key = self.rows.value(name, self.slice) * len(period) + self.day
            places, place = numbered(key, self.rows.values(name) * len(period))
            value, day = np.divmod(places, len(period))
            self.known[name] = value, day, _spread(place, len(places), self.cells)
        value, day, cells = self.known[name]
        when = period[day]
        kept = when >= 0
        if not kept.all():
            value, when, cells = value[kept], when[kept], [row[kept] for row in cells]
        return _spread(value * count + when, self.rows.values(name) * count, cells)


def _changes(
    rows: UnitRows, moments: Sequence[Moment], period: Numbers, count: int, names: Sequence[str]
) -> Iterator[tuple[str, Numbers, Floats]]:
    """Where a unit has several rows in a group: the moments of their sum, less the sum of theirs.

    Yields dimension, places (value x periods + period; one behind the last is nowhere) and what to add there,
    shape (moments, places).

    Rows are sorted by unit and day. Where all rows of a unit and period are of one slice, the group of that
    slice is the group of the whole, which is added up once.
    """
    import numpy as np

    def change(chosen: Numbers, group: Numbers) -> Floats:
        single = [measure[chosen] for measure in rows.measures]
        added = [np.bincount(group, measure).astype(float, copy=False) for measure in single]
        pairs = zip(evaluate(moments, added), evaluate(moments, single), strict=True)
        return np.array([new - np.bincount(group, old) for new, old in pairs])

    when = period[rows.day]
    kept = np.flatnonzero(when >= 0)
    chosen, group, starts = _several(kept, rows.unit[kept] * count + when[kept])
    if not len(chosen) or not moments:
        return
    whole, when, slices = change(chosen, group), when[chosen[starts]], rows.slice[chosen]
    for name in names:
        value, values = rows.value(name, slices), rows.values(name)
        first = value[starts]
        mixed = np.zeros(len(starts), dtype=bool)
        mixed[group[value != first[group]]] = True
        yield name, np.where(mixed, values * count, first * count + when), whole
        inside = np.flatnonzero(mixed[group])
        key = group[inside] * values + value[inside]
        order = np.argsort(key)
        part, parts, begin = _several(inside[order], key[order])
        if len(part):
            place = value[part[begin]] * count + when[group[part[begin]]]
            yield name, place, change(chosen[part], parts)


def _several(rows: Numbers, key: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Rows whose key others share (keys are sorted), the number of each key, and where each key begins."""
    import numpy as np

    starts = begins(key)
    size = np.diff(starts, append=len(key))
    many = size > 1
    left = size[many]
    return rows[np.repeat(many, size)], np.repeat(np.arange(len(left)), left), np.cumsum(left) - left


def _spread(place: Numbers, places: int, values: Iterable[Floats]) -> list[Floats]:
    """Rows of numbers, each added up by place."""
    import numpy as np

    return [np.bincount(place, row, places).astype(float, copy=False) for row in values]


def evaluate(moments: Sequence[Moment], measures: Sequence[Floats]) -> Iterator[Floats]:
    """The value of each moment for every row of sums; `measures` are columns."""
    import numpy as np

    known: dict[Total, Floats] = {}

    def total(asked: Total) -> Floats:
        if asked not in known:
            value = measures[asked.measure]
            if asked.kind == "any":
                value = (value > 0).astype(float)
            elif asked.kind == "some":
                value = (value != 0).astype(float)
            elif asked.kind == "both":
                value = ((value > 0) & (measures[asked.other] > 0)).astype(float)
            elif asked.kind == "where":
                value = np.where(measures[asked.other] > 0, value, 0.0)
            known[asked] = value
        return known[asked]

    for moment in moments:
        yield total(moment.left) if moment.right is None else total(moment.left) * total(moment.right)
