"""Durations with open ends: Kaplan-Meier survival, its limits and quantiles, and the log-rank test.

A duration is *censored* when the event had not happened by the end of observation. Dropping such rows, or
averaging only those that ended, understates every duration; these functions use them for as long as they were
observed. Formulas: Kaplan & Meier 1958; Greenwood 1926; log(-log) limits: Kalbfleisch & Prentice 1980.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.proportions import as_floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier curve: one entry per distinct event time (the unit of the durations given)."""

    times: NDArray[np.float64]
    at_risk: NDArray[np.float64]
    events: NDArray[np.float64]
    survival: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    greenwood: NDArray[np.float64]
    n: int
    longest: float

    def at(self, time: float) -> tuple[float, float, float]:
        """Share still without the event after `time`, with limits; NaN beyond the longest observation."""
        import numpy as np

        if self.n == 0 or (time > self.longest and not self._exhausted):
            return np.nan, np.nan, np.nan
        place = int(np.searchsorted(self.times, time, side="right")) - 1
        if place < 0:
            return 1.0, 1.0, 1.0
        return float(self.survival[place]), float(self.low[place]), float(self.high[place])

    def quantile(self, q: float = 0.5) -> tuple[float, float, float]:
        """Time by which the share `q` had the event, with limits; infinity where it is not reached.

        Limits by inverting the pointwise limits of the curve (Brookmeyer & Crowley 1982).
        """
        if self.n == 0:
            return (float("nan"),) * 3
        # the lower survival limit crosses first: it gives the lower limit of the time
        return tuple(self._first(curve, 1 - q) for curve in (self.survival, self.low, self.high))  # type: ignore[return-value]

    def restricted_mean(self, horizon: float) -> float:
        """Mean time without the event within `horizon`: area under the curve; NaN if not observed so far."""
        import numpy as np

        if self.n == 0 or (horizon > self.longest and not self._exhausted):
            return float("nan")
        inside = self.times < horizon
        edges = np.concatenate([[0.0], self.times[inside], [horizon]])
        return float(np.sum(np.diff(edges) * np.concatenate([[1.0], self.survival[inside]])))

    @property
    def _exhausted(self) -> bool:
        """Everybody had the event: the curve is 0 from there on, however far one looks."""
        return bool(len(self.survival)) and float(self.survival[-1]) == 0.0

    def _first(self, curve: Any, level: float) -> float:
        import numpy as np

        # 1e-12: a curve that lands exactly on the level but for rounding has reached it
        reached = np.flatnonzero(curve <= level + 1e-12)
        return float(self.times[reached[0]]) if len(reached) else float("inf")


