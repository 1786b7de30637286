"""Expected value, usual range and score of every day of a series, from its past alone.

Expected is the median of the same weekday in the weeks before, moved to the level of the last seven days. The
distance from it is measured in sampling errors of the day, and these are widened by how far past days usually
were off (median absolute deviation). Nothing after a day is used: a finding of today would have been the same
on that day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAD_TO_SD = 1.4826
TENTH_TO_SD = 1.6449  # of a normal distribution, a tenth is further off than so many standard deviations
LEVEL_DAYS = 7


def detect(
    values: ArrayLike, errors: ArrayLike | None = None, *, weeks: int = 6, ratio: bool = True
) -> pd.DataFrame:
    """Expected value, usual range and score of every day of a series.

    Args:
        values: one value per consecutive day, NaN where there is none.
        errors: standard error that each value would have on a usual day; default the square root of a count
            for `ratio` series. Series without any sampling error are judged by their past scatter alone.
        weeks: past weeks whose weekdays are compared.
        ratio: deviations are relative (counts, money); False for shares and scores, which may be 0.

    Returns:
        ``expected, scale, score`` per day; NaN while the past is too short. The score is in robust standard
        deviations: beyond ±4.5 is rare enough to look at.
    """
    import numpy as np
    import pandas as pd

    y = np.asarray(values, dtype=float)
    days = len(y)
    base = nanmedian(np.stack([back(y, 7 * week) for week in range(1, weeks + 1)]), minimum=3)
    deviation = _deviation(y, base, ratio)
    level = nanmedian(np.stack([back(deviation, day) for day in range(1, LEVEL_DAYS + 1)]), minimum=4)
    expected = base * (1 + level) if ratio else base + level
    residual = _deviation(y, expected, ratio)
    unit = np.abs(expected) if ratio else np.ones(days)
    with np.errstate(divide="ignore", invalid="ignore"):
        if errors is not None:
            own = np.asarray(errors, dtype=float) / unit
        else:
            own = np.sqrt(np.maximum(unit, 1.0)) / unit if ratio else np.ones(days)
        off = np.where(own > 0, residual / own, np.nan)
        past = np.stack([back(off, day) for day in range(1, 7 * weeks + 1)])
        away = np.abs(past - nanmedian(past, minimum=7))
        # most days may lie close and every tenth far off (days with a post): both are usual
        usually_off = np.fmax(
            MAD_TO_SD * nanmedian(away, minimum=14), nanquantile(away, 0.9, minimum=14) / TENTH_TO_SD
        )
        sampled = errors is not None or ratio
        scale = own * (np.maximum(usually_off, 1.0) if sampled else usually_off)
        score = residual / np.where(scale > 0, scale, np.nan)
        spread = scale * np.abs(expected) if ratio else scale
    return pd.DataFrame({"expected": expected, "scale": spread, "score": score})


def back(values: Floats, days: int) -> Floats:
    import numpy as np

    shifted = np.full(len(values), np.nan)
    shifted[days:] = values[: max(len(values) - days, 0)]
    return shifted


def _deviation(values: Floats, expected: Floats, ratio: bool) -> Floats:
    import numpy as np

    if not ratio:
        return values - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected != 0, values / expected - 1, np.nan)


def nanmedian(stack: Floats, minimum: int) -> Floats:
    """Median over the first axis, NaN where fewer than `minimum` values are known."""
    return nanquantile(stack, 0.5, minimum)


def nanquantile(stack: Floats, q: float, minimum: int) -> Floats:
    """A quantile over the first axis, NaN where fewer than `minimum` values are known."""
    import numpy as np

    known = np.isfinite(stack).sum(axis=0)
    ordered = np.sort(np.where(np.isfinite(stack), stack, np.inf), axis=0)
    column, place = np.arange(stack.shape[1]), q * np.maximum(known - 1, 0)
    below = np.floor(place).astype(int)
    low, high = ordered[below, column], ordered[np.minimum(below + 1, len(stack) - 1), column]
    with np.errstate(invalid="ignore"):
        found = np.where(place > below, low + (high - low) * (place - below), low)
        return np.where(known >= minimum, found, np.nan)
