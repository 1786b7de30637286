"""Shares and scores of answers: Wilson, Newcombe, clustered Wilson, net promoter score.

Part of ``cja_pipeline.kpis.stats``, which re-exports every name. Shares are fractions (0.02, not 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Lower and upper limit."""

    low: Any
    high: Any


class Estimate(NamedTuple):
    """A value, its limits and its standard error."""

    value: Any
    low: Any
    high: Any
    se: Any


def wilson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion of independent units (Wilson 1927; Newcombe 1998, method 3).

    `n` may be fractional (an effective sample size). n = 0, and successes outside 0 to n, give NaN limits.
    """
    import numpy as np

    x, size, z = as_floats(successes), as_floats(n), z_value(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = x / size
        centre = x + z * z / 2
        spread = z * np.sqrt(size * share * (1 - share) + z * z / 4)
        low, high = (centre - spread) / (size + z * z), (centre + spread) / (size + z * z)
        low = np.where(x <= 0, 0.0, np.clip(low, 0, 1))
        high = np.where(x >= size, 1.0, np.clip(high, 0, 1))
    known = (size > 0) & (x >= 0) & (x <= size)
    return Interval(plain(np.where(known, low, np.nan)), plain(np.where(known, high, np.nan)))


def newcombe_difference(
    successes_a: ArrayLike,
    n_a: ArrayLike,
    successes_b: ArrayLike,
    n_b: ArrayLike,
    confidence: float = 0.95,
) -> Estimate:
    """Difference of two independent proportions, p_a - p_b, from their Wilson limits.

    Source: Newcombe 1998b, "Interval estimation for the difference between independent
    proportions", method 10.
    """
    import numpy as np

    a, b = as_floats(successes_a) / as_floats(n_a), as_floats(successes_b) / as_floats(n_b)
    low_a, high_a = wilson(successes_a, n_a, confidence)
    low_b, high_b = wilson(successes_b, n_b, confidence)
    low = a - b - np.sqrt((a - low_a) ** 2 + (high_b - b) ** 2)
    high = a - b + np.sqrt((high_a - a) ** 2 + (b - low_b) ** 2)
    return Estimate(plain(a - b), plain(low), plain(high), plain((high - low) / (2 * z_value(confidence))))


def two_proportion_p(
    successes_a: ArrayLike, n_a: ArrayLike, successes_b: ArrayLike, n_b: ArrayLike, *, one_sided: bool = False
) -> Any:
    """p-value of the pooled z-test that two proportions are equal; `one_sided` tests p_a < p_b."""
    import numpy as np
    from scipy.special import ndtr

    xa, na, xb, nb = as_floats(successes_a), as_floats(n_a), as_floats(successes_b), as_floats(n_b)
    pooled = (xa + xb) / (na + nb)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (xa / na - xb / nb) / np.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
    z = np.where((pooled <= 0) | (pooled >= 1), 0.0, z)
    return plain(ndtr(z) if one_sided else 2 * ndtr(-np.abs(z)))


def effective_wilson(
    share: ArrayLike, se: ArrayLike, clusters: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> Interval:
    """Wilson interval of a clustered proportion on its effective sample size, share·(1-share)/se².

    Keeps the limits inside [0, 1] and honest for rare events, where the symmetric delta interval is not.
    At a share of 0 or 1 the variance is unknown, and every cluster counts as one observation.

    Args:
        share, se: from `clustered_ratio`. clusters: number of clusters. n: the denominator (rows).
    Source: Korn & Graubard 1998 (effective sample size); Franco, Little, Louis & Slud 2019 (with Wilson).
    """
    import numpy as np
    from scipy.special import stdtrit

    p, s, count, rows = as_floats(share), as_floats(se), as_floats(clusters), as_floats(n)
    # a share outside [0, 1] is the caller's fault to report; the interval must not fail
    p = np.clip(p, 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(s > 0, p * (1 - p) / (s * s), np.minimum(count, rows))
        # few clusters make se itself uncertain: shrink by the ratio of the normal to the t quantile, squared
        shrink = (z_value(confidence) / stdtrit(np.maximum(count - 1, 1), 0.5 + confidence / 2)) ** 2
        size = np.minimum(size * np.where(count > 1, shrink, 1.0), rows)
    return wilson(p * size, size, confidence)


def nps(promoters: ArrayLike, detractors: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Net promoter score, -100 to 100: share of 9-10 minus share of 0-6, from counts of independent answers.

    Source: multinomial variance, se = 100·√((p + d - (p-d)²)/n). Limits are clipped to [-100, 100].
    """
    import numpy as np

    size = as_floats(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, d = as_floats(promoters) / size, as_floats(detractors) / size
        score = np.where(size > 0, 100 * (p - d), np.nan)
        se = 100 * np.sqrt((p + d - (p - d) ** 2) / size)
    reach = z_value(confidence) * se
    return Estimate(
        plain(score),
        plain(np.clip(score - reach, -100, 100)),
        plain(np.clip(score + reach, -100, 100)),
        plain(se),
    )


def as_floats(values: ArrayLike) -> Floats:
    """The values as a float array."""
    import numpy as np

    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        # raised out here: the first error names neither what was expected nor what came
        pass
    raise ValueError(f"expected numbers, got {str(values)[:60]!r}")


def z_value(confidence: float) -> float:
    """Normal quantile of a two-sided interval, 1.96 at 0.95."""
    from scipy.special import ndtri

    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a share such as 0.95, got {confidence!r}.")

    return float(ndtri(0.5 + confidence / 2))


def plain(values: Any) -> Any:
    """A plain float for a scalar call, else the array."""
    return float(values) if getattr(values, "ndim", 0) == 0 else values
