"""Every reader of outside data against mutated input: no uncaught exception, and no good row lost."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cja_pipeline.sources import pull
from cja_pipeline.sources.client import Limits
from cja_pipeline.sources.errors import SourceError
from cja_pipeline.sources.manifest import read_manifest, verify
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.landed import read_landed
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.recovery.mutations import JSON, examples, mutated
from cja_pipeline_tests.sources.helpers import AS_OF, DAY, ZONE, answering, lines, source
from cja_pipeline_tests.validated import vendors as v

# --- landed files -> tables ------------------------------------------------------------------------------
STREAMS: dict[str, tuple[str, Callable[[int], Any], str]] = {
    "web_events": ("ga4/events", lambda n: v.as_export_json(v.purchase(n, f"W{n}")), "order_id"),
    "contacts": ("hubspot/contacts", lambda n: v.contact(f"{n}"), "contact_id"),
    "crm_orders": ("hubspot/orders", lambda n: v.order(f"{n}", hs_external_order_id=f"W{n}"), "crm_order_id"),
    "tickets": ("hubspot/tickets", lambda n: v.ticket(f"{n}"), "ticket_id"),
    "surveys": ("hubspot/feedback_submissions", lambda n: v.survey(f"{n}"), "submission_id"),
    "email_events": ("klaviyo/events", lambda n: v.email(f"{n}"), "event_id"),
    "ad_insights": ("meta/insights", lambda n: v.advert(f"{n}"), "ad_id"),
    "social_posts": ("meta/posts", lambda n: v.post(f"{n}"), "post_id"),
    "social_comments": ("meta/comments", lambda n: v.comment(f"{n}"), "comment_id"),
}
GOOD = 4


@pytest.mark.parametrize("table", STREAMS)
@examples(6)
@given(data=st.data())
def test_mutated_records_cost_only_themselves(table: str, data: st.DataObject) -> None:
    stream, make, key = STREAMS[table]
    good = [make(1000 + n) for n in range(GOOD)]
    bad = [data.draw(mutated(make(n))) for n in range(12)]
    with TemporaryDirectory() as folder, Warehouse(":memory:") as warehouse:
        landing = Path(folder)
        records = [json.dumps(one) for one in (*good[:2], *bad, *good[2:])]
        run = "run=20260303T030000Z" if stream.startswith("hubspot") else ""
        v.land_lines(landing, stream, records, run=run)
        report = load(warehouse, table, landing, None, "run")
        assert report.offered == len(records)
        assert unbalanced_days(warehouse, f"validated.{table}") == []
        found = {row[0] for row in warehouse.sql(f"SELECT {key} FROM validated.{table}").fetchall()}
        wanted = {f"W{1000 + n}" if key == "order_id" else f"{1000 + n}" for n in range(GOOD)}
        assert wanted <= found, "a good row was lost"


@examples(12)
@given(data=st.data())
def test_mutated_parquet_leaves_its_neighbour(data: st.DataObject) -> None:
    """Columns of other types, missing, renamed; bytes overwritten: the other file of the day is loaded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with TemporaryDirectory() as folder, Warehouse(":memory:") as warehouse:
        landing, made = Path(folder) / "landing", Path(folder) / "made.parquet"
        good = v.parquet([v.ga4(500 + n) for n in range(GOOD)], made)
        v.parquet([v.ga4(n) for n in range(6)], made)
        columns = {name: column for name, column in zip(*_columns(pq.read_table(made)), strict=True)}
        for _ in range(data.draw(st.integers(0, 3))):
            name = data.draw(st.sampled_from(sorted(columns)))
            change = data.draw(st.sampled_from(["drop", "rename", "text", "number", "list"]))
            column = columns.pop(name)
            if change == "rename":
                columns[name + "_x"] = column
            elif change != "drop":
                values = {"text": ["x"] * 6, "number": [1.5] * 6, "list": [[1]] * 6}[change]
                columns[name] = pa.chunked_array([pa.array(values)])
        pq.write_table(pa.table(columns), made)
        body = bytearray(made.read_bytes())
        for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
            body[place] ^= data.draw(st.integers(1, 255))
        v.land(
            landing, "ga4/events", {"part-000.parquet": bytes(body), "part-001.parquet": good},
            {"part-000.parquet": 6, "part-001.parquet": GOOD},
        )  # fmt: skip
        report = load(warehouse, "web_events", landing, None, "run")
        assert report.offered >= 6 + GOOD
        assert unbalanced_days(warehouse, "validated.web_events") == []
        kept = warehouse.scalar(
            "SELECT count(*) FROM validated.web_events WHERE _source_file LIKE '%part-001.parquet'"
        )
        assert kept == GOOD


def _columns(table: Any) -> tuple[list[str], list[Any]]:
    return table.column_names, list(table.columns)


