"""What is usual for a day: robust statistics of the days before it, with weekday seasonality.

The level is the median of the seven days before, the weekday effect the median deviation of the same weekday
over eight weeks, and the spread the pooled median absolute deviation of what remains, each day judged by the
other days of its weekday. Only the past of a day is used. Chosen for being as sharp as exponential smoothing
at a hundredth of the cost, and calm. Many series are judged at once: arrays are series x days.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WEEK, WEEKS = 7, 8
WINDOW = WEEK * WEEKS
MIN_HISTORY = 28
MAD_TO_SIGMA = 1.4826
STEADY = 6.0  # robust standard deviations of the stability index: it is skewed
SMOOTHING = 0.5  # rows added to each part of a whole, so that a part may be new or gone


def expected(values: Floats, which: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Expected value and spread of the days `which` of each series, NaN before 28 known days.

    Args:
        values: series x consecutive calendar days; NaN where nothing is known.
        which: places of the days to judge.
    """
    level = median(_before(values, np.arange(values.shape[1]), WEEK), 2)
    around = _before(values - level, which, WINDOW).reshape(len(values), len(which), WEEKS, WEEK)
    others = np.stack([median(np.delete(around, week, axis=2), 2) for week in range(WEEKS)], axis=2)
    rest = around - np.where(np.isnan(others), 0.0, others)
    spread = MAD_TO_SIGMA * median(np.abs(rest.reshape(len(values), len(which), WINDOW)), 2)
    effect = median(around[:, :, :, 0], 2)  # a whole number of weeks before is the same weekday
    known = np.isfinite(_before(values, which, WINDOW)).sum(axis=2)
    found = level[:, which] + np.where(np.isnan(effect), 0.0, effect)
    return np.where(known >= MIN_HISTORY, found, np.nan), spread


def stability(counts: Floats, which: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """How far the parts of a whole are from their usual shares: the population stability index (PSI), its
    usual limit, and each part's contribution.

    The usual shares of a day are those of the same weekday over the eight weeks before; the usual limit comes
    from the index of the days before, each against the other weeks' same weekday. The index does not grow
    with the size of the data: 5 points of share give about 0.02, 15 points 0.13, a part that dies 1.

    Args:
        counts: parts x consecutive calendar days. which: places of the days to judge.

    Returns:
        Index and limit per day of `which` (NaN before four such weekdays), contributions parts x days.
    """
    past = _before(counts, which, WINDOW).reshape(len(counts), len(which), WEEKS, WEEK)
    known = np.isfinite(past).all(axis=0)
    weeks = known.sum(axis=1)
    totals = np.nansum(past, axis=2)
    before, _ = _index(past, totals[:, :, None, :] - np.nan_to_num(past))
    before = np.where(known & (weeks[:, None, :] > 1), before, np.nan).reshape(len(which), WINDOW)
    middle = median(before, 1)
    spread = MAD_TO_SIGMA * median(np.abs(before - middle[:, None]), 1)
    index, contribution = _index(counts[:, which], totals[:, :, 0])
    enough = weeks[:, 0] >= WEEKS // 2
    return np.where(enough, index, np.nan), middle + STEADY * spread, contribution


def _index(counts: Floats, usual: Floats) -> tuple[Floats, Floats]:
    """The stability index over the first axis, and the contribution of each part."""
    live = np.nan_to_num(counts) + usual > 0
    p, q = _shares(np.nan_to_num(counts), live), _shares(usual, live)
    with np.errstate(divide="ignore", invalid="ignore"):
        contribution = np.where(live, (p - q) * np.log(p / q), 0.0)
    return contribution.sum(axis=0), contribution


def median(values: Floats, axis: int) -> Floats:
    """Median of the known values, NaN where none is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a slice without any known value
        found: Floats = np.nanmedian(values, axis=axis)
    return found


def _before(values: Floats, which: NDArray[np.int64], days: int) -> Floats:
    """The `days` values before each day of `which`, oldest first: series x which x days."""
    padded = np.concatenate([np.full((len(values), days), np.nan), values], axis=1)
    return padded[:, which[:, None] + np.arange(days)[None, :]]


def _shares(counts: Floats, live: NDArray[np.bool_]) -> Floats:
    smooth = np.where(live, counts + SMOOTHING, 0.0)
    shares: Floats = smooth / np.maximum(smooth.sum(axis=0), SMOOTHING)
    return shares
