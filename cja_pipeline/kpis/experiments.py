"""What randomised experiments say: the split first, then the difference of each variant from the control.

An experiment is read wherever web analytics reports one. The unit is the customer, from the first time a
variant was seen, for `outcome_days`. Customers who saw two variants are left out and counted. A split that
chance does not explain blocks the reading: such groups were not alike to begin with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.journey_config import Experiments
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

# metric -> its words and the column of experiments.sql that counts it
METRICS = {
    "checkout_rate": ("began a checkout", "checkouts"),
    "conversion_rate": ("ordered", "buyers"),
    "revenue_per_customer": ("net revenue per customer", "revenue"),
}


def build_experiments(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.experiments``: every variant against its control, by metric.

    Returns:
        Rows, and experiments whose split is not the planned one.
    """
    import pandas as pd

    config = ensure_journeys(wh).experiments
    for table in ("customers.web_activity", "customers.touchpoints", "customers.orders"):
        wh.ensure(table)
    groups = wh.model(model_text("experiments"), {"outcome_days": config.outcome_days})
    now, currency = wh.sql("SELECT observed_until, currency FROM config.journey_params").fetchall()[0]
    rows = [
        row
        for name, seen in groups.groupby("experiment", sort=True)
        for row in _read(str(name), seen, pd.Timestamp(now), config)
    ]
    _judge(rows, config)
    for row in rows:
        row["currency"] = currency if row["metric"] == "revenue_per_customer" else None
    frame = pd.DataFrame(rows, columns=list(TABLES["kpis.experiments"].columns))
    broken = {row["experiment"] for row in rows if row["status"] == "sample_ratio_mismatch"}
    return {"experiments": wh.write("kpis.experiments", frame), "experiments_broken": len(broken)}


def _read(name: str, groups: pd.DataFrame, now: pd.Timestamp, config: Experiments) -> list[dict[str, Any]]:
    """Rows of one experiment; verdicts are given once all are known."""
    from cja_pipeline.kpis.stats import sample_ratio_p

    planned = config.planned.get(name, {})
    arms = groups[groups["variant"].notna()].set_index("variant").sort_index()
    mixed = int(groups.loc[groups["variant"].isna(), "assigned"].sum())
    shares = [planned.get(variant, 1.0) for variant in arms.index] if planned else None
    split_p = sample_ratio_p(arms["assigned"], shares)
    control = config.control.get(name, min(arms.index, default=""))
    ended = bool(groups["last_at"].max() + config.outcome_days * _day() <= now)
    rows = []
    for variant, arm in arms.iterrows():
        if variant == control or control not in arms.index:
            continue
        base = arms.loc[control]
        small = min(arm["customers"], base["customers"]) < config.min_customers
        for metric in METRICS:
            status = "running" if not ended else "too_few" if small else ""
            if split_p < config.max_split_p:
                status = "sample_ratio_mismatch"
            rows.append(
                {
                    "experiment": name,
                    "variant": variant,
                    "metric": metric,
                    "control": control,
                    "customers": int(arm["customers"]),
                    "control_customers": int(base["customers"]),
                    "assigned": int(arm["assigned"]),
                    "control_assigned": int(base["assigned"]),
                    "mixed_customers": mixed,
                    "split_p": split_p,
                    "started_at": groups["first_at"].min(),
                    "ended_at": groups["last_at"].max() if ended else None,
                    "outcome_days": config.outcome_days,
                    "status": status,
                    "owner": config.owner,
                    **_compare(metric, arm, base, hidden=small or status == "sample_ratio_mismatch"),
                }
            )
    return rows


