"""Two groups compared: is the split what was planned, and how far apart are their means.

Part of ``cja_pipeline.kpis.stats``, which re-exports every name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cja_pipeline.kpis.proportions import as_floats, plain

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Difference(NamedTuple):
    """Mean of the first group less that of the second, its limits, and the two-sided p-value."""

    value: Any
    low: Any
    high: Any
    p_value: Any


def sample_ratio_p(counts: ArrayLike, shares: ArrayLike | None = None) -> float:
    """p-value that groups of these sizes come from a random split into `shares` (default: equal ones).

    A very small one (under 0.001) says that members of a group were lost or added after the split; the groups
    are then not comparable, whatever their rates. NaN for fewer than two groups or none in them.

    Source: Pearson's chi-square test; Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch".
    Raises:
        ValueError: counts and shares differ in number, or a share is not positive.
    """
    import numpy as np
    from scipy.special import chdtrc

    seen = as_floats(counts)
    planned = np.ones(len(seen)) if shares is None else as_floats(shares)
    if len(planned) != len(seen) or not (planned > 0).all():
        raise ValueError("sample_ratio_p: expected one positive share for each group.")
    if len(seen) < 2 or seen.sum() <= 0:
        return float("nan")
    expected = seen.sum() * planned / planned.sum()
    return float(chdtrc(len(seen) - 1, ((seen - expected) ** 2 / expected).sum()))


def mean_difference(
    n_a: ArrayLike,
    sum_a: ArrayLike,
    squares_a: ArrayLike,
    n_b: ArrayLike,
    sum_b: ArrayLike,
    squares_b: ArrayLike,
    confidence: float = 0.95,
) -> Difference:
    """Difference of the means of two independent groups whose variances may differ, a - b.

    Args:
        n, sum, squares: members of each group, their sum and their sum of squares.

    Source: Welch 1947, with Satterthwaite's degrees of freedom. Fewer than two members give NaN limits.
    """
    import numpy as np
    from scipy.special import stdtr, stdtrit

    (na, sa, qa), (nb, sb, qb) = (
        tuple(as_floats(part) for part in group)
        for group in ((n_a, sum_a, squares_a), (n_b, sum_b, squares_b))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            np.where(n > 1, np.maximum(q - s * s / n, 0.0) / (n - 1) / n, np.nan)
            for n, s, q in ((na, sa, qa), (nb, sb, qb))
        ]
        gap, variance = sa / na - sb / nb, parts[0] + parts[1]
        freedom = variance**2 / (parts[0] ** 2 / (na - 1) + parts[1] ** 2 / (nb - 1))
        se = np.sqrt(variance)
        reach = np.where(se > 0, stdtrit(freedom, 0.5 + confidence / 2) * se, se)
        p_value = np.where(se > 0, 2 * stdtr(freedom, -np.abs(gap) / se), np.where(gap == 0, 1.0, 0.0))
    p_value = np.where(np.isnan(se), np.nan, p_value)
    return Difference(plain(gap), plain(gap - reach), plain(gap + reach), plain(p_value))
