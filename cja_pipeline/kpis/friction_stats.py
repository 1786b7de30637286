"""Statistics of lost visits: cells against comparable visits, and short slumps against a cell's own level.

Pure functions over counts. "Going on" means reaching the next step of the funnel or a later one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MIN_PEERS = 20  # comparable visits that a stratum needs before anything is expected of it
MEDIAN_OF_CHI2 = 0.4549  # of one degree of freedom


class Gap(NamedTuple):
    """Observed against expected going-on of cells; every field has the shape of the cells."""

    n: Floats
    observed: Floats
    expected: Floats
    se: Floats  # of expected - observed
    p_value: Floats  # one-sided: the cell does worse


class Slump(NamedTuple):
    """The worst run of days of one cell, first and last day as positions."""

    first: int
    last: int
    n: float
    observed: float
    expected: float
    se: float
    z: float


def standing_gaps(n: Floats, k: Floats, dispersion: float = 1.0) -> Gap:
    """Compare each cell with all others, within strata of alike visits (leave-one-out, Mantel-Haenszel test).

    Args:
        n, k: visits at the step and those that went on, shape (cells, strata).
        dispersion: variance relative to independent visits, at least 1.

    What is expected of a cell is the others' rate in each stratum, weighted with the cell's own visits.
    Strata in which fewer than 20 others are left say nothing and are left out (Mantel & Haenszel 1959).
    """
    import numpy as np
    from scipy.special import ndtr

    others, gone_on = n.sum(axis=0) - n, k.sum(axis=0) - k
    used = (others >= MIN_PEERS) & (n > 0)
    own, own_on = np.where(used, n, 0.0), np.where(used, k, 0.0)
    safe = np.where(used, others, 1.0)
    rate = np.where(used, gone_on / safe, 0.0)
    total = own.sum(axis=1)
    size = np.where(total > 0, total, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected, observed = (own * rate).sum(axis=1) / size, own_on.sum(axis=1) / size
        share = np.where(own > 0, own_on / np.where(own > 0, own, 1.0), 0.0)
        variance = (own * share * (1 - share)).sum(axis=1) + (own**2 * rate * (1 - rate) / safe).sum(axis=1)
        both, both_on = own + safe, own_on + np.where(used, gone_on, 0.0)
        spread = np.where(
            used, own * safe * both_on * (both - both_on) / (both**2 * np.maximum(both - 1, 1)), 0.0
        ).sum(axis=1)
        deviation = own_on.sum(axis=1) - np.where(used, own * both_on / both, 0.0).sum(axis=1)
        z = deviation / np.sqrt(spread * dispersion)
    p = np.where(spread > 0, ndtr(np.nan_to_num(z)), 1.0)
    return Gap(total, observed, expected, np.sqrt(variance * dispersion) / size, p)


def dispersion(n: Floats, k: Floats) -> float:
    """Day-to-day variance of a rate relative to independent visits (median of squared residuals), at least 1.

    The median is not moved by a few bad days, which are what is looked for.
    """
    import numpy as np

    days = n > 0
    rate = k[days].sum() / max(n[days].sum(), 1.0)
    if days.sum() < 7 or rate <= 0 or rate >= 1:
        return 1.0
    residual = (k[days] - n[days] * rate) / np.sqrt(n[days] * rate * (1 - rate))
    return max(1.0, float(np.median(residual**2)) / MEDIAN_OF_CHI2)


def slumps(
    n: Floats,
    k: Floats,
    others_n: Floats | None,
    others_k: Floats | None,
    *,
    max_days: int,
    min_n: float,
    spread: float = 1.0,
    min_baseline_days: int = 14,
) -> tuple[list[Slump], int]:
    """Runs of 1 to `max_days` days in which a cell went on less than usual, worst first, none overlapping.

    Args:
        n, k: visits at the step and those that went on, one entry per day.
        others_n, others_k: the same of all other visits; what they lose on these days is not the cell's own
            slump. None for the whole shop.
        min_n: fewer visits in a run are not judged.
        spread: `dispersion` of the cell.

    Returns:
        The runs with a positive z, and how many runs were judged (for the false-discovery rate).
    """
    import numpy as np

    days, found, judged = len(n), [], 0
    sums = [np.r_[0.0, np.cumsum(x)] for x in (n, k)]
    if others_n is not None and others_k is not None:
        sums += [np.r_[0.0, np.cumsum(x)] for x in (others_n, others_k)]
    for length in range(1, min(max_days, days - min_baseline_days) + 1):
        inside = [s[length:] - s[:-length] for s in sums]
        outside = [s[-1] - i for s, i in zip(sums, inside, strict=True)]
        with np.errstate(divide="ignore", invalid="ignore"):
            usual = outside[1] / outside[0]
            drift_variance = np.zeros(len(usual))
            if len(sums) == 4:
                shift = (inside[3] / inside[2]) / (outside[3] / outside[2])
                drift_variance = (1 - inside[3] / inside[2]) / inside[3] + (
                    1 - outside[3] / outside[2]
                ) / outside[3]
                # a rise of the others is no debt of the cell: it is only excused, never charged
                usual = usual * np.minimum(shift, 1.0)
            variance = inside[0] * usual * (1 - usual) * (1 + inside[0] / outside[0]) * spread
            variance = variance + (inside[0] * usual) ** 2 * drift_variance * spread
            z = (inside[0] * usual - inside[1] - 0.5) / np.sqrt(variance)
        ok = (inside[0] >= min_n) & (outside[0] >= 2 * inside[0]) & np.isfinite(z)
        judged += int(ok.sum())
        for start in np.flatnonzero(ok & (z > 3)):
            size, rate = float(inside[0][start]), float(usual[start])
            found.append(
                Slump(
                    int(start),
                    int(start) + length - 1,
                    size,
                    float(inside[1][start]) / size,
                    rate,
                    float(np.sqrt(variance[start])) / size,
                    float(z[start]),
                )
            )
    found.sort(key=lambda s: -s.z)
    kept: list[Slump] = []
    for slump in found:
        if all(slump.last < other.first or slump.first > other.last for other in kept):
            kept.append(slump)
    return kept, judged
