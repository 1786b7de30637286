"""Small helpers to build nested Arrow arrays from NumPy columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def choose(values: Sequence[str | None], codes: np.ndarray, absent: np.ndarray | None = None) -> pa.Array:
    """Strings picked from `values` by position; null where `absent`."""
    if absent is not None:
        codes = np.where(absent, 0, codes)
    return pa.array(values, pa.string()).take(pa.array(codes, mask=absent))


def same(value: str, n: int) -> pa.Array:
    """One string `n` times."""
    return pa.array([value]).take(pa.array(np.zeros(n, np.int8)))


def struct(**fields: pa.Array) -> pa.StructArray:
    """A struct column; no row is null."""
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


def struct_or_null(absent: np.ndarray, **fields: pa.Array) -> pa.StructArray:
    """A struct column that is null where `absent`."""
    return pa.StructArray.from_arrays(list(fields.values()), list(fields), mask=pa.array(absent))


def lists(counts: np.ndarray, values: pa.Array) -> pa.ListArray:
    """A list column: `counts` elements of `values` per row, in order."""
    return pa.ListArray.from_arrays(pa.array(np.r_[0, np.cumsum(counts)].astype(np.int32)), values)
