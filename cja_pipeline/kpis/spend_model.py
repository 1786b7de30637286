"""How much customers spend per purchase: Gamma-Gamma.

Source: Fader & Hardie 2013, "The Gamma-Gamma Model of Monetary Value". It assumes that spending and frequency
are unrelated; `SpendFit.correlation` tells whether they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cja_pipeline.kpis.likelihood import LIMITS, WIDE, Fit, compress, maximise
from cja_pipeline.kpis.proportions import as_floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpendFit(Fit):
    """A fitted spending model with parameters p, q and gamma (money)."""

    correlation: float = float("nan")

    @property
    def mean(self) -> float:
        """Expected spending per purchase over all customers, p·γ / (q - 1); infinite for q ≤ 1."""
        p, q, gamma = self.values
        return float(p * gamma / (q - 1)) if q > 1 else float("inf")

    def expected_value(self, frequency: ArrayLike, monetary: ArrayLike) -> Floats:
        """Expected spending per future purchase: p·(γ + x·m) / (p·x + q - 1), a weighted mean of the
        customer's own and everyone's. Without a repeat purchase (x = 0) it is everyone's."""
        import numpy as np

        p, q, gamma = self.values
        x = np.asarray(frequency, dtype=float)
        spent = x * np.nan_to_num(np.asarray(monetary, dtype=float))
        with np.errstate(divide="ignore"):
            return np.where(p * x + q > 1, p * (gamma + spent) / np.abs(p * x + q - 1), np.inf)

    def with_values(self, values: Floats) -> SpendFit:
        """The same model with other parameters, for example one of `draws`."""
        return replace(self, values=values)


def fit_gamma_gamma(frequency: ArrayLike, monetary: ArrayLike) -> SpendFit:
    """Fit Gamma-Gamma by maximum likelihood.

    Args:
        frequency: repeat purchases of each customer; rows with 0 are left out.
        monetary: mean value of these purchases, any currency; rows without a positive value are left out.

    Raises:
        ValueError: the columns differ in length or are no numbers, or no row has both a repeat purchase and a
            positive value.
    """
    import numpy as np
    from scipy.special import gammaln, psi

    x, m = np.atleast_1d(as_floats(frequency)), np.atleast_1d(as_floats(monetary))
    if x.ndim > 1 or x.shape != m.shape:
        raise ValueError("frequency and monetary must be columns with one entry per customer.")
    used = (x > 0) & (m > 0) & np.isfinite(m)
    if not used.any():
        raise ValueError("no customer has a repeat purchase of positive value.")
    (xs, means), weight, _ = compress(x[used], m[used])
    log_m, log_x = np.log(means), np.log(xs)

    def objective(values: Floats) -> tuple[float, Floats]:
        p, q, gamma = values
        log_sum = np.log(gamma + means * xs)
        total = (
            gammaln(p * xs + q)
            - gammaln(p * xs)
            - gammaln(q)
            + q * np.log(gamma)
            + (p * xs - 1) * log_m
            + p * xs * log_x
            - (p * xs + q) * log_sum
        )
        gradient = (
            xs * (psi(p * xs + q) - psi(p * xs) + log_m + log_x - log_sum),
            psi(p * xs + q) - psi(q) + np.log(gamma) - log_sum,
            q / gamma - (p * xs + q) / (gamma + means * xs),
        )
        return float(weight @ total), np.array([float(weight @ part) for part in gradient])

    scale = [1.0, 1.0, float(np.median(m[used]))]
    starts = [(5, 4, 0.5), (1.5, 2.5, 2)]
    found = maximise(objective, ("p", "q", "gamma"), scale, int(used.sum()), starts, [LIMITS, LIMITS, WIDE])
    return SpendFit(**found, correlation=_correlation(x[used], m[used]))


def _correlation(x: Floats, m: Floats) -> float:
    import numpy as np

    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(m) == 0:
        return float("nan")
    return float(np.corrcoef(x, m)[0, 1])
