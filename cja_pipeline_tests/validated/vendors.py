"""Hand-made landed files in the vendors' formats, written from their documentation, not from connectors."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cja_pipeline.config import shop
from cja_pipeline.sources.window import edges, utc_text

DAY = dt.date(2026, 3, 2)
AS_OF = dt.datetime(2026, 3, 3, 3, 0, tzinfo=dt.UTC)
NOON = int(dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC).timestamp() * 1_000_000)


def utc(*parts: int) -> dt.datetime:
    """A time as the warehouse keeps it: UTC without a zone."""
    return dt.datetime(*parts, tzinfo=dt.UTC).replace(tzinfo=None)  # type: ignore[misc]


def land(
    landing: Path,
    stream: str,
    files: dict[str, bytes],
    rows: dict[str, int],
    *,
    day: dt.date = DAY,
    as_of: dt.datetime = AS_OF,
    run: str = "",
    **more: Any,
) -> Path:
    """Write a landed folder with its manifest; a further `run` makes a folder below the day."""
    vendor, name = stream.split("/")
    folder = landing / vendor / name / f"dt={day}" / run
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for file, data in files.items():
        (folder / file).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        listed.append({"name": file, "sha256": digest, "rows": rows[file], "bytes": len(data)})
    start, end = map(utc_text, edges(day, shop().zone))
    manifest = {
        "vendor": vendor, "stream": name, "dt": day.isoformat(), "window": {"start": start, "end": end},
        "as_of": as_of.strftime("%Y-%m-%dT%H:%M:%SZ"), "api_version": "1", "rows": sum(rows.values()),
        "files": listed, **more,
    }  # fmt: skip
    (folder / "_MANIFEST.json").write_text(json.dumps(manifest))
    return folder


def jsonl(records: Sequence[Any]) -> bytes:
    """Records as gzip-compressed JSON lines; text is taken as it is."""
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in records]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def land_lines(landing: Path, stream: str, records: Sequence[Any], **options: Any) -> Path:
    """Land records as one JSON-lines file."""
    rows = options.pop("rows", len(records))
    return land(
        landing, stream, {"part-000.jsonl.gz": jsonl(records)}, {"part-000.jsonl.gz": rows}, **options
    )


def param(key: str, value: str | int | float) -> dict[str, Any]:
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    return {"key": key, "value": {kind: value}}


def ga4(index: int = 0, **changes: Any) -> dict[str, Any]:
    """A page view in the BigQuery export; `params` replaces parameters, None takes a field away."""
    params = {
        "ga_session_id": 1772452800, "ga_session_number": 1, "engagement_time_msec": 1200,
        "session_engaged": "1",
        "page_location": "https://shop.example/p/tent-1?utm_source=x#top", "page_title": "Tent",
        "page_referrer": "https://www.google.com/",
    } | changes.pop("params", {})  # fmt: skip
    event = {
        "event_date": "20260302",
        "event_timestamp": NOON + index * 1_000_000,
        "event_name": "page_view",
        "event_bundle_sequence_id": 100 + index,
        "event_server_timestamp_offset": 500_000,
        "batch_event_index": index,
        "batch_ordering_id": 1,
        "batch_page_id": 7,
        "event_params": [param(key, value) for key, value in params.items() if value is not None],
        "user_id": None,
        "user_pseudo_id": "3956592627.102561",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "No", "uses_transient_token": "No"},
        "device": {
            "category": "mobile", "operating_system": "iOS", "language": "de-de",
            "web_info": {"browser": "Safari", "browser_version": "17", "hostname": "shop.example"},
        },
        "geo": {"continent": "Europe", "country": "Germany", "city": "Berlin"},
        "collected_traffic_source": {
            "manual_source": "google", "manual_medium": "cpc", "manual_campaign_name": "spring",
            "gclid": "abc",
        },
        "ecommerce": None,
        "platform": "WEB",
        "stream_id": "1",
    } | changes  # fmt: skip
    return {key: value for key, value in event.items() if value is not None}


def purchase(index: int = 0, order: str = "W1", revenue: float = 59.9, **changes: Any) -> dict[str, Any]:
    basket = {"transaction_id": order, "purchase_revenue": revenue, "total_item_quantity": 2}
    params = {"currency": "EUR", "value": revenue, "transaction_id": order} | changes.pop("params", {})
    return ga4(index, event_name="purchase", ecommerce=basket, params=params, **changes)


def as_export_json(event: dict[str, Any]) -> dict[str, Any]:
    """As the JSON export writes it: 64-bit integers are text, missing values are left out."""

    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return str(value)
        if isinstance(value, dict):
            return {key: convert(inner) for key, inner in value.items() if inner is not None}
        return [convert(inner) for inner in value] if isinstance(value, list) else value

    return convert(event)


def parquet(events: Sequence[dict[str, Any]], path: Path, without: Sequence[str] = ()) -> bytes:
    """The events as the typed Parquet export has them; `without` leaves columns out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def struct(**kinds: Any) -> Any:
        return pa.struct(list(kinds.items()))

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    value = struct(string_value=text, int_value=whole, float_value=real, double_value=real)
    schema = {
        "event_date": text, "event_timestamp": whole, "event_name": text, "event_bundle_sequence_id": whole,
        "event_server_timestamp_offset": whole, "batch_event_index": whole, "batch_ordering_id": whole,
        "batch_page_id": whole, "event_params": pa.list_(struct(key=text, value=value)), "user_id": text,
        "user_pseudo_id": text,
        "privacy_info": struct(analytics_storage=text, ads_storage=text, uses_transient_token=text),
        "device": struct(category=text, operating_system=text, language=text,
                         web_info=struct(browser=text, browser_version=text, hostname=text)),
        "geo": struct(continent=text, country=text, city=text),
        "collected_traffic_source": struct(manual_source=text, manual_medium=text, manual_campaign_name=text,
                                           gclid=text),
        "ecommerce": struct(transaction_id=text, purchase_revenue=real, total_item_quantity=whole),
        "platform": text, "stream_id": text,
    }  # fmt: skip
    known = set(schema)
    for extra in sorted({key for event in events for key in event} - known):
        schema[extra] = text
    fields = [pa.field(name, kind) for name, kind in schema.items() if name not in without]
    table = pa.Table.from_pylist([dict(event) for event in events], schema=pa.schema(fields))
    pq.write_table(table, path)
    return path.read_bytes()


