"""Sums over units with their second moments, for every period and slice, from rows that are read once.

A unit (a customer) may have several rows in a period, and they must be added up before they are squared or
asked whether there are any: people are never counted by their days. Most units have one row in most groups,
though, and there a row is the unit's sum. So each moment is first taken of every row and added up, for all
periods and slices at once; then the groups of several rows are corrected by the difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.unit_rows import UnitRows

    Floats = NDArray[np.float64]
    Columns = list[Floats]
    Numbers = NDArray[np.int64]
    Wanted = Mapping[str, Sequence[str]]

BLOCK = 40_000
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
        periods: per grain, the number of the period of each day, -1 where none is kept.
        wanted: per grain, the dimensions besides the whole.
    """
    import numpy as np

    sums = _Sums(rows, moments, periods, wanted)
    order = np.argsort(rows.unit)
    unit = rows.unit[order]
    starts = _starts(unit)
    cuts = starts[np.searchsorted(starts, np.arange(BLOCK, len(unit), BLOCK)).clip(max=len(starts) - 1)]
    for low, high in itertools.pairwise(np.unique([0, *cuts, len(unit)]).tolist()):
        sums.add(order[low:high], unit[low:high])
    return sums.result()


class _Sums:
    """Adds up blocks of whole units."""

    def __init__(
        self,
        rows: UnitRows,
        moments: Sequence[Moment],
        periods: Mapping[str, Numbers],
        wanted: Wanted,
    ) -> None:
        import numpy as np

        self.rows, self.moments, self.periods = rows, list(moments), dict(periods)
        self.count = {grain: int(number.max(initial=-1)) + 1 for grain, number in periods.items()}
        self.wanted = {grain: [WHOLE, *names] for grain, names in wanted.items()}
        self.slices = max((len(codes) for codes in rows.codes.values()), default=1)
        self.codes = {WHOLE: np.zeros(self.slices, np.int64), **rows.codes}
        self.values = {WHOLE: 1, **{name: len(labels) for name, labels in rows.labels.items()}}
        self.days = len(next(iter(periods.values()))) if periods else 0
        self.bent = [i for i, moment in enumerate(self.moments) if not moment.is_linear]
        # one more than there are moments: the last column says how many rows a cell has
        self.plain: list[tuple[Numbers, Floats]] = []
        self.corrections = {
            (grain, name): np.zeros((self.values[name] * self.count[grain], len(self.bent)))
            for grain, names in self.wanted.items()
            for name in names
        }

    def add(self, part: Numbers, unit: NDArray[np.uint64]) -> None:
        import numpy as np

        # one row per unit, day and slice
        number = np.concatenate([[0], np.cumsum(unit[1:] != unit[:-1])])
        cell = self.rows.day[part].astype(np.int64) * self.slices + self.rows.slice[part]
        key = number * (self.days * self.slices) + cell
        order = np.argsort(key)
        starts = _starts(key[order])
        columns = [column[part].astype(float) for column in self.rows.measures]
        measures = _added(order, starts, columns)
        number, cell = np.divmod(key[order[starts]], self.days * self.slices)
        terms = evaluate(self.moments, measures)
        places, place = np.unique(cell, return_inverse=True)
        self.plain.append((places, _spread(place, len(places), [*terms, np.ones(len(cell))])))
        several = np.bincount(number)[number] > 1
        if self.bent and several.any():
            bent = [terms[i][several] for i in self.bent]
            self._correct(number[several], cell[several], [m[several] for m in measures], bent)

    def _correct(self, unit: Numbers, cell: Numbers, measures: Columns, terms: Columns) -> None:
        """Where a unit has several rows in a group: the moment of their sum, less the sum of theirs.

        Rows are sorted by unit and day. Where all rows of a unit and period are of one slice, the group of
        that slice is the group of the whole, which is added up once.
        """
        import numpy as np

        bent = [self.moments[i] for i in self.bent]
        day, code = np.divmod(cell, self.slices)

        def change(rows: Numbers, starts: Numbers) -> Columns:
            sums = evaluate(bent, _added(rows, starts, measures))
            return [new - old for new, old in zip(sums, _added(rows, starts, terms), strict=True)]

        for grain, names in self.wanted.items():
            period, count = self.periods[grain][day], self.count[grain]
            kept = np.flatnonzero(period >= 0)
            rows, starts, _ = _several(kept, unit[kept] * count + period[kept])
            if not len(rows):
                continue
            whole, when = change(rows, starts), period[rows[starts]]
            group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
            for name in names:
                value, values = self.codes[name][code[rows]], self.values[name]
                first = value[starts]
                mixed = np.bincount(group, value != first[group], len(starts)) > 0
                found, places = self.corrections[grain, name], values * count
                pure = np.flatnonzero(~mixed)
                found += _spread((first * count + when)[pure], places, [part[pure] for part in whole])
                inside = np.flatnonzero(mixed[group])
                key = group[inside] * values + value[inside]
                order = np.argsort(key)
                parts, begins, keys = _several(rows[inside[order]], key[order])
                if len(parts):
                    place = keys % values * count + when[keys // values]
                    found += _spread(place, places, change(parts, begins))

    def result(self) -> dict[str, dict[str, Cells]]:
        import numpy as np

        cell = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in self.plain)])
        sums = np.concatenate([np.zeros((0, len(self.moments) + 1)), *(sums for _, sums in self.plain)])
        day, code = np.divmod(cell, self.slices)
        found: dict[str, dict[str, Cells]] = {}
        for grain, names in self.wanted.items():
            period = self.periods[grain][day]
            kept = period >= 0
            inside = list(sums[kept].T)
            found[grain] = {}
            for name in names:
                place = self.codes[name][code[kept]] * self.count[grain] + period[kept]
                total = _spread(place, self.values[name] * self.count[grain], inside)
                total[:, self.bent] += self.corrections[grain, name]
                there = np.flatnonzero(total[:, -1])
                found[grain][name] = Cells(there, total[there, :-1])
        return found


def _several(rows: Numbers, key: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Of rows with sorted keys, those whose key others share; where each key begins among them; the keys."""
    import numpy as np

    starts = _starts(key)
    size = np.diff(starts, append=len(key))
    many = size > 1
    return rows[np.repeat(many, size)], np.cumsum(size[many]) - size[many], key[starts[many]]


def _added(rows: Numbers, starts: Numbers, values: Sequence[Floats]) -> Columns:
    """Sums of groups of rows, by column: the first group is `rows[starts[0]:starts[1]]`, and so on."""
    import numpy as np

    if len(starts) == len(rows):
        return [column[rows] for column in values]
    return [np.add.reduceat(column[rows], starts) for column in values]


def _spread(place: Numbers, places: int, values: Sequence[Floats]) -> Floats:
    """Columns added up by place; shape (places, columns)."""
    import numpy as np

    # column by column: whole columns fit the processor's cache, tables of them do not
    return np.column_stack([np.bincount(place, column, places).astype(float) for column in values])


def evaluate(moments: Sequence[Moment], measures: Sequence[Floats]) -> Columns:
    """The value of each moment for every row of sums, as columns; `measures` are columns, too."""
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

    return [
        total(moment.left) if moment.right is None else total(moment.left) * total(moment.right)
        for moment in moments
    ]


def _starts(key: NDArray[np.generic]) -> Numbers:
    """Positions in a sorted array at which another value begins."""
    import numpy as np

    return np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, int)
