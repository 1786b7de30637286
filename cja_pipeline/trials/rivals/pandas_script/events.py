"""Google Analytics 4, BigQuery export -> clean web events."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cja_pipeline.trials.rivals.pandas_script.common import lines, pulls, texts
from cja_pipeline.validated.lookups import COUNTRIES
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.validated.suites import load_sets

KEY = [
    "user_pseudo_id", "event_timestamp", "event_name", "event_bundle_sequence_id", "batch_page_id",
    "batch_ordering_id", "batch_event_index",
]  # fmt: skip
FLAT = [*KEY, "user_id", "event_server_timestamp_offset"]
NESTED = {
    "collected_traffic_source.manual_source": "source",
    "collected_traffic_source.manual_medium": "medium",
    "collected_traffic_source.manual_campaign_name": "campaign",
    "device.category": "category",
    "geo.country": "country_name",
    "privacy_info.analytics_storage": "storage",
    "ecommerce.transaction_id": "transaction_id",
    "ecommerce.purchase_revenue": "revenue",
}
PARAMETERS = {
    "page_location", "page_referrer", "transaction_id", "value", "currency", "engagement_time_msec",
    "session_engaged",
}  # fmt: skip
KEPT = [
    "event_id", "visitor_id", "login_id", "occurred_at", "event_name", "page_path", "source", "medium",
    "campaign", "referrer", "device", "country", "order_id", "value", "currency", "engagement_ms",
    "session_engaged", "consent", "click_id",
]  # fmt: skip


def web_events(landing: Path) -> pd.DataFrame:
    """One row per event that keeps the rules of the shop, once per day of landing."""
    countries = _countries()
    days = [_day(*pull, countries) for pull in pulls(landing, "ga4/events")]
    return pd.concat(days, ignore_index=True)


def _countries() -> dict[str, str]:
    with COUNTRIES.open(encoding="utf-8", newline="") as file:
        rows = [(row["name"], row["code"]) for row in csv.DictReader(file)]
    found = {spelt: code for name, code in rows for spelt in (name, name.lower(), name.upper())}
    return found | {spelt: code for _, code in rows for spelt in (code, code.lower())}


def _day(folder: Path, day: pd.Timestamp, pulled: pd.Timestamp, countries: dict[str, str]) -> pd.DataFrame:
    frames = [_from_parquet(pq.read_table(path)) for path in sorted(folder.glob("*.parquet"))]
    records = list(lines(folder))
    raw = pd.concat([*frames, *([_from_json(records)] if records else [])], ignore_index=True)
    return _kept(_typed(raw, countries), day, pulled)


def _from_parquet(table: pa.Table) -> pd.DataFrame:
    found: dict[str, Any] = {name: _column(table, name) for name in FLAT}
    for path, name in NESTED.items():
        found[name] = _column(table, path)
    params = table["event_params"].combine_chunks()
    flat = pc.list_flatten(params)
    value = pc.struct_field(flat, "value")
    named = pd.DataFrame(
        {
            "row": pc.list_parent_indices(params).to_numpy(),
            "key": pc.struct_field(flat, "key").to_pandas(),
            "text": pc.coalesce(
                pc.struct_field(value, "string_value"),
                pc.cast(pc.struct_field(value, "int_value"), pa.string()),
                pc.cast(pc.struct_field(value, "double_value"), pa.string()),
            ).to_pandas(),
        }
    )
    named = named[named["key"].isin(PARAMETERS)].drop_duplicates(["row", "key"])
    for key in PARAMETERS:
        of_key = named[named["key"] == key]
        found[f"p_{key}"] = pd.Series(of_key["text"].to_numpy(), of_key["row"], dtype="str").reindex(
            range(len(table))
        )
    return pd.DataFrame(found)


def _column(table: pa.Table, path: str) -> Any:
    top, _, inner = path.partition(".")
    if top not in table.column_names:
        return pd.Series([None] * len(table), dtype=object)
    column = table[top].combine_chunks()
    if inner:
        column = pc.struct_field(column, inner)
    return column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def _from_json(records: list[dict[str, Any]]) -> pd.DataFrame:
    def at(record: dict[str, Any], path: str) -> Any:
        for step in path.split("."):
            record = (record or {}).get(step)  # type: ignore[assignment]
        return record

    found: dict[str, Any] = {name: [at(one, name) for one in records] for name in FLAT}
    for path, name in NESTED.items():
        found[name] = [at(one, path) for one in records]
    named: list[dict[str, Any]] = []
    for one in records:
        row: dict[str, Any] = {}
        for param in one.get("event_params") or []:
            told = param.get("value") or {}
            values = (told.get(kind) for kind in ("string_value", "int_value", "double_value"))
            row.setdefault(param["key"], next((str(value) for value in values if value is not None), None))
        named.append(row)
    for key in PARAMETERS:
        found[f"p_{key}"] = [row.get(key) for row in named]
    frame = pd.DataFrame(found)
    for name in ("event_timestamp", "event_server_timestamp_offset", *KEY[3:]):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("Int64")
    return frame


def _typed(raw: pd.DataFrame, countries: dict[str, str]) -> pd.DataFrame:
    parts = [raw[name].astype("str").where(raw[name].notna(), "").tolist() for name in KEY]
    digests = [
        hashlib.md5("|".join(part).encode(), usedforsecurity=False).hexdigest()
        for part in zip(*parts, strict=True)
    ]
    delay = raw["event_server_timestamp_offset"].astype("Float64").fillna(0).clip(upper=0).astype("int64")
    happened = raw["event_timestamp"].astype("Int64").astype("Float64").fillna(-1).astype("int64") + delay
    name, url = texts(raw["event_name"]), texts(raw["p_page_location"])
    known = set(load_streams()["web_events"].enums["event_name"].known)
    path = url.str.extract(r"^[a-z-]+://[^/?#]*(/[^?#]*)", expand=False)
    path = path.mask(url.str.startswith("/", na=False), url.str.extract(r"^([^?#]*)", expand=False))
    device, storage = raw["category"].astype("str").str.lower(), raw["storage"].astype("str").str.lower()
    order = texts(raw["transaction_id"]).fillna(texts(raw["p_transaction_id"]))
    value = pd.to_numeric(raw["revenue"], errors="coerce").fillna(
        pd.to_numeric(raw["p_value"], errors="coerce")
    )
    return pd.DataFrame(
        {
            "event_id": digests,
            "visitor_id": texts(raw["user_pseudo_id"]),
            "login_id": texts(raw["user_id"]),
            "occurred_at": pd.to_datetime(happened.where(happened >= 0), unit="us").astype("datetime64[us]"),
            "event_name": name.where(name.isna() | name.isin(known), "other"),
            "page_url": url,
            "page_path": path.where(path.notna() | url.isna(), "/"),
            "source": texts(raw["source"]),
            "medium": texts(raw["medium"]),
            "campaign": texts(raw["campaign"]),
            "referrer": texts(raw["p_page_referrer"]),
            "device": device.where(device.isin(["mobile", "desktop", "tablet"]), "other"),
            "country": raw["country_name"].map(countries).astype("str"),
            "order_id": order.mask(order == "(not set)"),
            "value": np.floor(value.astype("float64") * 10_000 + 0.5) / 10_000,
            "currency": texts(raw["p_currency"]).str.upper(),
            "engagement_ms": pd.to_numeric(raw["p_engagement_time_msec"], errors="coerce").astype("Int64"),
            "session_engaged": raw["p_session_engaged"]
            .isin(["1", "true"])
            .astype("boolean")
            .where(raw["p_session_engaged"].notna()),
            "consent": (storage == "yes").astype("boolean").where(storage.isin(["yes", "no"])),
            "click_id": url.str.extract(r"(gclid|gbraid|wbraid|msclkid)=", expand=False),
        }
    )


def _kept(rows: pd.DataFrame, day: pd.Timestamp, pulled: pd.Timestamp) -> pd.DataFrame:
    at, one_day = rows["occurred_at"], pd.Timedelta(days=1)
    kept = (
        rows["event_name"].notna()
        & at.between(pd.Timestamp("2010-01-01"), pulled)
        & (at >= day - one_day)
        & (at < day + 2 * one_day)
        & ~(rows["value"] < 0)
        & (rows["currency"].isna() | rows["currency"].isin(load_sets()["iso_4217"]))
        & ~((rows["event_name"] == "purchase") & rows["value"].notna() & rows["currency"].isna())
        & ~(rows["page_url"].str.len() > 8000)
        & ~((rows["consent"] == False).fillna(False) & rows["visitor_id"].notna())  # noqa: E712
    )
    return rows.loc[kept, KEPT].drop_duplicates("event_id")
