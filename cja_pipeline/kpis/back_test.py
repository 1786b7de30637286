"""Does the purchase model foretell what then happened? Fit on the past, compare with the days held back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.journey_config import Value
from cja_pipeline.kpis.purchase_models import PurchaseFit
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELD_BACK_DAYS = 90
# Purchases per customer before the cut and after it; `held` is how many of the newest days are held back.
SPLIT = """
    WITH purchases AS (
        SELECT DISTINCT o.customer_id, o.business_date AS day, p.last_day - CAST($held AS INTEGER) AS cut
        FROM customers.orders AS o CROSS JOIN config.journey_params AS p
    )
    SELECT count(CASE WHEN day <= cut THEN 1 END) - 1 AS frequency,
        date_diff('day', min(day), max(CASE WHEN day <= cut THEN day END)) AS recency,
        date_diff('day', min(day), min(cut)) AS age, count(CASE WHEN day > cut THEN 1 END) AS later
    FROM purchases GROUP BY customer_id HAVING min(day) <= min(cut) ORDER BY customer_id
"""


def back_test(
    wh: Warehouse, config: Value, fit: Callable[..., PurchaseFit], status: str
) -> list[dict[str, Any]]:
    """Rows of ``kpis.value_models``: predicted against actual purchases of the newest third of history.

    At most 90 days are held back. The intervals are those that the model itself foretells: an actual figure
    outside of them says that the shop does not behave as the model assumes. Where the past that remains is
    too small, one row says so.
    """
    span = wh.scalar(
        "SELECT date_diff('day', min(business_date), max(p.last_day)) "
        "FROM customers.orders CROSS JOIN config.journey_params AS p"
    )
    held = min(HELD_BACK_DAYS, int(span or 0) // 3)
    past = wh.df(SPLIT, {"held": held})
    base = {"model": "back_test", "low": None, "high": None, "value": None, "note": ""}
    repeaters = int((past["frequency"] > 0).sum())
    if status != "ok" or held < 14 or len(past) < config.min_customers or repeaters < config.min_repeaters:
        note = "the past that remains is too small to fit on" if status == "ok" else "no model was fitted"
        return [base | {"item": "error", "status": "too_little_history", "note": note}]
    history = [past[column].to_numpy(dtype=float) for column in ("frequency", "recency", "age")]
    fitted = fit(*history)
    if not fitted.converged:
        return [base | {"item": "error", "status": "not_converged", "note": "the fit on the past failed"}]
    later = past["later"].to_numpy(dtype=float)
    expected = fitted.expected_purchases(float(held), *history)
    chance = fitted.p_active(float(held), *history)
    base["status"] = "ok"
    total, share = _spreads(fitted, float(held), history, expected, chance, config.draws)
    actual = later.sum()
    return [
        base | row
        for row in (
            {"item": "held_back_days", "value": float(held), "note": "newest days, not seen by the fit"},
            {"item": "customers", "value": float(len(past)), "note": "buyers before these days"},
            {"item": "actual_purchases", "value": float(later.sum()), "note": "of these buyers"},
            {"item": "predicted_purchases", "note": "of these buyers", **_around(expected.sum(), total)},
            {
                "item": "error",
                "note": "predicted / actual - 1; the model knows no season",
                **(_around(expected.sum() / actual - 1, total / actual) if actual else {}),
            },
            {"item": "actual_active", "value": float((later > 0).mean()), "note": "share who bought again"},
            {"item": "predicted_active", "note": "mean chance to buy again", **_around(chance.mean(), share)},
            {
                "item": "auc",
                "value": auc(chance, later > 0),
                "note": "chance that a buyer who came back was ranked above one who did not",
            },
        )
    ]


def _spreads(
    fit: PurchaseFit, horizon: float, history: list[Any], expected: Any, chance: Any, draws: int
) -> tuple[float, float]:
    """Standard deviations of total purchases and of the share active, as the model itself foretells them:
    of the parameters (draws) and of chance (Poisson purchases, customers independent)."""
    import numpy as np

    again = [fit.with_values(values) for values in fit.draws(draws)]
    totals = np.array([each.expected_purchases(horizon, *history).sum() for each in again])
    shares = np.array([each.p_active(horizon, *history).mean() for each in again])
    totals, shares = totals[np.isfinite(totals)], shares[np.isfinite(shares)]
    if min(len(totals), len(shares)) < draws / 2:  # the draws that are left would flatter the interval
        return float("nan"), float("nan")
    by_chance = (chance * (1 - chance)).sum() / len(chance) ** 2
    return float(np.sqrt(totals.var() + expected.sum())), float(np.sqrt(shares.var() + by_chance))


def _around(value: Any, spread: float) -> dict[str, float]:
    return {"value": float(value), "low": float(value - 1.96 * spread), "high": float(value + 1.96 * spread)}


def auc(score: NDArray[np.float64], outcome: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve (Mann-Whitney, ties count half); None if all outcomes are alike."""
    import numpy as np

    positives = int(outcome.sum())
    if positives in (0, len(outcome)):
        return None
    _, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # mid-ranks, from 1
    ranks = middle[places][outcome].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(outcome) - positives)))