def land_parquet(landing: Path, events: Sequence[dict[str, Any]], tmp: Path, **options: Any) -> Path:
    """Land events as one Parquet file."""
    data = parquet(events, tmp / "made.parquet", options.pop("without", ()))
    return land(
        landing, "ga4/events", {"part-000.parquet": data}, {"part-000.parquet": len(events)}, **options
    )


def hubspot(
    key: str, properties: dict[str, Any], contact: str | None = None, **changes: Any
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": key, "properties": properties, "createdAt": "2026-03-01T09:00:00.000Z",
        "updatedAt": "2026-03-02T10:00:00.000Z", "archived": False,
    }  # fmt: skip
    if contact is not None:
        record["associations"] = {"contacts": {"results": [{"id": contact, "type": "order_to_contact"}]}}
    return record | changes


def contact(key: str = "70001", **changes: Any) -> dict[str, Any]:
    """A contact with every property that is asked for; null where it has none."""
    properties = {
        "email": "Ada@Example.com", "phone": "+49 30 123", "mobilephone": None, "firstname": "Ada",
        "lastname": "Lovelace", "date_of_birth": "1990-12-10", "address": "Weg 1", "city": "Berlin",
        "zip": "01099", "country": "Germany", "hs_language": "de-de", "lifecyclestage": "customer",
        "createdate": "2026-03-01T09:00:00.000Z", "lastmodifieddate": "2026-03-02T10:00:00.000Z",
        "hs_email_optout": "false", "hs_analytics_source": "PAID_SEARCH", "hs_merged_object_ids": None,
        "shop_login_id": "U0001234", "loyalty_id": "000123456789012345", "referral_code": "ADA1",
        "referred_by_code": None, "consent_analytics": "true", "consent_marketing": "false",
        "hs_object_id": key,
    } | changes  # fmt: skip
    return hubspot(key, properties)


