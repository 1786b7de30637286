"""How often customers will buy again: BG/NBD and MBG/NBD.

A customer buys at a personal rate (gamma over customers) and after each purchase leaves for good with a
personal chance (beta over customers); in MBG/NBD also right after the first purchase. Sources: Fader, Hardie
& Lee 2005, "Counting Your Customers the Easy Way" (BG/NBD); Batislam, Denizel & Filiztekin 2007 (MBG/NBD).

Everywhere: ``frequency`` = repeat purchases (x), ``recency`` = time of the last purchase since the first (0
without a repeat), ``age`` = time since the first purchase (T), all in one unit of time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from cja_pipeline.kpis.likelihood import LIMITS, WIDE, Fit, compress, maximise
from cja_pipeline.kpis.proportions import as_floats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

NAMES = ("r", "alpha", "a", "b")


@dataclass(frozen=True)
class PurchaseFit(Fit):
    """A fitted purchase model. Parameters: r, alpha (time) of the rate; a, b of the chance to leave."""

    model: Literal["bg_nbd", "mbg_nbd"] = "bg_nbd"

    def p_alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
        """Chance of not having left. In BG/NBD it is 1 for every one-time buyer: use `p_active` for churn."""
        from scipy.special import expit

        x, t_x, T = _columns(frequency, recency, age)
        return expit(-_log_odds_left(self.values, x, t_x, T, self._shift))

    def p_active(self, horizon: float, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
        """Chance of at least one purchase within the next `horizon`.

        Exact, as customers leave at purchases only: p_alive · (1 - ((α + T) / (α + T + h))^(r + x)).
        """
        x, _, T = _columns(frequency, recency, age)
        r, alpha, _, _ = self.values
        return self.p_alive(frequency, recency, age) * (1 - ((alpha + T) / (alpha + T + horizon)) ** (r + x))

    def expected_purchases(
        self, horizon: float, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Floats:
        """Expected purchases within the next `horizon` of customers with this history."""
        x, _, T = _columns(frequency, recency, age)
        return self.p_alive(frequency, recency, age) * self.if_alive(x, T, float(horizon))

    def expected_new(self, horizon: ArrayLike) -> Floats:
        """Expected repeat purchases of a new customer within `horizon` after the first purchase, E[X(t)]."""
        import numpy as np

        times = np.atleast_1d(np.asarray(horizon, dtype=float))
        zero = np.zeros(1)
        _, _, a, b = self.values
        stays = 1.0 if self.model == "bg_nbd" else b / (a + b)
        found = np.array([stays * self.if_alive(zero, zero, time)[0] for time in times])
        return found if np.ndim(horizon) else found[0]

    def with_values(self, values: Floats) -> PurchaseFit:
        """The same model with other parameters, for example one of `draws`."""
        return replace(self, values=values)

    @property
    def _shift(self) -> int:
        return 0 if self.model == "bg_nbd" else 1

    def if_alive(self, x: Floats, T: Floats, horizon: float) -> Floats:
        """Expected purchases of a customer who is still there; it depends on frequency x and age T only."""
        import numpy as np
        from scipy.special import hyp2f1

        r, alpha, a, b = self.values
        if abs(a - 1) < 1e-7:
            a = 1 + 1e-7  # 0/0 at exactly 1; the limit is smooth
        (xs, ages), _, place = compress(x, T)
        shape = a + b + xs + self._shift - 1  # of the chance to leave, given the history
        z = horizon / (alpha + ages + horizon)
        # Euler's transform of Fader, Hardie & Lee's equation: no cancellation for large x or small a + b
        series = (1 - z) ** (a - 1) * hyp2f1(shape - r - xs, a - 1, shape, z)
        return np.maximum(shape / (a - 1) * (1 - series), 0.0)[place]


def fit_bg_nbd(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> PurchaseFit:
    """Fit BG/NBD to one row per customer by maximum likelihood.

    Returns:
        The fit: ``params``, ``intervals()``, ``log_likelihood``, ``expected_purchases(…)``, ``p_active(…)``.
    Raises:
        ValueError: no rows, columns of different length, values that are no numbers or negative, a frequency
            that is no whole number, a recency beyond the age, or one without a repeat purchase.
    """
    return _fit("bg_nbd", frequency, recency, age)


def fit_mbg_nbd(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> PurchaseFit:
    """Fit MBG/NBD, in which one-time buyers may have left, by maximum likelihood; as `fit_bg_nbd`."""
    return _fit("mbg_nbd", frequency, recency, age)


def _fit(
    model: Literal["bg_nbd", "mbg_nbd"], frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
) -> PurchaseFit:
    import numpy as np

    columns = _columns(frequency, recency, age)
    _check(*columns)
    (x, t_x, T), weight, _ = compress(*columns)
    shift = 0 if model == "bg_nbd" else 1

    def objective(values: Floats) -> tuple[float, Floats]:
        return _log_likelihood(values, x, t_x, T, weight, shift)

    scale = [1.0, float(np.median(columns[2])) or 1.0, 1.0, 1.0]
    starts = [(0.5, 0.3, 0.7, 2.0), (1.5, 1.5, 1.0, 4.0)]
    found = maximise(objective, NAMES, scale, len(columns[0]), starts, [LIMITS, WIDE, LIMITS, LIMITS])
    return PurchaseFit(**found, model=model)


def _log_odds_left(values: Floats, x: Floats, t_x: Floats, T: Floats, shift: int) -> Floats:
    """Log odds of having left; -infinity where the model has not allowed it yet."""
    import numpy as np

    r, alpha, a, b = values
    chances = b + x + shift - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log(a) - np.log(chances) + (r + x) * (np.log(alpha + T) - np.log(alpha + t_x))
    return np.where(x + shift > 0, odds, -np.inf)


def _log_likelihood(
    values: Floats, x: Floats, t_x: Floats, T: Floats, weight: Floats, shift: int
) -> tuple[float, Floats]:
    import numpy as np
    from scipy.special import expit, gammaln, psi

    r, alpha, a, b = values
    odds = _log_odds_left(values, x, t_x, T, shift)
    left = expit(odds)
    kept = x + shift  # times the customer did not leave
    total = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        - (r + x) * np.log(alpha + T)
        + gammaln(a + b)
        + gammaln(b + kept)
        - gammaln(b)
        - gammaln(a + b + kept)
        + np.logaddexp(odds, 0.0)
    )
    stretch = np.log(alpha + T) - np.log(alpha + t_x)
    chances = np.where(kept > 0, b + kept - 1, 1.0)
    both = psi(a + b) - psi(a + b + kept)
    gradient = (
        psi(r + x) - psi(r) + np.log(alpha) - np.log(alpha + T) + left * stretch,
        r / alpha - (r + x) / (alpha + T) + left * (r + x) * (1 / (alpha + T) - 1 / (alpha + t_x)),
        both + left / a,
        both + psi(b + kept) - psi(b) - left / chances,
    )
    return float(weight @ total), np.array([float(weight @ part) for part in gradient])


def _columns(*columns: Any) -> list[Floats]:
    import numpy as np

    arrays = [np.atleast_1d(as_floats(column)) for column in columns]
    sizes = {len(array) for array in arrays if len(array) != 1}
    if len(sizes) > 1 or any(array.ndim > 1 for array in arrays):
        raise ValueError("frequency, recency and age must be columns with one entry per customer.")
    return list(np.broadcast_arrays(*arrays))


def _check(x: Floats, t_x: Floats, T: Floats) -> None:
    if len(x) == 0:
        raise ValueError("no customers: frequency, recency and age are empty.")
    if not all(((column >= 0) & (column < float("inf"))).all() for column in (x, t_x, T)):
        raise ValueError("frequency, recency and age must be finite and not negative.")
    if (x % 1 != 0).any():
        raise ValueError("frequency must be whole numbers: repeat purchases of each customer.")
    if (t_x > T).any():
        raise ValueError(
            "a recency is beyond the age: both count from the first purchase, in one unit of time."
        )
    if ((x == 0) & (t_x > 0)).any():
        raise ValueError("a recency without a repeat purchase: expected 0 where frequency is 0.")
