"""Point estimates with their uncertainty: the statistics behind every published number.

All functions take numbers or arrays (broadcast together) and return arrays or plain floats of the same shape.
Proportions are fractions (0.02, not 2). An estimate that cannot be made is NaN, never 0. Intervals are
two-sided at `confidence` (default 0.95). Only ``numpy`` and ``scipy.special`` are used, loaded on first call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.comparisons import Difference, mean_difference, sample_ratio_p
from cja_pipeline.kpis.gamma_limits import (
    compound_poisson,
    gamma_ratio,
    one_or_more,
    poisson,
    share_of_amounts,
)
from cja_pipeline.kpis.proportions import (
    Estimate,
    Interval,
    as_floats,
    effective_wilson,
    newcombe_difference,
    nps,
    plain,
    two_proportion_p,
    wilson,
    z_value,
)
from cja_pipeline.kpis.survival import Survival, clustered_at, kaplan_meier, log_rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Difference",
    "Estimate",
    "Interval",
    "Survival",
    "benjamini_hochberg",
    "bootstrap",
    "clustered_at",
    "clustered_ratio",
    "compound_poisson",
    "effective_wilson",
    "gamma_ratio",
    "grouped_quantile",
    "kaplan_meier",
    "log_rank",
    "mean_difference",
    "mover_ratio",
    "newcombe_difference",
    "nps",
    "one_or_more",
    "poisson",
    "quantile",
    "ratio_from_moments",
    "sample_ratio_p",
    "share_of_amounts",
    "two_proportion_p",
    "wilson",
]


def clustered_ratio(
    numerator: ArrayLike, denominator: ArrayLike, cluster: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Ratio of sums (or a mean, with denominator 1) whose rows are correlated within clusters.

    Args:
        numerator, denominator: one value per row (session, order, …).
        cluster: the customer of each row; without it every row is its own cluster.

    Source: delta method (linearisation) on per-cluster sums, Cochran 1977 §6.4;
    Deng, Knoblich & Lu 2018. Student's t with clusters - 1 degrees of freedom.
    """
    import numpy as np

    parts = as_floats(numerator), as_floats(denominator)
    sizes = {array.size for array in parts if array.ndim}
    if len(sizes) > 1 or (cluster is not None and sizes != {len(np.asarray(cluster))}):
        raise ValueError("clustered_ratio: numerator, denominator and cluster must have one entry per row.")
    num, den = np.broadcast_arrays(*parts)
    if cluster is not None:
        _, codes = np.unique(np.asarray(cluster), return_inverse=True)
        num, den = np.bincount(codes, num), np.bincount(codes, den)
    return ratio_from_moments(
        len(num), num.sum(), den.sum(), (num * num).sum(), (den * den).sum(), (num * den).sum(), confidence
    )


def ratio_from_moments(
    clusters: ArrayLike,
    sum_n: ArrayLike,
    sum_d: ArrayLike,
    sum_nn: ArrayLike,
    sum_dd: ArrayLike,
    sum_nd: ArrayLike,
    confidence: float = 0.95,
) -> Estimate:
    """`clustered_ratio` from second moments of the per-cluster sums, one group per array element.

    With R = Σn/Σd:  se² = N/(N-1) · Σ(n - R·d)² / (Σd)²,  Σ(n - R·d)² = Σn² - 2RΣnd + R²Σd².
    """
    import numpy as np
    from scipy.special import stdtrit

    count, n, d = as_floats(clusters), as_floats(sum_n), as_floats(sum_d)
    nn, dd, nd = as_floats(sum_nn), as_floats(sum_dd), as_floats(sum_nd)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(d != 0, n / d, np.nan)
        residual = np.maximum(nn - 2 * ratio * nd + ratio * ratio * dd, 0.0)
        # cancellation leaves dust of the size of the rounding error where all clusters agree
        residual = np.where(residual <= 1e-12 * (nn + ratio * ratio * dd), 0.0, residual)
        se = np.where(count > 1, np.sqrt(count / (count - 1) * residual) / np.abs(d), np.nan)
        t = stdtrit(np.maximum(count - 1, 1), 0.5 + confidence / 2)
    return Estimate(plain(ratio), plain(ratio - t * se), plain(ratio + t * se), plain(se))


