"""What goes together with ordering: features of one window against orders of the next, among alike customers.

Active people do more of everything and buy more, so a plain comparison finds that everything "helps". Here
customers are compared only with customers who were as active before (Mantel-Haenszel), features come strictly
before the outcome, and the false-discovery rate over all features is controlled. It stays an association.
"""

from __future__ import annotations

from typing import Any

from cja_pipeline.kpis.associations import Association, compare, stratified_ratio
from cja_pipeline.kpis.journey_config import Insights
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.warehouse import Warehouse

__all__ = ["build_insights", "stratified_ratio"]
MARKETING = "Marketing"
DRAWS = 16**6  # a customer is drawn by the first six hexadecimal digits of the digest of the id
LABELS = {
    "search": "used the search",
    "email_received": "got a mailing",
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
    from cja_pipeline.kpis.stats import benjamini_hochberg

    wh.ensure("customers.identity_links")  # without any, everybody counts as unknown
    share = min(1.0, config.customers / max(wh.count("customers.customers"), 1))
    names = ("feature_days", "outcome_days", "moments")
    limits = {name: getattr(config, name) for name in names} | {"drawn": f"{int(share * DRAWS) - 1:06x}"}
    counts = wh.model(model_text("insight_features"), limits)
    mailings = wh.model(
        model_text("insight_mailings"), limits | {"min_mailed": int(share * config.min_exposed / 4)}
    )
    departments = dict(wh.sql("SELECT touchpoint_type, department FROM config.touchpoint_rules").fetchall())
    rows = []
    for part, moments in ((counts, "moments"), (mailings, "mailings")):
        for feature, found in compare(part).items():
            rows.append(_row(feature, *found, moments, config, departments) | {"share": share})
    if not rows:
        return []
    q_values = benjamini_hochberg([row["p_value"] for row in rows])
    for row, q in zip(rows, q_values, strict=True):
        row["q_value"] = q
        if q < config.max_q and abs(row["risk_ratio"] - 1) >= config.min_lift:
            row["status"] = "associated"
        row |= _words(row, config)
    return rows


def _row(
    feature: str,
    found: Association,
    exposed: int,
    people: int,
    moments: str,
    config: Insights,
    departments: dict[str, str],
) -> dict[str, Any]:
    import numpy as np

    enough = exposed >= config.min_exposed and np.isfinite(found.p_value)
    channel = feature.removeprefix("channel:") if feature.startswith("channel:") else None
    label = f"visited through {channel}" if channel else LABELS.get(feature, feature.replace("_", " "))
    return {
        "feature": feature,
        "outcome": f"order within {config.outcome_days} days",
        "stage": "awareness" if channel else "consideration",
        "label": label,
        "moments": moments,
        "customers": people,
        "exposed": exposed,
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
        f"{row['exposed']:,} of {row['customers']:,} customers{_occasions(row, config)}, "
        f"{100 * row['exposed_rate']:.1f} % ordered, {100 * row['other_rate']:.1f} % of alike others; ratio "
        f"{row['risk_ratio']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f}), "
        f"{row['naive_ratio']:.2f} without making them alike. Associated, not proven to cause."
    )
    return {"finding": finding, "evidence": evidence}


def _occasions(row: dict[str, Any], config: Insights) -> str:
    """What subjects are counted over."""
    occasions = f" in windows of {config.feature_days} days"
    if row["moments"] == "mailings":
        occasions = " on the mailing list, mailing by mailing"
    return occasions + (
        f" (of {row['share']:.0%} of all customers, drawn at random)" if row["share"] < 1 else ""
    )


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
