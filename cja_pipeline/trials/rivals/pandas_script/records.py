"""Landed CRM records and e-mail events -> the few columns that the outputs need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cja_pipeline.trials.rivals.pandas_script.common import lines, pulls, texts, times
from cja_pipeline.validated.suites import load_sets

METRICS = {
    "Received Email": "received",
    "Opened Email": "opened",
    "Clicked Email": "clicked",
    "Unsubscribed": "unsubscribed",
    "Unsubscribed from Email Marketing": "unsubscribed",
}
NEWEST = ["updated_at", "pulled_at", "file"]


def _versions(landing: Path, stream: str) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Records of a CRM stream, and their pulls."""
    records, told = [], []
    for folder, _, pulled in pulls(landing, stream):
        for record in lines(folder):
            records.append(record)
            told.append((pulled, str(folder)))
    return records, pd.DataFrame(told, columns=["pulled_at", "file"])


def _times_of(records: list[dict[str, Any]], *names: str) -> pd.Series[pd.Timestamp]:
    """The first of these fields that is there, of the properties or of the record."""
    return times(
        [next((v for n in names if (v := one["properties"].get(n) or one.get(n))), None) for one in records]
    )


def contact_versions(landing: Path) -> pd.DataFrame:
    """contact_id, updated_at, created_at, granted, referral_code, referred_by_code of every version."""
    records, told = _versions(landing, "hubspot/contacts")
    given = [one["properties"] for one in records]
    granted = pd.Series([str(one.get("consent_analytics")).lower() for one in given], dtype="str")
    told = told.assign(
        contact_id=texts([one["id"] for one in records]),
        updated_at=_times_of(records, "lastmodifieddate", "updatedAt"),
        created_at=_times_of(records, "createdate", "createdAt"),
        granted=(granted == "true").astype("boolean").where(granted.isin(["true", "false"])),
        referral_code=texts([one.get("referral_code") for one in given]),
        referred_by_code=texts([one.get("referred_by_code") for one in given]),
    )
    return told[told["updated_at"].between(pd.Timestamp("2000-01-01"), told["pulled_at"])]


def crm_orders(landing: Path) -> pd.DataFrame:
    """One row per order number: the newest version of a record that counts, else of one that does not."""
    records, told = _versions(landing, "hubspot/orders")
    given = pd.DataFrame([one["properties"] for one in records])

    def money(name: str) -> pd.Series[float]:
        return pd.to_numeric(texts(given[name]), errors="coerce")

    people = [
        ((one.get("associations") or {}).get("contacts") or {}).get("results") or [{}] for one in records
    ]
    keys = texts([one["id"] for one in records])
    discount, paid, refund = (
        money("hs_order_discount").fillna(0),
        money("hs_total_price"),
        money("hs_refund_amount"),
    )
    rows = told.assign(
        crm_order_id=keys,
        order_id=texts(given["hs_external_order_id"]).fillna(keys),
        contact_id=texts([one[0].get("id") for one in people]),
        updated_at=_times_of(records, "hs_lastmodifieddate", "updatedAt"),
        ordered_at=_times_of(records, "hs_external_created_date", "hs_createdate", "createdAt"),
        gross=money("hs_subtotal_price").fillna((paid + discount).round(4)),
        discount=discount,
        refund=refund.fillna(0),
        currency=texts(given["hs_currency_code"]).str.upper(),
        exchange_rate=money("hs_exchange_rate"),
        sales_channel=texts(given["sales_channel"]).fillna(texts(given["hs_source_store"])).str.lower(),
        is_test=given["is_test"] == "true",
    )
    archived = pd.Series([bool(one.get("archived")) for one in records])
    rows["is_void"] = rows["is_test"] | (given["hs_is_canceled"] == "true") | archived
    rows = rows[
        rows["ordered_at"].between(pd.Timestamp("2000-01-01"), rows["pulled_at"])
        & (rows[["gross", "discount", "refund"]].min(axis=1, skipna=False) >= 0)
        & ~((rows["gross"] - rows["discount"] - paid).abs().round(4) > 0.01)
        & rows["currency"].isin(load_sets()["iso_4217"])
    ]
    rows = rows.sort_values(NEWEST, ascending=False).drop_duplicates("crm_order_id")
    rows = rows.sort_values(["is_void", "updated_at", "crm_order_id"], ascending=[True, False, True])
    return rows.drop_duplicates("order_id")


def mails(landing: Path) -> pd.DataFrame:
    """event_id, occurred_at, event_type, profile_id, campaign of what counts as contact; no machine opens."""
    rows = []
    for folder, day, pulled in pulls(landing, "klaviyo/events"):
        for one in lines(folder):
            told, more = one["attributes"], one.get("_included") or {}
            profile = more.get("profile") or {}
            about = told.get("event_properties") or {}
            linked = ((one.get("relationships") or {}).get("profile") or {}).get("data") or {}
            metric = ((more.get("metric") or {}).get("attributes") or {}).get("name")
            rows.append((
                one["id"], told.get("datetime"), metric,
                profile.get("id") or linked.get("id"), about.get("Campaign Name"),
                str(about.get("machine_open")).lower() == "true", day, pulled,
            ))  # fmt: skip
    names = ["event_id", "occurred_at", "metric", "profile_id", "campaign", "by_machine", "day", "pulled_at"]
    found = pd.DataFrame(rows, columns=names)
    found["occurred_at"] = times(found["occurred_at"])
    found["event_type"] = found["metric"].map(METRICS)
    found["campaign"] = texts(found["campaign"])
    kept = (
        found["occurred_at"].between(pd.Timestamp("2010-01-01"), found["pulled_at"])
        & (found["occurred_at"] >= found["day"] - pd.Timedelta(days=1))
        & found["metric"].notna()
    )
    found = found[kept].drop_duplicates(["day", "event_id"])
    return found[found["event_type"].notna() & ~found["by_machine"]]
