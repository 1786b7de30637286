"""What goes together with ordering: features of one window against orders of the next, among alike customers.

Active people do more of everything and buy more, so a plain comparison finds that everything "helps". Here
customers are compared only with customers who were as active before (Mantel-Haenszel), features come strictly
before the outcome, and the false-discovery rate over all features is controlled. It stays an association.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cja_pipeline.kpis.journey_config import Insights
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MARKETING = "Marketing"
LABELS = {
    "search": "used the search",
    "email_received": "got an e-mail",
    "email_opened": "opened an e-mail",
    "email_clicked": "clicked in an e-mail",
    "email_unsubscribed": "unsubscribed from e-mails",
    "sign_up": "made an account",
    "share": "shared a product",
    "comment": "commented on a post",
    "ticket": "asked customer service",
    "nps": "answered the recommendation survey",
    "csat": "answered the satisfaction survey",
    "ces": "answered the effort survey",
    "referral": "brought a friend",
}


class Association(NamedTuple):
    """A stratified comparison of exposed and other subjects."""

    risk_ratio: float
    low: float
    high: float
    p_value: float
    exposed_rate: float
    other_rate: float  # what the ratio implies for the exposed had they been like the others
    naive_ratio: float


def stratified_ratio(
    exposed: ArrayLike, exposed_cases: ArrayLike, others: ArrayLike, other_cases: ArrayLike
) -> Association:
    """Ratio of the risks of exposed and other subjects within strata (one array element each).

    Sources: Mantel & Haenszel 1959; variance of Greenland & Robins 1985. NaN where nothing can be compared.
    """
    import numpy as np
    from scipy.special import ndtr

    m1, a, m0, c = (np.asarray(x, dtype=float) for x in (exposed, exposed_cases, others, other_cases))
    used = (m1 > 0) & (m0 > 0)
    nan = float("nan")
    naive = _ratio(a.sum() * m0.sum(), c.sum() * m1.sum())
    if not used.any():
        return Association(nan, nan, nan, nan, nan, nan, naive)
    m1, a, m0, c = m1[used], a[used], m0[used], c[used]
    size, cases = m1 + m0, a + c
    upper, lower = float((a * m0 / size).sum()), float((c * m1 / size).sum())
    rate = float(a.sum() / m1.sum())
    if upper <= 0 or lower <= 0:
        return Association(_ratio(upper, lower), nan, nan, nan, rate, nan, naive)
    ratio = upper / lower
    se = float(np.sqrt(((m1 * m0 * cases - a * c * size) / size**2).sum() / (upper * lower)))
    z = np.log(ratio) / se
    return Association(
        ratio,
        float(ratio * np.exp(-1.96 * se)),
        float(ratio * np.exp(1.96 * se)),
        float(2 * ndtr(-abs(z))),
        rate,
        rate / ratio,
        naive,
    )


def _ratio(upper: float, lower: float) -> float:
    return float(upper / lower) if lower > 0 else float("nan")


def build_insights(wh: Warehouse) -> int:
    """Write ``kpis.insights``: features that go with ordering, and channels that come after the decision."""
    import pandas as pd

    config = ensure_journeys(wh).insights
    rows = [*_associations(wh, config), *_late_channels(wh)]
    frame = pd.DataFrame(rows, columns=_COLUMNS).sort_values(
        ["status", "q_value", "feature"], key=lambda c: c != "associated" if c.name == "status" else c
    )
    return wh.write("kpis.insights", frame)


def _associations(wh: Warehouse, config: Insights) -> list[dict[str, Any]]:
    import numpy as np

    from cja_pipeline.kpis.stats import benjamini_hochberg

    wh.ensure("customers.identity_links")  # without any, everybody counts as unknown
    counts = wh.df(
        model_text("insight_features"),
        {"feature_days": config.feature_days, "outcome_days": config.outcome_days},
    )
    if counts.empty:
        return []
    strata = int(counts["stratum"].max()) + 1

    def by_stratum(rows: pd.DataFrame, column: str) -> Floats:
        return np.bincount(rows["stratum"], rows[column].astype(float), minlength=strata).astype(float)

    everybody = counts[counts["feature"] == ""]
    people, ordered = by_stratum(everybody, "customers"), by_stratum(everybody, "ordered")
    departments = dict(wh.sql("SELECT touchpoint_type, department FROM config.touchpoint_rules").fetchall())
    rows = []
    for feature, group in counts[counts["feature"] != ""].groupby("feature", sort=True):
        exposed, cases = by_stratum(group, "customers"), by_stratum(group, "ordered")
        found = stratified_ratio(exposed, cases, people - exposed, ordered - cases)
        enough = exposed.sum() >= config.min_exposed and np.isfinite(found.p_value)
        channel = feature.removeprefix("channel:") if feature.startswith("channel:") else None
        label = f"visited through {channel}" if channel else LABELS.get(feature, feature.replace("_", " "))
        rows.append(
            {
                "feature": feature,
                "outcome": f"order within {config.outcome_days} days",
                "stage": "awareness" if channel else "consideration",
                "label": label,
                "customers": int(people.sum()),
                "exposed": int(exposed.sum()),
                "exposed_rate": found.exposed_rate,
                "other_rate": found.other_rate,
                "naive_ratio": found.naive_ratio,
                "risk_ratio": found.risk_ratio if enough else None,
                "ci_low": found.low if enough else None,
                "ci_high": found.high if enough else None,
                "p_value": found.p_value if enough else np.nan,
                "status": "no_difference" if enough else "too_few",
                "owner": MARKETING if channel else departments.get(feature, "Analytics"),
            }
        )
    q_values = benjamini_hochberg([row["p_value"] for row in rows])
    for row, q in zip(rows, q_values, strict=True):
        row["q_value"] = q
        if q < config.max_q and abs(row["risk_ratio"] - 1) >= config.min_lift:
            row["status"] = "associated"
        row |= _words(row, config)
    return rows


def _words(row: dict[str, Any], config: Insights) -> dict[str, str]:
    label = row["label"]
    if row["status"] == "too_few":
        finding = f"Too few customers to compare those who {label} with others who were as active."
        return {"finding": finding, "evidence": f"{row['exposed']:,} customers."}
    change = 100 * (row["risk_ratio"] - 1)
    if row["status"] == "associated":
        more = "more" if change > 0 else "less"
        finding = (
            f"Customers who {label} ordered {abs(change):.0f} % {more} often than others as active before."
        )
    else:
        finding = f"Customers who {label} ordered about as often as others as active before."
    evidence = (
        f"{row['exposed']:,} of {row['customers']:,} customers in {config.feature_days} days, "
        f"{100 * row['exposed_rate']:.1f} % ordered, {100 * row['other_rate']:.1f} % of alike others; ratio "
        f"{row['risk_ratio']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f}), "
        f"{row['naive_ratio']:.2f} without making them alike. Associated, not proven to cause."
    )
    return {"finding": finding, "evidence": evidence}


def _late_channels(wh: Warehouse) -> list[dict[str, Any]]:
    """Channels praised by last click that mostly appear after the cart was filled."""
    from cja_pipeline.kpis.late_channels import late_channels

    return late_channels(wh) if wh.exists("kpis.attribution_total") else []


_COLUMNS = [
    "feature",
    "outcome",
    "stage",
    "label",
    "customers",
    "exposed",
    "exposed_rate",
    "other_rate",
    "naive_ratio",
    "risk_ratio",
    "ci_low",
    "ci_high",
    "p_value",
    "q_value",
    "status",
    "finding",
    "evidence",
    "owner",
]
