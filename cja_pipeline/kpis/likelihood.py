"""Maximum likelihood of positive parameters: analytic gradient, Newton polish, uncertainty of logarithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    # natural parameters -> (log-likelihood, its gradient by the natural parameters)
    Objective = Callable[[Floats], tuple[float, Floats]]

BOUND = 12.0  # of the logarithm of a scaled parameter: a fit that runs there has found no maximum


@dataclass(frozen=True)
class Fit:
    """A fitted model: parameters by name, their uncertainty, and how good and how finished the fit is.

    Attributes:
        names, values: the parameters, in the units of the data.
        covariance: of the logarithms of the parameters.
        log_likelihood: at the maximum, over all customers.
        gradient_norm: largest derivative of the log-likelihood per customer by a log-parameter; about 0.
        n: customers that the fit used.
        converged: a maximum was found inside the bounds.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    log_likelihood: float
    gradient_norm: float
    n: int
    converged: bool

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
        """Parameter vectors as uncertain as the fit, shape (count, parameters); repeatable for a seed."""
        import numpy as np

        random = np.random.Generator(np.random.Philox(seed))
        root = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(len(self.values)))
        return self.values * np.exp(random.standard_normal((count, len(self.values))) @ root.T)


def maximise(
    objective: Objective,
    names: Sequence[str],
    scale: Sequence[float],
    n: float,
    starts: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """Find the maximum over positive parameters; returns the fields of `Fit`.

    Args:
        scale: typical size of each parameter (unit of time or money); the search runs in logs of multiples.
        n: customers, by which the objective is divided so that tolerances do not depend on the size.
        starts: multiples of `scale` to start from; the best end wins.
    """
    import numpy as np
    from scipy.optimize import minimize

    unit = np.asarray(scale, dtype=float)

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
            bounds=[(-BOUND, BOUND)] * len(unit),
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
        )
        for start in starts
    ]
    logs = min(ends, key=lambda end: float(end.fun)).x
    for _ in range(4):  # quadratic convergence: the quasi-Newton search stops at about 1e-6
        gradient, hessian = loss(logs)[1], _hessian(loss, logs)
        if np.abs(gradient).max() < 1e-10 or np.linalg.eigvalsh(hessian).min() <= 0:
            break
        step = np.linalg.solve(hessian, gradient)
        if np.abs(step).max() > 0.5 or loss(logs - step)[0] > loss(logs)[0] + 1e-12:
            break
        logs = logs - step
    final, gradient = loss(logs)
    hessian = _hessian(loss, logs)
    inside = bool((np.abs(logs) < BOUND - 0.5).all()) and bool(np.linalg.eigvalsh(hessian).min() > 0)
    return {
        "names": tuple(names),
        "values": unit * np.exp(logs),
        "covariance": np.linalg.inv(hessian) / n if inside else np.full((len(unit), len(unit)), np.nan),
        "log_likelihood": float(-final * n),
        "gradient_norm": float(np.abs(gradient).max()),
        "n": round(n),
        "converged": inside and float(np.abs(gradient).max()) < 1e-6,
    }


def _hessian(loss: Callable[[Floats], tuple[float, Floats]], logs: Floats) -> Floats:
    import numpy as np

    step = 1e-4
    columns = [
        (loss(logs + step * unit)[1] - loss(logs - step * unit)[1]) / (2 * step) for unit in np.eye(len(logs))
    ]
    matrix = np.array(columns)
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
