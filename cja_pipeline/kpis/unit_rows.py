"""A source's rows as arrays: whose each row is, its day, its slices and what it adds to each measure.

One pass over the source, read in batches; texts become numbers on the way, so that ten million rows fit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.warehouse import Warehouse

    Numbers = NDArray[np.int64]

BATCH = 250_000
NOT_SET = "(not set)"
KEYS = ("unit", "day")


@dataclass(frozen=True)
class UnitRows:
    """Columns of one length, but for the tables of slices.

    Attributes:
        unit: 64-bit hash of whom a row belongs to. day: days since `first`.
        slice: number of the row's combination of dimension values.
        codes: per dimension, the value's number for every combination; labels: its text.
        measures: what the row adds to each measure, in the order of the query.
    """

    unit: NDArray[Any]
    day: Numbers
    slice: Numbers
    codes: dict[str, Numbers]
    labels: dict[str, NDArray[np.object_]]
    measures: list[NDArray[Any]]

    @property
    def slices(self) -> int:
        """How many combinations of dimension values there are, at least 1."""
        return max([1, *map(len, self.codes.values())])

    def value(self, dimension: str, slices: Numbers) -> Numbers:
        """Number of the value that each slice has in a dimension; 0 for all in the whole."""
        import numpy as np

        return self.codes[dimension][slices] if dimension in self.codes else np.zeros(len(slices), np.int64)

    def values(self, dimension: str) -> int:
        """How many values a dimension has."""
        return len(self.labels[dimension]) if dimension in self.labels else 1

    def days(self, first: dt.date) -> list[dt.date]:
        """The days that have rows."""
        import numpy as np

        return [first + dt.timedelta(days=int(day)) for day in np.flatnonzero(np.bincount(self.day))]

    def between(self, begin: int, last: int) -> UnitRows:
        """The rows from day `begin` to day `last`; `begin` becomes day 0."""
        import numpy as np

        inside = (self.day >= begin) & (self.day <= last)
        if begin == 0 and inside.all():
            return self
        chosen = np.flatnonzero(inside)
        return replace(self.take(chosen), day=self.day[chosen] - begin)

    def take(self, chosen: Numbers) -> UnitRows:
        """The rows at these positions."""
        measures = [measure[chosen] for measure in self.measures]
        return replace(
            self,
            unit=self.unit[chosen],
            day=self.day[chosen],
            slice=self.slice[chosen],
            measures=measures,
        )

    def added_up(self) -> UnitRows:
        """One row per unit, day and slice, in this order, with sums of measures; units become 0, 1, 2."""
        import numpy as np

        if not len(self.unit):
            return self
        order = np.argsort(self.unit)
        unit = self.unit[order]
        number = np.cumsum(np.concatenate([[0], unit[1:] != unit[:-1]]))
        days = int(self.day.max()) + 1
        key = (number * days + self.day[order]) * self.slices + self.slice[order]
        again = np.argsort(key)
        order, key = order[again], key[again]
        starts = begins(key)
        rest, slices = np.divmod(key[starts], self.slices)
        number, day = np.divmod(rest, days)
        place = np.zeros(len(key), dtype=np.int64)
        place[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(key)))
        measures = [np.bincount(place, measure) for measure in self.measures]
        return replace(self, unit=number, day=day, slice=slices, measures=measures)


def read_rows(wh: Warehouse, query: str, dimensions: Sequence[str]) -> UnitRows:
    """Run a query of ``unit, day``, one text per dimension and then the measures, none of them null."""
    import numpy as np

    combinations: dict[tuple[int, ...], int] = {}
    values: list[dict[str, int]] = [{} for _ in dimensions]
    parts: list[list[NDArray[Any]]] = []
    for batch in wh.batches(query, BATCH):
        fixed, texts = batch.columns[: len(KEYS)], batch.columns[len(KEYS) : len(KEYS) + len(dimensions)]
        places = [_coded(text, found) for text, found in zip(texts, values, strict=True)]
        measures = batch.columns[len(KEYS) + len(dimensions) :]
        slices = _combined(places, combinations, batch.num_rows)
        parts.append([*(c.to_numpy() for c in fixed), slices, *(c.to_numpy() for c in measures)])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
    if not columns:
        columns = [np.zeros(0, np.uint64), *(np.zeros(0, np.int64) for _ in (0, 1))]
    table = np.array(list(combinations), dtype=np.int64).reshape(len(combinations), len(dimensions))
    return UnitRows(
        columns[0],
        columns[1],
        columns[2],
        {name: table[:, i] for i, name in enumerate(dimensions)},
        {name: np.array(list(found), dtype=object) for name, found in zip(dimensions, values, strict=True)},
        columns[3:],
    )


def _coded(column: Any, found: dict[str, int]) -> Numbers:
    """Each text's number; texts that were not met before get the next one. No text is `NOT_SET`."""
    import numpy as np

    # thousands of different texts at most: it is cheaper to name the empty ones here than in every row
    encoded = column.dictionary_encode("encode")
    texts = [text or NOT_SET for text in encoded.dictionary.to_pylist()]
    known = [found.setdefault(text, len(found)) for text in texts]
    return np.array(known, dtype=np.int64)[encoded.indices.to_numpy()]


def _combined(
    places: list[Numbers], combinations: dict[tuple[int, ...], int], rows: int
) -> NDArray[np.int32]:
    """The number of each row's combination of values."""
    import numpy as np

    code, size, met = np.zeros(rows, dtype=np.int64), 1, np.zeros((1, 0), dtype=np.int64)
    for place in places:
        width = int(place.max()) + 1
        # one dimension at a time, keeping only what occurs: the product of all sizes may not fit
        code, size = code * width + place, size * width
        there, code = numbered(code, size)
        met, size = np.column_stack([met[there // width], there % width]), len(there)
    numbers = [combinations.setdefault(tuple(row), len(combinations)) for row in met.tolist()]
    return np.array(numbers, dtype=np.int32)[code]


def begins(key: NDArray[Any]) -> Numbers:
    """Positions in a sorted array at which another value begins."""
    import numpy as np

    return np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, int)


def numbered(key: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """As ``np.unique(key, return_inverse=True)`` for keys from 0 to below `size`, without sorting."""
    import numpy as np

    there = np.zeros(size, dtype=bool)
    there[key] = True
    found = np.flatnonzero(there)
    number = np.zeros(size, dtype=np.int32)
    number[found] = np.arange(len(found))
    return found, number[key].astype(np.int64)