def order(key: str = "80001", **changes: Any) -> dict[str, Any]:
    properties = {
        "hs_createdate": "2026-03-02T11:00:00.000Z", "hs_lastmodifieddate": "2026-03-02T11:05:00.000Z",
        "hs_external_order_id": "W1", "hs_external_order_status": "PAID", "hs_payment_status": None,
        "hs_total_price": "90.00", "hs_order_discount": "10.00", "hs_subtotal_price": "100.00",
        "hs_refund_amount": "0", "hs_currency_code": "EUR", "hs_exchange_rate": "1.0",
        "hs_source_store": None, "sales_channel": "web", "hs_billing_address_email": "ada@example.com",
        "hs_billing_address_phone": None, "hs_external_created_date": "2026-03-02T10:59:00.000Z",
        "discount_code": None, "is_test": "false", "hs_is_canceled": "false",
    } | changes  # fmt: skip
    return hubspot(key, properties, contact="70001")


def ticket(key: str = "90001", **changes: Any) -> dict[str, Any]:
    properties = {
        "subject": "Parcel", "content": "Where is it?", "hs_ticket_category": "DELIVERY",
        "hs_ticket_priority": "HIGH", "hs_pipeline_stage": "1", "createdate": "2026-03-02T08:00:00.000Z",
        "closed_date": None, "hs_lastmodifieddate": "2026-03-02T09:00:00.000Z", "hs_language": "en",
    } | changes  # fmt: skip
    return hubspot(key, properties, contact="70001")


def survey(key: str = "95001", **changes: Any) -> dict[str, Any]:
    properties = {
        "hs_survey_type": "NPS", "hs_value": "9", "hs_content": "Good", "hs_language": "en",
        "hs_submission_timestamp": "2026-03-02T08:00:00.000Z", "hs_contact_email_rollup": "ada@example.com",
        "hs_lastmodifieddate": "2026-03-02T09:00:00.000Z", "order_id": "W1",
    } | changes  # fmt: skip
    return hubspot(key, properties, contact="70001")


def email(key: str = "01AAA", **changes: Any) -> dict[str, Any]:
    metric = changes.pop("metric", "Opened Email")
    profile = {
        "type": "profile", "id": "P1",
        "attributes": {"email": "ada@example.com", "phone_number": None, "external_id": None,
                       "first_name": "Ada", "last_name": "Lovelace", "location": {"zip": "01099"},
                       "properties": {}},
    }  # fmt: skip
    attributes = {
        "timestamp": 1772452800, "datetime": "2026-03-02 12:00:00+00:00",
        "event_properties": {"Subject": "News", "Campaign Name": "spring", "$message": "M1",
                             "machine_open": False},
    } | changes  # fmt: skip
    return {
        "type": "event", "id": key, "attributes": attributes,
        "relationships": {"profile": {"data": {"type": "profile", "id": "P1"}}},
        "_included": {"profile": profile,
                      "metric": {"type": "metric", "id": "X", "attributes": {"name": metric}}},
    }  # fmt: skip


def advert(key: str = "23856469955990536", **changes: Any) -> dict[str, Any]:
    return {
        "date_start": "2026-03-02", "date_stop": "2026-03-02", "account_id": "1001",
        "account_currency": "EUR",
        "campaign_id": "11", "campaign_name": "spring", "adset_id": "12", "ad_id": key, "ad_name": "tent",
        "impressions": "361", "reach": "300", "clicks": "9", "inline_link_clicks": "7", "spend": "53.95",
        "actions": [{"action_type": "link_click", "value": "7"}, {"action_type": "purchase", "value": "2"}],
        "action_values": [{"action_type": "purchase", "value": "119.80"}],
    } | changes  # fmt: skip


def post(key: str = "2001_1", **changes: Any) -> dict[str, Any]:
    def metric(name: str, value: int) -> dict[str, Any]:
        return {"name": name, "period": "lifetime", "values": [{"value": value}]}

    return {
        "id": key, "message": "Hello", "created_time": "2026-03-02T09:00:00+0000",
        "permalink_url": "https://social.example/1", "shares": {"count": 2},
        "reactions": {"data": [], "summary": {"total_count": 5, "viewer_reaction": "NONE"}},
        "insights": {"data": [metric("post_media_view", 100), metric("post_total_media_view_unique", 80),
                              metric("post_clicks", 4)]},
    } | changes  # fmt: skip


def comment(key: str = "1_9", **changes: Any) -> dict[str, Any]:
    return {
        "id": key, "_post_id": "2001_1", "message": "Nice", "created_time": "2026-03-02T10:00:00+0000",
        "like_count": 3, "from": {"id": "55", "name": "Bo"},
    } | changes  # fmt: skip
