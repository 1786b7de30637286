"""Maximum likelihood of positive parameters: analytic gradient, Newton polish, uncertainty of logarithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    # natural parameters -> (log-likelihood, its gradient by the natural parameters)
    Objective = Callable[[Floats], tuple[float, Floats]]

# Multiples of the scale that are searched. Beyond them a distribution hardly changes any more (everybody is
# alike), so a fit may rest on a limit: predictions are good, but that parameter has no interval of its own.
LIMITS = (1e-3, 50.0)
WIDE = (1e-6, 1e6)  # for parameters that are units of time or money
FLAT = 0.6  # standard error of a logarithm from which on the normal picture is not trusted
PROPOSALS = 8  # draws weighed for each one kept
REST = 1e-9  # nearer to a limit than this (in logs) counts as resting on it


@dataclass(frozen=True)
class Fit:
    """A fitted model: parameters by name, their uncertainty, and how good and how finished the fit is.

    Attributes:
        names, values: the parameters, in the units of the data.
        covariance: of the logarithms of the parameters; 0 for one that rests on a limit.
        log_likelihood: at the maximum, over all customers.
        gradient_norm: largest derivative of the log-likelihood per customer by a free log-parameter; about 0.
        n: customers that the fit used.
        converged: a maximum was found (within the limits).
        at_limit: names of parameters that rest on a limit.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    log_likelihood: float
    gradient_norm: float
    n: int
    converged: bool
    at_limit: tuple[str, ...] = ()
    objective: Objective | None = field(default=None, repr=False, compare=False)

    @property
    def params(self) -> dict[str, float]:
        """Parameters by name."""
        return dict(zip(self.names, map(float, self.values), strict=True))

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard errors of the parameters (delta method from the logarithms)."""
        return {
            name: float(value * self.covariance[i, i] ** 0.5)
            for i, (name, value) in enumerate(zip(self.names, self.values, strict=True))
        }

    def intervals(self, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
        """Limits of the parameters, symmetric on the log scale."""
        import numpy as np
        from scipy.special import ndtri

        reach = ndtri(0.5 + confidence / 2) * np.sqrt(np.diag(self.covariance))
        return {
            name: (float(low), float(high))
            for name, low, high in zip(
                self.names, self.values * np.exp(-reach), self.values * np.exp(reach), strict=True
            )
        }

    def draws(self, count: int, seed: int = 7) -> Floats:
        """Parameter vectors as uncertain as the fit, shape (count, parameters); repeatable for a seed.

        Normal in the logarithms. Where these are badly known (a flat ridge, as with little history) that is a
        poor picture of the likelihood, and draws are weighted with the likelihood itself (sampling-importance
        resampling, Rubin 1988).
        """
        import numpy as np

        random = np.random.Generator(np.random.Philox(seed))
        flat = self.objective is not None and float(np.diag(self.covariance).max()) > FLAT**2
        # eigenvectors, not Cholesky: parameters at a limit make the matrix singular
        size, direction = np.linalg.eigh(self.covariance)
        normal = random.standard_normal((count * (PROPOSALS if flat else 1), len(self.values)))
        drawn = self.values * np.exp(normal @ (direction * np.sqrt(np.maximum(size, 0.0))).T)
        if not flat or self.objective is None:
            return drawn
        with np.errstate(all="ignore"):
            support = np.array([self.objective(values)[0] for values in drawn]) - self.log_likelihood
        weight = np.exp(np.minimum(np.nan_to_num(support, nan=-np.inf), 1.0) + (normal**2).sum(axis=1) / 2)
        place = np.searchsorted(np.cumsum(weight), (np.arange(count) + 0.5) / count * weight.sum())
        return drawn[np.minimum(place, len(drawn) - 1)]


def maximise(
    objective: Objective,
    names: Sequence[str],
    scale: Sequence[float],
    n: float,
    starts: Sequence[Sequence[float]],
    limits: Sequence[tuple[float, float]],
) -> dict[str, Any]:
    """Find the maximum over positive parameters; returns the fields of `Fit`.

    Args:
        scale: typical size of each parameter (unit of time or money); the search runs in logs of multiples.
        n: customers, by which the objective is divided so that tolerances do not depend on the size.
        starts: multiples of `scale` to start from; the best end wins.
        limits: least and largest multiple of each parameter.
    """
    import numpy as np
    from scipy.optimize import minimize

    unit, box = np.asarray(scale, dtype=float), np.log(np.asarray(limits, dtype=float))

    def loss(logs: Floats) -> tuple[float, Floats]:
        values = unit * np.exp(logs)
        total, gradient = objective(values)
        return -total / n, -gradient * values / n

    ends = [
        minimize(
            loss,
            np.log(np.asarray(start, dtype=float)),
            jac=True,
            method="L-BFGS-B",
            bounds=box,
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
        )
        for start in starts
    ]
    logs = min(ends, key=lambda end: float(end.fun)).x
    free = (logs > box[:, 0] + REST) & (logs < box[:, 1] - REST)
    for _ in range(6):  # quadratic convergence: the quasi-Newton search stops at about 1e-6
        gradient, hessian = loss(logs)[1][free], _hessian(loss, logs, free)
        if not free.any() or np.abs(gradient).max() < 1e-10 or np.linalg.eigvalsh(hessian).min() <= 0:
            break
        step = np.zeros(len(logs))
        step[free] = np.linalg.solve(hessian, gradient)
        tried = np.clip(logs - step, box[:, 0], box[:, 1])
        if np.abs(step).max() > 0.5 or loss(tried)[0] > loss(logs)[0] + 1e-12:
            break
        logs = tried
    final, gradient = loss(logs)
    hessian = _hessian(loss, logs, free)
    curved = bool(np.linalg.eigvalsh(hessian).min() > 0) if free.any() else True
    covariance = np.zeros((len(unit), len(unit)))
    if curved:
        covariance[np.ix_(free, free)] = np.linalg.inv(hessian) / n
    slope = float(np.abs(gradient[free]).max(initial=0.0))
    return {
        "names": tuple(names),
        "values": unit * np.exp(logs),
        "covariance": covariance,
        "log_likelihood": float(-final * n),
        "gradient_norm": slope,
        "n": round(n),
        "converged": curved and slope < 1e-6,
        "objective": objective,
        "at_limit": tuple(name for name, inside in zip(names, free, strict=True) if not inside),
    }


def _hessian(loss: Callable[[Floats], tuple[float, Floats]], logs: Floats, free: Any) -> Floats:
    """Second derivatives by the free parameters, from central differences of the gradient."""
    import numpy as np

    step = 1e-4
    columns = [
        (loss(logs + step * unit)[1] - loss(logs - step * unit)[1])[free] / (2 * step)
        for unit in np.eye(len(logs))[free]
    ]
    matrix = np.array(columns).reshape(len(columns), len(columns))
    return (matrix + matrix.T) / 2


def compress(*columns: Any) -> tuple[list[Floats], Floats, Any]:
    """Distinct rows of the columns, how often each occurs, and each row's place among the distinct ones."""
    import numpy as np

    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, places = np.unique(column, return_inverse=True)
        # keep codes small before they are multiplied: the product of two counts fits, that of five may not
        _, code = np.unique(code * len(values) + places, return_inverse=True)
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    return [np.asarray(column, dtype=float)[first] for column in columns], counts.astype(float), code
