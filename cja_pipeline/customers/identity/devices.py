"""Which customer a device belongs to. Devices are attached after people are known and never join people.

A device with evidence (logins, orders) of one customer is theirs, anonymous visits included. With several
customers it is theirs whose share of the evidence is dominant; without a dominant one, and beyond a number of
customers (a kiosk), its anonymous visits stay a customer of their own and only visits with a login go to the
customer who logged in. Machines that try passwords give evidence of nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.customers.config import DeviceRules

if TYPE_CHECKING:
    import pandas as pd

RULES = ("sole", "dominant", "shared", "bot", "anonymous")


def is_bot(devices: pd.DataFrame, rules: DeviceRules) -> pd.Series:
    """Whether each device tries passwords, from its columns logins and logins_per_hour (the highest)."""
    return (devices["logins_per_hour"] > rules.bot_logins_per_hour) | (devices["logins"] > rules.bot_logins)


def attach(devices: pd.DataFrame, evidence: pd.DataFrame, rules: DeviceRules) -> pd.DataFrame:
    """Attach devices to customers.

    Args:
        devices: visitor_id (distinct), is_bot.
        evidence: visitor_id, label (customer number), weight (visits with a login, or orders).

    Returns:
        One row per device in the order of visitor_id: visitor_id, label (-1: a customer of its own),
        share (of the evidence that speaks for this customer, null without evidence), rule (see `RULES`).
    """
    import numpy as np

    votes = evidence.groupby(["visitor_id", "label"], as_index=False)["weight"].sum()
    votes = votes.sort_values(["visitor_id", "weight", "label"], ascending=[True, False, True])
    by_device = votes.groupby("visitor_id")
    best = by_device.agg(
        label=("label", "first"),
        top=("weight", "first"),
        total=("weight", "sum"),
        customers=("label", "size"),
    )
    found = devices[["visitor_id", "is_bot"]].merge(best, how="left", on="visitor_id")
    share = found["top"] / found["total"]
    found["rule"] = np.select(
        [
            found["is_bot"],
            found["customers"].isna(),
            found["customers"] == 1,
            (found["customers"] <= rules.max_customers) & (share >= rules.dominance),
        ],
        ["bot", "anonymous", "sole", "dominant"],
        default="shared",
    )
    owned = found["rule"].isin(["sole", "dominant"])
    found["label"] = found["label"].where(owned, -1).astype("int64")
    found["share"] = share.where(owned)
    return found.sort_values("visitor_id", ignore_index=True)[["visitor_id", "label", "share", "rule"]]