def mover_ratio(
    a: ArrayLike, a_low: ArrayLike, a_high: ArrayLike, b: ArrayLike, b_low: ArrayLike, b_high: ArrayLike
) -> Interval:
    """Limits of a/b for independent positive estimates from their own limits; a fixed one has low = high.

    Source: Donner & Zou 2012, "Closed-form confidence intervals for functions of the normal mean and standard
    deviation" (MOVER-R, eq. 10). An unbounded ratio (b may be 0) has high = infinity, reported as NaN.
    """
    import numpy as np

    a, al, ah = as_floats(a), as_floats(a_low), as_floats(a_high)
    b, bl, bh = as_floats(b), as_floats(b_low), as_floats(b_high)
    with np.errstate(divide="ignore", invalid="ignore"):
        under = np.maximum((a * b) ** 2 - al * bh * (2 * a - al) * (2 * b - bh), 0.0)
        low = (a * b - np.sqrt(under)) / (bh * (2 * b - bh))
        over = np.maximum((a * b) ** 2 - ah * bl * (2 * a - ah) * (2 * b - bl), 0.0)
        high = (a * b + np.sqrt(over)) / (bl * (2 * b - bl))
        # 2b - b_high ≤ 0 only for a handful of events: fall back to the extreme corner, which is wider
        low = np.where(2 * b - bh > 1e-9 * b, low, al / bh)
        high = np.where(bl > 0, high, np.nan)
    return Interval(plain(low), plain(high))


def quantile(
    values: ArrayLike, q: float = 0.5, cluster: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """A quantile with limits, of rows that are correlated within clusters; see `grouped_quantile`."""
    import numpy as np

    if not 0 <= q <= 1:
        raise ValueError(f"quantile: expected q between 0 and 1, got {q!r}.")
    x = as_floats(values)
    if len(x) == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    unit = np.arange(len(x)) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    return Estimate(
        *(float(part[0]) for part in grouped_quantile(x, np.zeros(len(x), dtype=int), q, unit, confidence))
    )


def grouped_quantile(
    values: ArrayLike, group: ArrayLike, q: float, cluster: ArrayLike, confidence: float = 0.95
) -> Estimate:
    """The quantile of every group, with limits read off where the share of values below is q ± z·se.

    Args:
        values: one per row. group: number of the row's group, from 0 without gaps. cluster: integer per row.

    Source: Woodruff 1952, se by the clustered delta method, never below the binomial one. That one is known,
    not estimated, so z serves and not t. Limits lie between two values where the share does (Hettmansperger &
    Sheather 1986): whole steps would make them too wide. Limits beyond the data are the smallest or largest
    value; a group of one cluster has NaN limits.
    """
    import numpy as np

    x, code, unit = as_floats(values), np.asarray(group), np.asarray(cluster, dtype=np.int64)
    order = np.lexsort((x, code))
    x, code, unit = x[order], code[order], unit[order]
    size = np.bincount(code).astype(float)
    start = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(int)
    place = q * (size - 1)
    below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
    point = x[start + below] + (x[start + above] - x[start + below]) * (place - below)
    # per cluster and group: rows, and rows up to the quantile
    pair, inverse = np.unique(code * (unit.max() + 1) + unit, return_inverse=True)
    owner = pair // (unit.max() + 1)
    rows, hits = np.bincount(inverse), np.bincount(inverse, x <= point[code])
    clusters = np.bincount(owner)
    nn, dd, nd = (np.bincount(owner, part) for part in (hits * hits, rows * rows, hits * rows))
    share = ratio_from_moments(clusters, np.bincount(owner, hits), size, nn, dd, nd, confidence)
    se = np.fmax(share.se, np.sqrt(q * (1 - q) / size))
    reach = z_value(confidence) * np.array([[-1], [1]]) * se
    # the i-th of n ordered values, from 0, is where the share (i + 1/2) / n lies below
    place = np.clip((q + reach) * size - 0.5, 0, size - 1)
    below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
    limits = x[start + below] + (x[start + above] - x[start + below]) * (place - below)
    low, high = np.where(clusters > 1, limits, np.nan)
    return Estimate(point, low, high, (high - low) / (2 * z_value(confidence)))


def benjamini_hochberg(p_values: ArrayLike) -> Any:
    """q-values: the smallest false-discovery rate at which each hypothesis is rejected. NaN stays NaN.

    Source: Benjamini & Hochberg 1995 (step-up), as adjusted p-values.
    """
    import numpy as np

    p = as_floats(p_values)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("benjamini_hochberg: p-values must be between 0 and 1, or NaN.")
    q = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def bootstrap(
    statistic: Callable[[Floats], float],
    clusters: int,
    *,
    draws: int = 200,
    seed: int = 7,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic under Poisson(1) weights, one weight per cluster.

    Args:
        statistic: takes the weights (shape: clusters) and returns the weighted statistic.
    Source: Efron & Tibshirani 1993 ch. 13; Poisson weights, Chamandy et al. 2012. Repeatable for a seed.
    """
    import numpy as np

    if clusters < 2:
        return Interval(np.nan, np.nan)
    random = np.random.Generator(np.random.Philox(seed))
    results = np.array([statistic(random.poisson(1.0, clusters).astype(float)) for _ in range(draws)])
    low, high = np.nanquantile(results, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