def kaplan_meier(
    durations: ArrayLike, observed: ArrayLike, weights: ArrayLike | None = None, confidence: float = 0.95
) -> Survival:
    """Survival curve of durations, of which some are censored.

    Args:
        durations: time to the event, or to the end of observation. Any unit; never negative.
        observed: true where the event happened, false where the row is censored.
        weights: how many subjects a row stands for (compressed data), default 1.

    At equal times, events count before censorings. Returns an empty curve (n = 0) for no rows.

    Raises:
        ValueError: the columns differ in length, a duration is negative or unknown, or `observed` is neither
            true nor false.
    """
    import numpy as np
    from scipy.special import ndtri

    time, event = as_floats(durations), as_floats(observed)
    weight = np.ones(len(time)) if weights is None else as_floats(weights)
    if not len(time) == len(event) == len(weight):
        raise ValueError("kaplan_meier: durations, observed and weights must have one entry per row.")
    if np.isnan(time).any() or not np.isin(event, (0.0, 1.0)).all():
        raise ValueError("kaplan_meier: durations must be known, and observed true or false.")
    if len(time) and float(time.min()) < 0:
        raise ValueError("kaplan_meier: durations must not be negative; check the order of start and end.")
    distinct, codes = np.unique(time, return_inverse=True)
    deaths = np.bincount(codes, event * weight, minlength=len(distinct)).astype(float)
    leaving = np.bincount(codes, weight, minlength=len(distinct))
    risk = leaving[::-1].cumsum()[::-1]
    keep = deaths > 0
    times, deaths, risk = distinct[keep], deaths[keep], risk[keep]
    survival = np.cumprod(1 - deaths / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(deaths / (risk * (risk - deaths)))
        spread = ndtri(0.5 + confidence / 2) * np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    # where the curve has fallen to 0 the variance is undefined: the limits carry on from the step before
    ended = survival <= 0
    low = np.where(ended, 0.0, low)
    if ended.any():
        last = high[~ended][-1] if (~ended).any() else 1.0
        high = np.where(ended, last, high)
    return Survival(
        times,
        risk.astype(float),
        deaths,
        survival,
        low,
        high,
        greenwood,
        int(weight.sum()),
        float(time.max(initial=0.0)),
    )


def clustered_at(
    durations: ArrayLike, observed: ArrayLike, cluster: ArrayLike, time: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """`kaplan_meier(...).at(time)` for rows that belong together (orders of one customer), never narrower.

    Args:
        cluster: an integer per row.
    Source: sum of squared influences per cluster, Williams 1995; log(-log) limits as in `kaplan_meier`, with
    Student's t: the few clusters that were watched for long carry most of the variance (Satterthwaite 1946).
    """
    import numpy as np
    from scipy.special import stdtrit

    curve = kaplan_meier(durations, observed, confidence=confidence)
    share, low, high = curve.at(time)
    if not 0 < share < 1:
        return share, low, high
    x, event = np.asarray(durations, dtype=float), np.asarray(observed, dtype=bool)
    inside = curve.times <= time
    steps = np.concatenate([[0.0], np.cumsum(curve.events[inside] / curve.at_risk[inside] ** 2)])
    influence = steps[np.searchsorted(curve.times[inside], np.minimum(x, time), side="right")]
    died = event & (x <= time)
    influence[died] -= 1 / curve.at_risk[np.searchsorted(curve.times, x[died])]
    _, codes = np.unique(np.asarray(cluster), return_inverse=True)
    parts = np.bincount(codes, influence) ** 2
    variance = max(float(parts.sum()), float(curve.greenwood[inside][-1]))
    t = stdtrit(max(parts.sum() ** 2 / (parts**2).sum() - 1, 1.0), 0.5 + confidence / 2)
    spread = float(t * np.sqrt(variance) / abs(np.log(share)))
    return share, float(share ** np.exp(spread)), float(share ** np.exp(-spread))


def log_rank(
    durations_a: ArrayLike, observed_a: ArrayLike, durations_b: ArrayLike, observed_b: ArrayLike
) -> tuple[float, float]:
    """Chi-square (1 degree of freedom) and p-value that two groups have one survival curve (Mantel 1966)."""
    import numpy as np
    from scipy.special import chdtrc

    ta, tb = np.asarray(durations_a, dtype=float), np.asarray(durations_b, dtype=float)
    ea, eb = np.asarray(observed_a, dtype=bool), np.asarray(observed_b, dtype=bool)
    times = np.unique(np.concatenate([ta[ea], tb[eb]]))
    if len(times) == 0:
        return float("nan"), float("nan")

    def at_risk(time: Any) -> Any:
        return len(time) - np.searchsorted(np.sort(time), times, side="left")

    def deaths(time: Any) -> Any:
        ordered = np.sort(time)
        return np.searchsorted(ordered, times, side="right") - np.searchsorted(ordered, times, side="left")

    risk_a, risk_b = at_risk(ta), at_risk(tb)
    dead_a, dead = deaths(ta[ea]), deaths(ta[ea]) + deaths(tb[eb])
    risk = risk_a + risk_b
    expected = dead * risk_a / risk
    variance = np.where(
        risk > 1, dead * (risk_a / risk) * (risk_b / risk) * (risk - dead) / np.maximum(risk - 1, 1), 0.0
    )
    if variance.sum() == 0:
        return float("nan"), float("nan")
    chi2 = float((dead_a.sum() - expected.sum()) ** 2 / variance.sum())
    return chi2, float(chdtrc(1, chi2))