# --- manifests ------------------------------------------------------------------------------------------
@examples(60)
@given(data=st.data())
def test_any_manifest_is_read_or_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        landing = Path(folder)
        landed = v.land_lines(landing, "klaviyo/events", [v.email("1")])
        place = landed / "_MANIFEST.json"
        text = place.read_text()
        value = data.draw(mutated(json.loads(text)) | st.binary(max_size=60) | st.text(max_size=60))
        place.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        manifest = read_manifest(landed)
        found = read_landed(landing, "klaviyo/events")
        assert bool(found.days) == (manifest is not None)
        assert bool(found.unfinished) == (manifest is None)
        verify(landed)
        with Warehouse(":memory:") as warehouse:
            if data.draw(st.integers(0, 9)) == 0:  # a load costs as much as the rest
                load(warehouse, "email_events", landing, None, "run")
                assert unbalanced_days(warehouse, "validated.email_events") == []


# --- vendors' answers -----------------------------------------------------------------------------------
def hubspot_page() -> dict[str, Any]:
    records = [v.contact(f"{n}", lastmodifieddate="2026-03-10T10:00:00.000Z") for n in range(1, 4)]
    return {"total": 3, "results": records, "paging": None}


def klaviyo_page() -> dict[str, Any]:
    events = [
        {"type": "event", "id": f"{n}", "attributes": {"datetime": "2026-03-10T11:00:00+00:00"},
         "relationships": {"profile": {"data": {"type": "profile", "id": "P"}},
                           "metric": {"data": {"type": "metric", "id": "M"}}}}
        for n in range(3)
    ]  # fmt: skip
    included = [
        {"type": "profile", "id": "P", "attributes": {}},
        {"type": "metric", "id": "M", "attributes": {}},
    ]
    return {"data": events, "included": included, "links": {"next": None}}


def meta_page() -> dict[str, Any]:
    rows = [
        {"id": f"{n}", "created_time": "2026-03-10T09:00:00+0000", "date_start": "2026-03-10"}
        for n in range(3)
    ]
    return {"data": rows, "paging": {"cursors": {"after": "a"}}}


def ga4_page() -> dict[str, Any]:
    name = f"events_{DAY:%Y%m%d}/part-000.jsonl.gz"
    return {
        "kind": "storage#objects",
        "items": [{"name": name, "size": "12", "md5Hash": None, "generation": "1"}],
    }


PAGES = {"hubspot": hubspot_page, "klaviyo": klaviyo_page, "meta": meta_page, "ga4": ga4_page}
HOSTS = {
    "hubspot": "https://api.hubapi.com", "klaviyo": "https://a.klaviyo.com",
    "meta": "https://graph.facebook.com", "ga4": "https://storage.googleapis.com",
}  # fmt: skip
PATIENCE = Limits(attempts=2, attempt_seconds=5, download_seconds=5, request_seconds=10)


@pytest.mark.parametrize("kind", PAGES)
@examples(40)
@given(data=st.data())
def test_any_answer_of_a_vendor_is_landed_or_told(kind: str, data: st.DataObject) -> None:
    """Whatever a vendor sends back: a SourceError that says so, or landed folders that hold together."""
    page = data.draw(mutated(PAGES[kind]()) | JSON)
    raw = data.draw(st.none() | st.binary(max_size=40))

    def handle(request: httpx.Request) -> Any:
        if raw is not None and request.url.path.endswith(("search", "o", "events", "insights")):
            return httpx.Response(200, content=raw)
        return page

    with TemporaryDirectory() as folder:
        landing = Path(folder)
        config = source(kind, HOSTS[kind], token="env:X").model_copy(update={"token": None})
        with contextlib.suppress(SourceError):
            pull(
                config,
                Window(DAY, DAY),
                AS_OF,
                landing,
                time_zone=ZONE,
                transport=answering(handle),
                limits=PATIENCE,
            )
        for path in landing.glob("*/*/dt=*/**/_MANIFEST.json"):
            assert verify(path.parent) == []
            manifest = read_manifest(path.parent)
            assert manifest is not None
            if kind != "ga4":
                assert len(lines(path.parent)) == manifest.rows


@examples(40)
@given(data=st.data())
def test_good_records_beside_mutated_ones_are_landed(data: st.DataObject) -> None:
    """One mutated event in a page of Klaviyo: the others are landed, it is landed or put aside."""
    page = klaviyo_page()
    page["data"].insert(1, data.draw(mutated(copy.deepcopy(page["data"][0]))))
    with TemporaryDirectory() as folder:
        landing = Path(folder)
        config = source("klaviyo", HOSTS["klaviyo"], token="env:X").model_copy(update={"token": None})
        pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE, transport=answering(lambda _: page))
        place = landing / "klaviyo" / "events" / f"dt={DAY}"
        manifest = read_manifest(place)
        assert manifest is not None
        assert manifest.offered == 4
        assert {"0", "1", "2"} <= {str(record["id"]) for record in lines(place) if isinstance(record, dict)}


def test_the_day_of_the_examples_is_in_the_window() -> None:
    assert dt.date(2026, 3, 10) == DAY