def _compare(metric: str, arm: pd.Series, base: pd.Series, *, hidden: bool) -> dict[str, Any]:
    """Value of both groups; difference, relative lift and p-value unless there is a reason against them."""
    from cja_pipeline.kpis import stats

    column = METRICS[metric][1]
    (n, x), (m, y) = ((float(group["customers"]), float(group[column])) for group in (arm, base))
    found: dict[str, Any] = {
        "value": x / n if n else None,
        "control_value": y / m if m else None,
    }
    if hidden:
        return found | dict.fromkeys(
            ("difference", "ci_low", "ci_high", "lift", "lift_low", "lift_high", "p_value")
        )
    if metric == "revenue_per_customer":
        squares = [float(group["revenue_squares"]) for group in (arm, base)]
        gap = stats.mean_difference(n, x, squares[0], m, y, squares[1])
        sides = [
            stats.ratio_from_moments(size, total, size, square, size, total)
            for size, total, square in ((n, x, squares[0]), (m, y, squares[1]))
        ]
        limits = [(side.low, side.high) for side in sides]
        difference, low, high, p_value = gap
    else:
        newcombe = stats.newcombe_difference(x, n, y, m)
        difference, low, high = newcombe.value, newcombe.low, newcombe.high
        p_value = stats.two_proportion_p(x, n, y, m)
        limits = [tuple(stats.wilson(x, n)), tuple(stats.wilson(y, m))]
    lift_low, lift_high = stats.mover_ratio(x / n, *limits[0], y / m, *limits[1]) if y > 0 else (None, None)
    return found | {
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "lift": x / n / (y / m) - 1 if y > 0 else None,
        "lift_low": None if lift_low is None else lift_low - 1,
        "lift_high": None if lift_high is None else lift_high - 1,
        "p_value": p_value,
    }


def _judge(rows: list[dict[str, Any]], config: Experiments) -> None:
    """q-values over everything that may be read, a verdict for it, and words for all."""
    import numpy as np

    from cja_pipeline.kpis.stats import benjamini_hochberg

    ready = [row["p_value"] if not row["status"] else np.nan for row in rows]
    for row, q in zip(rows, benjamini_hochberg(ready), strict=True):
        row["q_value"] = None if np.isnan(q) else float(q)
        if not row["status"]:
            row["status"] = (
                "no_difference" if q > config.max_q else "better" if row["difference"] > 0 else "worse"
            )
        row |= _words(row)


def _words(row: dict[str, Any]) -> dict[str, str]:
    name, what = f"{row['experiment']}, variant {row['variant']}", METRICS[row["metric"]][0]
    if row["status"] == "sample_ratio_mismatch":
        return {
            "finding": f"{name}: the groups are not as they were split; do not read this experiment.",
            "evidence": (
                f"{row['assigned']:,} customers against {row['control_assigned']:,} with "
                f"{row['control']}; by chance in {row['split_p']:.1g} of such splits. Look for what keeps "
                "one variant from being reported: redirects, errors, slow pages, consent."
            ),
        }
    if row["status"] == "too_few":
        return {
            "finding": f"{name}: too few customers yet.",
            "evidence": f"{row['customers']:,} against {row['control_customers']:,} customers.",
        }
    if row["status"] == "running":
        finding = f"{name}: still running; a verdict follows when it has ended ({what})."
    elif row["status"] == "no_difference":
        finding = f"{name}: no difference shown ({what})."
    else:
        finding = f"{name}: {row['status']} than {row['control']} ({what})."
    low, high = row["ci_low"], row["ci_high"]
    if row["difference"] is None:
        return {"finding": finding, "evidence": f"{row['customers']:,} customers."}
    shown = (
        (
            f"{row['value']:.2f} against {row['control_value']:.2f}, difference {row['difference']:+.2f} "
            f"({low:+.2f} to {high:+.2f})"
        )
        if row["metric"] == "revenue_per_customer"
        else (
            f"{100 * row['value']:.2f} % against {100 * row['control_value']:.2f} %, difference "
            f"{100 * row['difference']:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f})"
        )
    )
    return {
        "finding": finding,
        "evidence": f"{shown}; {row['customers']:,} and {row['control_customers']:,} customers, "
        f"{row['mixed_customers']:,} who saw both left out; p {row['p_value']:.2g}.",
    }


def _day() -> Any:
    import pandas as pd

    return pd.Timedelta(days=1)
