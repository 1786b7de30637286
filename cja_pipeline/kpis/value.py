"""What customers are worth: purchase and spending models, lifetime value, chance to buy again, RFM groups.

The public functions work on any table of ``frequency, recency, age, monetary``; `build_customer_value`
applies them to the warehouse's buyers. Churn is read from `p_active_90d`, not from the chance to be "alive".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.back_test import back_test
from cja_pipeline.kpis.journey_config import Value
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.kpis.likelihood import compress
from cja_pipeline.kpis.purchase_models import PurchaseFit, fit_bg_nbd, fit_mbg_nbd
from cja_pipeline.kpis.spend_model import SpendFit, fit_gamma_gamma
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "PurchaseFit",
    "SpendFit",
    "build_customer_value",
    "clv",
    "fit_bg_nbd",
    "fit_gamma_gamma",
    "fit_mbg_nbd",
    "rfm_segment",
]

MONTH_DAYS = 365.25 / 12
FITS = {"bg_nbd": fit_bg_nbd, "mbg_nbd": fit_mbg_nbd}
WHY_NOT = {
    "too_few_customers": "fewer buyers than value.min_customers",
    "too_few_repeat_buyers": "fewer repeat buyers than value.min_repeaters",
    "too_short_history": "the first purchases are younger than value.min_history_days",
    "not_converged": "the likelihood has no maximum inside sensible bounds",
}


def clv(
    purchases: PurchaseFit,
    spending: SpendFit,
    frequency: ArrayLike,
    recency: ArrayLike,
    age: ArrayLike,
    monetary: ArrayLike,
    *,
    months: int = 12,
    month: float = MONTH_DAYS,
    discount_rate: float = 0.10,
    margin: float = 1.0,
) -> Floats:
    """Expected contribution of each customer over the next `months`, discounted to today.

    margin · Σ_k (E[Y(k months)] - E[Y(k-1 months)]) · E[M | x, m] / (1 + d)^(k/12)   (Fader & Hardie 2013)

    Args:
        frequency, recency, age, monetary: as the fits were given; `month` is a month in their unit of time.
        discount_rate: per year. margin: contribution per unit of revenue; 1 gives revenue, not profit.
    """
    import numpy as np

    # of those who are still there, it depends on few distinct pairs of frequency and age
    (x, ages), _, place = compress(np.asarray(frequency, dtype=float), np.asarray(age, dtype=float))
    worth, before = np.zeros(x.shape), np.zeros(x.shape)
    for k in range(1, months + 1):
        total = purchases.if_alive(x, ages, k * month)
        worth = worth + (total - before) / (1 + discount_rate) ** (k / 12)
        before = total
    here = purchases.p_alive(frequency, recency, age)
    return margin * here * worth[place] * spending.expected_value(frequency, monetary)


def rfm_segment(r_score: int, f_score: int) -> str:
    """Name of a recency x frequency group (scores as in ``kpis.customer_value``)."""
    if f_score >= 4 and r_score >= 4:
        return "Champions"
    if f_score >= 2:
        return "Loyal" if r_score >= 3 else "At risk" if f_score >= 3 else "Slipping"
    return "New" if r_score >= 4 else "Promising" if r_score == 3 else "Quiet"


def build_customer_value(wh: Warehouse) -> dict[str, Any]:
    """Write ``kpis.customer_value`` (all buyers) and ``kpis.value_models`` (fit and back-test).

    With too little history the predictions are null and `clv_status` says why; scores are always there.

    Returns:
        Buyers, status, and with a fit the mean expected value and the error of the back-test.
    """
    import pandas as pd

    config = ensure_journeys(wh).value
    buyers = wh.model(model_text("buyers"))
    currency = wh.scalar("SELECT currency FROM config.journey_params")
    status = history_status(buyers, config)
    models: list[dict[str, Any]] = []
    predicted: dict[str, Any] = dict.fromkeys(
        ("p_active_90d", "expected_orders_12m", "clv_12m", "clv_12m_low", "clv_12m_high")
    )
    if status == "ok":
        history = [buyers[column].to_numpy() for column in ("frequency", "recency_days", "age_days")]
        purchases = FITS[config.model](*history)
        spending = fit_gamma_gamma(history[0], buyers["monetary"])
        models = [*_report(purchases, config.model), *_report(spending, "gamma_gamma")]
        if purchases.converged and spending.converged and spending.values[1] > 1:
            predicted = _predictions(purchases, spending, history, buyers["monetary"], config)
        else:
            status = "not_converged"
    models += back_test(wh, config, FITS[config.model], status)
    value = buyers.assign(
        **predicted,
        clv_status=status,
        currency=currency,
        rfm_segment=[rfm_segment(r, f) for r, f in zip(buyers["r_score"], buyers["f_score"], strict=True)],
    )
    rows = wh.write("kpis.customer_value", value)
    wh.write("kpis.value_models", pd.DataFrame(models).assign(note=lambda f: f["note"].astype(str)))
    told: dict[str, Any] = {"buyers": rows, "clv_status": status}
    if status == "ok":
        told["clv_12m_mean"] = round(float(value["clv_12m"].mean()), 2)
        error = next((row["value"] for row in models if row["item"] == "error"), None)
        if error is not None and math.isfinite(error):
            told["back_test_error_percent"] = round(100 * error, 1)
    return told


def history_status(buyers: pd.DataFrame, config: Value) -> str:
    """``ok``, or why these buyers are too few or too young for a prediction."""
    if len(buyers) < config.min_customers:
        return "too_few_customers"
    if int((buyers["frequency"] > 0).sum()) < config.min_repeaters:
        return "too_few_repeat_buyers"
    if float(buyers["age_days"].max()) < config.min_history_days:
        return "too_short_history"
    return "ok"


def _predictions(
    purchases: PurchaseFit, spending: SpendFit, history: list[Any], monetary: Any, config: Value
) -> dict[str, Any]:
    """Point predictions, and the interval that the uncertainty of the parameters leaves around the value."""
    import numpy as np

    year = config.horizon_months * MONTH_DAYS
    orders = purchases.expected_purchases(year, *history)
    worth = clv(
        purchases,
        spending,
        history[0],
        history[1],
        history[2],
        monetary,
        months=config.horizon_months,
        discount_rate=config.discount_rate,
        margin=config.margin,
    )
    # Draws move the year's purchases and the value of each independently: their variances of logs add up.
    # Discounting changes the value by a factor that hardly varies.
    (x, t_x, T), _, place = compress(*history)
    bought = _log_variance(
        purchases.with_values(p).expected_purchases(year, x, t_x, T) for p in purchases.draws(config.draws)
    )
    spent = _log_variance(
        spending.with_values(s).expected_value(history[0], monetary)
        for s in spending.draws(config.draws, seed=8)
    )
    spread = np.exp(1.96 * np.sqrt(bought[place] + spent))
    return {
        "p_active_90d": purchases.p_active(90.0, *history),
        "expected_orders_12m": orders,
        "clv_12m": worth,
        "clv_12m_low": worth / spread,
        "clv_12m_high": worth * spread,
    }


def _log_variance(draws: Iterable[Floats]) -> Floats:
    """Variance of the logarithm of each entry over the draws; draws without finite values do not count."""
    import numpy as np

    # running sums: a million customers times two hundred draws would not fit into memory
    used, total, squares, drawn = 0, np.zeros(0), np.zeros(0), 0
    for values in draws:
        drawn += 1
        if np.isfinite(values).all():
            logs = np.log(np.maximum(values, 1e-12))
            total, squares = (total + logs, squares + logs * logs) if used else (logs, logs * logs)
            used += 1
    if used < drawn / 2:  # the draws that are left would flatter the interval
        return np.full(total.shape or 1, np.nan)
    return np.maximum(squares / used - (total / used) ** 2, 0.0)


def _report(fit: PurchaseFit | SpendFit, model: str) -> list[dict[str, Any]]:
    """Rows of ``kpis.value_models`` about one fit."""
    status = "ok" if fit.converged else "not_converged"
    limits = fit.intervals() if fit.converged else {}
    rows: list[dict[str, Any]] = []
    for name, value in fit.params.items():
        row: dict[str, Any] = {"item": name, "value": value}
        if name in fit.at_limit:
            row["note"] = "at a limit: customers hardly differ in this"
        elif name in limits:
            row["low"], row["high"] = limits[name]
            if row["high"] > 10 * row["low"]:
                row["note"] = "hardly known by itself, only together with the others"
        rows.append(row)
    rows += [
        {"item": "log_likelihood", "value": fit.log_likelihood, "note": "at the maximum"},
        {"item": "gradient", "value": fit.gradient_norm, "note": "per customer; 0 at a maximum"},
        {"item": "customers", "value": float(fit.n), "note": "customers that the fit used"},
    ]
    if isinstance(fit, SpendFit):
        note = "of spending with frequency; beyond ±0.2 the model overstates what frequent buyers spend"
        rows.append({"item": "correlation", "value": fit.correlation, "note": note})
        rows.append({"item": "mean_value", "value": fit.mean, "note": "expected spending per purchase"})
    base = {"model": model, "low": None, "high": None, "status": status, "note": "parameter"}
    return [base | row for row in rows]
