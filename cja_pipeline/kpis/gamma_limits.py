"""Limits of what is never negative and leans to the right: counts, revenue, mean amounts, shares of money.

Part of ``cja_pipeline.kpis.stats``, which re-exports every name. A symmetric interval around such a figure
misses the truth more often above than below. A gamma distribution with the figure's mean and standard error
leans as much as such figures do. Source: Fay & Feuer 1997, "Confidence intervals for directly standardized
rates"; measured on resampled customers (``cja bench intervals``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.kpis.proportions import Interval, as_floats, plain, z_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def poisson(events: ArrayLike, confidence: float = 0.95) -> Interval:
    """Limits of the mean of a Poisson count, by the inverse incomplete gamma function (Garwood 1936)."""
    import numpy as np
    from scipy.special import gammaincinv

    count, tail = as_floats(events), (1 - confidence) / 2
    low = np.where(count > 0, gammaincinv(np.maximum(count, 1e-9), tail), 0.0)
    return Interval(plain(low), plain(gammaincinv(count + 1, 1 - tail)))


def gamma_ratio(ratio: ArrayLike, se: ArrayLike, freedom: ArrayLike, confidence: float = 0.95) -> Interval:
    """Limits of a positive figure from its standard error; NaN where the figure is not positive.

    Args:
        freedom: degrees of freedom of the standard error; infinite where it is known.
    """
    import numpy as np
    from scipy.special import gammaincinv, ndtr, stdtrit

    value, error, known = np.broadcast_arrays(as_floats(ratio), as_floats(se), as_floats(freedom))
    with np.errstate(divide="ignore", invalid="ignore"):
        events = np.where((value > 0) & (error > 0), (value / error) ** 2, np.nan)
        # few observations make the error itself uncertain: as far out as Student's t goes
        reach = np.where(
            np.isfinite(known), stdtrit(np.maximum(known, 1), 0.5 + confidence / 2), z_value(confidence)
        )
        tail = ndtr(-reach)
        low = value / events * gammaincinv(events, tail)
        high = value / events * gammaincinv(events + 1, 1 - tail)
    certain = (value > 0) & (error == 0)
    return Interval(plain(np.where(certain, value, low)), plain(np.where(certain, value, high)))


def compound_poisson(
    total: ArrayLike, sum_of_squares: ArrayLike, one_event: float = 1.0, confidence: float = 0.95
) -> Interval:
    """Limits of a total that customers add to at random times: revenue, or counts that come in bursts.

    With φ = Σx²/Σx (x a cluster's sum) the total is treated as φ times a Poisson count of Σx/φ: exact Poisson
    limits where every cluster adds 1, total ± z·√Σx² for large totals, and never below 0 for small ones.

    Args:
        one_event: φ where nothing happened; NaN makes the limits of such a total unknown (money).
    Source: variance of a compound Poisson sum. A negative total (refunds above revenue) has normal limits.
    """
    import numpy as np

    value, squares = as_floats(total), as_floats(sum_of_squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        # clusters that all add 1 have no sizes to be unsure of
        sure = np.abs(squares - value) <= 1e-9 * squares
        freedom = np.where(sure, np.inf, 2 * value * value / squares)
        low, high = gamma_ratio(value, np.sqrt(squares), freedom, confidence)
        reach = z_value(confidence) * np.sqrt(squares)
    none = (value == 0) & (squares == 0)
    low = np.where(none, 0.0 * one_event, np.where(value > 0, low, value - reach))
    high = np.where(none, one_event * poisson(0.0, confidence).high, np.where(value > 0, high, value + reach))
    return Interval(plain(low), plain(high))


def one_or_more(ratio: ArrayLike, se: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> Interval:
    """Limits of a mean per cluster that is at least 1 for each (orders per buyer): the excess over 1 is rare
    and has limits of its own, also where no cluster has any.
    """
    import numpy as np

    value, error, count = as_floats(ratio), as_floats(se), as_floats(clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = gamma_ratio(value - 1, error, np.inf, confidence)
        none = np.maximum(poisson(0.0, confidence).high / count, 0.0)
    some = value > 1
    return Interval(plain(np.where(some, 1 + low, 1.0)), plain(np.where(some, 1 + high, 1 + none)))


def share_of_amounts(
    share: ArrayLike, se: ArrayLike, clusters: ArrayLike, confidence: float = 0.95
) -> Interval:
    """Limits of a share of money or other amounts (refunds of revenue), to which few clusters may contribute.

    The standard error rests on the contributors alone, in effect (share / se)² of them; twice as many degrees
    of freedom cover best. Without any, the
    limits are those of none of `clusters`.
    """
    import numpy as np

    from cja_pipeline.kpis.proportions import wilson

    value, error, count = as_floats(share), as_floats(se), as_floats(clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = gamma_ratio(value, error, 2 * (value / error) ** 2, confidence)
    none = wilson(np.zeros(count.shape), count, confidence)
    low, high = np.where(value > 0, low, none.low), np.where(value > 0, high, none.high)
    return Interval(plain(low), plain(np.minimum(high, np.maximum(value, 1.0))))
