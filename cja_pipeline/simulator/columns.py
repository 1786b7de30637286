"""Small helpers for tables kept as dictionaries of equally long NumPy arrays, and for random draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Table = dict[str, np.ndarray]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = np.int64(2**62)


def rng_for(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """An independent random stream for one purpose and block of people (counter-based, order-free)."""
    tag = 0
    for letter in purpose:
        tag = (tag * 131 + ord(letter)) % (1 << 31)
    return np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), (tag << 32) | (block & 0xFFFFFFFF)]))


def length(table: Table) -> int:
    """Number of rows."""
    return len(next(iter(table.values()))) if table else 0


def take(table: Table, index: np.ndarray) -> Table:
    """The rows at `index` (positions or a boolean mask), as a new table."""
    return {name: values[index] for name, values in table.items()}


def concat(tables: Iterable[Table]) -> Table:
    """Rows of all tables, which must have the same columns."""
    parts = [table for table in tables if table]
    if not parts:
        return {}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ranks_within(sorted_keys: np.ndarray) -> np.ndarray:
    """Position 0, 1, 2… of each row inside its run of equal keys (keys must be sorted)."""
    if len(sorted_keys) == 0:
        return np.zeros(0, np.int64)
    first = np.r_[True, sorted_keys[1:] != sorted_keys[:-1]]
    starts = np.flatnonzero(first)
    return np.arange(len(sorted_keys)) - np.repeat(starts, np.diff(np.r_[starts, len(sorted_keys)]))


def expand(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row repeated `counts` times: (row number, repetition number)."""
    rows = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) - np.repeat(starts, counts)


def pick(rng: np.random.Generator, weights: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Indices drawn with the given weights (need not sum to 1)."""
    edges = np.cumsum(np.asarray(weights, float))
    return np.searchsorted(edges / edges[-1], rng.random(size), side="right").clip(0, len(edges) - 1)


def expit(x: np.ndarray) -> np.ndarray:
    """Probability from log-odds."""
    return 1.0 / (1.0 + np.exp(-x))


def logit(p: np.ndarray | float) -> np.ndarray:
    """Log-odds from a probability."""
    p = np.asarray(p, float)
    return np.log(p / (1.0 - p))
