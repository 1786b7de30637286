"""Columns of numbers on their way to the table: a block is a dict of arrays of one length.

Frames are for people; a night makes hundreds of small blocks, and building frames of them would take longer
than computing them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.warehouse import Warehouse

    Block = dict[str, NDArray[Any]]
    Days = NDArray[np.datetime64]

KEYS = ("grain", "period_start", "dimension", "dimension_value")
NUMBERS = ("value", "numerator", "denominator", "n", "missing", "ci_low", "ci_high")
TEXTS = ("ci_method", "null_reason")


def fetch(wh: Warehouse, query: str) -> Block:
    """A query's result: dates as datetime64[D], texts as objects, numbers as floats with NaN for null."""
    import numpy as np

    found: Block = {}
    for name, values in wh.sql(query).fetchnumpy().items():
        if values.dtype.kind == "M":
            found[name] = np.asarray(values, dtype="datetime64[D]")
        elif values.dtype.kind == "O":
            found[name] = np.array(np.ma.getdata(values), dtype=object)
            found[name][np.ma.getmaskarray(values)] = None
        else:
            found[name] = np.ma.filled(np.ma.asarray(values).astype(float), np.nan)
    return found


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


def with_zeros(sums: Block, starts: Sequence[dt.date], columns: Iterable[str]) -> Block:
    """Every combination of period and slice seen, the whole included; sums without rows are 0."""
    import numpy as np

    periods = np.array(starts, dtype="datetime64[D]")
    label = (
        sums["dimension"] + "\x1f" + sums["dimension_value"] if len(sums["period"]) else np.array([], object)
    )
    slices, slice_of = np.unique(np.append(label, "all\x1fall").astype(str), return_inverse=True)
    place = slice_of[:-1] * len(periods) + np.searchsorted(periods, sums["period"])
    pairs = [text.split("\x1f") for text in slices]
    size = len(slices) * len(periods)
    found: Block = {
        "period": np.tile(periods, len(slices)),
        "dimension": np.repeat(np.array([pair[0] for pair in pairs], dtype=object), len(periods)),
        "dimension_value": np.repeat(np.array([pair[1] for pair in pairs], dtype=object), len(periods)),
    }
    for name in columns:
        found[name] = np.zeros(size)
        found[name][place] = sums[name]
    return found
