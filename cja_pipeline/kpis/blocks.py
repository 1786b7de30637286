"""Columns of numbers on their way to the table: a block is a dict of arrays of one length.

Frames are for people; a night makes hundreds of small blocks, and building frames of them would take longer
than computing them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.unit_sums import Cells

    Block = dict[str, NDArray[Any]]
    Days = NDArray[np.datetime64]

KEYS = ("grain", "period_start", "dimension", "dimension_value")
NUMBERS = ("value", "numerator", "denominator", "n", "missing", "ci_low", "ci_high")
TEXTS = ("ci_method", "null_reason")


def empty() -> Block:
    """A block without rows."""
    return blank("", [])


def blank(grain: str, starts: Sequence[dt.date] | Days) -> Block:
    """Rows for the whole of these periods, without numbers; n is 0."""
    import numpy as np

    count = len(starts)
    block: Block = {name: np.full(count, np.nan) for name in NUMBERS}
    block["n"], block["missing"] = np.zeros(count), np.zeros(count)
    block |= {name: np.full(count, None, dtype=object) for name in TEXTS}
    block |= {
        "grain": np.full(count, grain, dtype=object),
        "period_start": np.array(starts, dtype="datetime64[D]"),
        "dimension": np.full(count, "all", dtype=object),
        "dimension_value": np.full(count, "all", dtype=object),
    }
    return block


def concat(blocks: Iterable[Block]) -> Block:
    """One block of all rows; columns as in the first."""
    import numpy as np

    parts = list(blocks)
    if not parts:
        return empty()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def take(block: Block, rows: Any) -> Block:
    """The rows of a mask or of positions."""
    return {name: column[rows] for name, column in block.items()}


def length(block: Block) -> int:
    return len(block["grain"])


def table(cells: Mapping[str, Cells], periods: Days, labels: Mapping[str, NDArray[np.object_]]) -> Block:
    """Cells of one grain by period and slice: columns period, dimension, dimension_value, and sums (rows x
    moments)."""
    import numpy as np

    parts = [
        {
            "period": periods[part.place % len(periods)],
            "dimension": np.full(len(part.place), name, dtype=object),
            "dimension_value": labels.get(name, np.array(["all"], dtype=object))[part.place // len(periods)],
            "sums": part.sums,
        }
        for name, part in cells.items()
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def dense(cells: Cells, places: int) -> NDArray[np.float64]:
    """Sums of all places, 0 where there is no row; shape (places, moments)."""
    import numpy as np

    found = np.zeros((places, cells.sums.shape[1]))
    found[cells.place] = cells.sums
    return found


def with_zeros(sums: Block, periods: Days) -> Block:
    """Every combination of period and slice seen, the whole included; sums without rows are 0."""
    import numpy as np

    pairs = zip(sums["dimension"].tolist(), sums["dimension_value"].tolist(), strict=True)
    places: dict[tuple[str, str], int] = {("all", "all"): 0}
    slice_of = np.array([places.setdefault(pair, len(places)) for pair in pairs], dtype=np.int64)
    found = np.zeros((len(places) * len(periods), sums["sums"].shape[1]))
    found[slice_of * len(periods) + np.searchsorted(periods, sums["period"])] = sums["sums"]
    names = np.array(list(places), dtype=object)
    return {
        "period": np.tile(periods, len(places)),
        "dimension": np.repeat(names[:, 0], len(periods)),
        "dimension_value": np.repeat(names[:, 1], len(periods)),
        "sums": found,
    }
