"""Statistics of lost visits: cells against comparable visits, and short slumps against a cell's own level.

Pure functions over counts. "Going on" means reaching the next step of the funnel or a later one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MEDIAN_OF_CHI2 = 0.4549  # of one degree of freedom


class Gap(NamedTuple):
    """Observed against expected going-on of cells; every field has the shape of the cells."""

    n: Floats
    observed: Floats
    expected: Floats
    se: Floats  # of expected - observed
    p_value: Floats  # one-sided: the cell does worse


class Slump(NamedTuple):
    """A run of days of one cell; cell, first and last day as positions."""

    cell: int
    first: int
    last: int
    clarity: float  # log-likelihood ratio of the run's own rate against the cell's
    p_value: float  # one-sided: the larger of the normal and the exact binomial tail


def standing_gaps(n: Floats, k: Floats, dispersion: float = 1.0) -> Gap:
    """Compare each cell with all others, within strata of alike visits.

    Args:
        n, k: visits at the step and those that went on, shape (cells, strata).
        dispersion: variance relative to independent visits, at least 1.

    The gap is the risk difference pooled over strata, and expected = observed + gap. Strata may be small;
    those without others say nothing. Sources: Mantel & Haenszel 1959 (test and weights); Greenland & Robins
    1985 (variance of the difference).
    """
    import numpy as np
    from scipy.special import ndtr

    others, gone_on = n.sum(axis=0) - n, k.sum(axis=0) - k
    used = (others > 0) & (n > 0)
    own, own_on = np.where(used, n, 0.0), np.where(used, k, 0.0)
    rest, rest_on = np.where(used, others, 1.0), np.where(used, gone_on, 0.0)
    both, both_on, safe = own + rest, own_on + rest_on, np.where(used, own, 1.0)
    total = own.sum(axis=1)
    weight = np.where(used, own * rest / both, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.where(used, (rest_on * own - own_on * rest) / both, 0.0).sum(axis=1) / weight
        variance = (
            np.where(
                used,
                (own_on * (own - own_on) * rest**3 + rest_on * (rest - rest_on) * safe**3)
                / (safe * rest * both**2),
                0.0,
            ).sum(axis=1)
            / weight**2
        )
        spread = np.where(
            used, own * rest * both_on * (both - both_on) / (both**2 * np.maximum(both - 1, 1)), 0.0
        ).sum(axis=1)
        deviation = np.where(used, own_on - own * both_on / both, 0.0).sum(axis=1)
        observed = own_on.sum(axis=1) / np.where(total > 0, total, np.nan)
        z = deviation / np.sqrt(spread * dispersion)
    p = np.where(spread > 0, ndtr(np.nan_to_num(z)), 1.0)
    return Gap(total, observed, observed + gap, np.sqrt(variance * dispersion), p)


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


class Counts(NamedTuple):
    """Daily counts of cells and of all visits beside each: at the step, and gone on. Shape (cells, days)."""

    n: Floats
    k: Floats
    others_n: Floats | None = None  # None: the cell is the whole shop
    others_k: Floats | None = None


def slumps(
    counts: Counts,
    *,
    max_days: int,
    min_n: float,
    spread: float = 1.0,
    min_failed: int = 3,
    min_baseline_days: int = 14,
) -> tuple[list[Slump], int]:
    """Runs of 1 to `max_days` days in which a cell went on less than usual, worst first.

    Runs of one cell do not overlap. What the other visits lose on the same days is not the cell's own slump
    and is taken off.

    Args:
        min_n, min_failed: runs with fewer visits, or fewer that did not go on, are not judged.
        spread: `dispersion` of the step.

    Returns:
        The runs with z above 3, and how many runs were judged (for the false-discovery rate).
    """
    import numpy as np
    from scipy.special import bdtr, ndtr, xlogy

    found, judged = [], 0
    overall = (counts.k.sum(axis=1, keepdims=True) + 0.5) / (counts.n.sum(axis=1, keepdims=True) + 1)
    for length in range(1, min(max_days, counts.n.shape[1] - min_baseline_days) + 1):
        size, gone, usual, variance, outside = _runs(counts, length, spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (size * usual - gone - 0.5) / np.sqrt(variance)
            failed = size - gone
            # a usual day added to a run of bad ones lowers this, where z would hardly notice; and one rate
            # for all runs, or a single event outside would decide between them
            clarity = xlogy(failed, failed / size / (1 - overall)) + xlogy(gone, gone / size / overall)
        ok = (size >= min_n) & (outside >= 2 * size) & np.isfinite(z)
        judged += int(ok.sum())
        for cell, start in np.argwhere(ok & (z > 3) & (failed >= min_failed)):
            at = cell, start
            # few visits: the normal tail would call a chance run proven
            exact = bdtr(float(gone[at]), int(size[at]), float(usual[at]))
            p = max(float(ndtr(-z[at])), float(exact))
            found.append(Slump(int(cell), int(start), int(start) + length - 1, float(clarity[at]), p))
    found.sort(key=lambda s: (-s.clarity, s))
    kept: list[Slump] = []
    for slump in found:
        if all(slump.last < o.first or slump.first > o.last for o in kept if o.cell == slump.cell):
            kept.append(slump)
    return kept, judged


def run_gap(counts: Counts, slump: Slump, spread: float = 1.0) -> dict[str, float]:
    """``n, observed, expected, se`` of one run of days, for these counts."""
    at = slump.cell, slump.first
    size, gone, usual, variance, _ = (
        float(part[at]) for part in _runs(counts, slump.last - slump.first + 1, spread)
    )
    return {"n": size, "observed": gone / size, "expected": usual, "se": variance**0.5 / size}


def _runs(counts: Counts, length: int, spread: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """For every run of `length` days: visits, gone on, usual rate, variance of the expected count, visits on
    the other days."""
    import numpy as np

    parts = [part for part in counts if part is not None]
    sums = [np.pad(np.cumsum(part, axis=1), ((0, 0), (1, 0))) for part in parts]
    inside = [s[:, length:] - s[:, :-length] for s in sums]
    outside = [s[:, -1:] - i for s, i in zip(sums, inside, strict=True)]
    # half a visit each way: what never happened so far is not impossible
    usual = (outside[1] + 0.5) / (outside[0] + 1)
    drift = np.zeros(usual.shape)
    if len(parts) == 4:
        here, there = (inside[3] + 0.5) / (inside[2] + 1), (outside[3] + 0.5) / (outside[2] + 1)
        drift = (1 - here) / (inside[3] + 0.5) + (1 - there) / (outside[3] + 0.5)
        # a rise of the others is no debt of the cell: it is only excused, never charged
        usual = usual * np.minimum(here / there, 1.0)
    variance = inside[0] * usual * (1 - usual) * (1 + inside[0] / (outside[0] + 1))
    return inside[0], inside[1], usual, (variance + (inside[0] * usual) ** 2 * drift) * spread, outside[0]
