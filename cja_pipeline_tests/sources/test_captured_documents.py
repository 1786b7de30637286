"""Documents captured from real vendors go through unchanged. Skipped where they are not at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cja_pipeline.sources import hubspot, pull
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.meta import graph_pages
from cja_pipeline.sources.window import Window, parse_time
from cja_pipeline_tests.sources.helpers import AS_OF, DAY, QUICK, ZONE, answering, client, lines, source


@pytest.fixture(scope="module")
def crm_documents(shared_data: Path) -> dict[str, dict[str, Any]]:
    """Real HubSpot documents by object type, as captured by a connector (ids as numbers)."""
    path = shared_data / "samples/hubspot/tests/snapshots/snapshots__capture__stdout.json"
    documents = json.loads(path.read_text())
    return {name.split("/")[1]: document for name, document in documents if "/" in name}


def test_real_crm_records_are_landed_unchanged(
    crm_documents: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubspot, "STREAMS", ("contacts", "orders"))

    def handler(request: httpx.Request) -> Any:
        if request.url.path.endswith("/batch/read"):
            inputs = json.loads(request.content)["inputs"]
            target = {"toObjectId": crm_documents["contacts"]["id"], "associationTypes": [{"label": None}]}
            return {"results": [{"from": {"id": item["id"]}, "to": [target]} for item in inputs]}
        if request.method == "GET":
            return {"results": []}
        return {"total": 1, "results": [crm_documents[request.url.path.split("/")[4]]]}

    config = source("hubspot", "mock://hubspot")
    reports = pull(
        config, Window(DAY, DAY), AS_OF, tmp_path, transport=answering(handler), time_zone=ZONE, limits=QUICK
    )
    assert [(report.rows, report.rejected_rows) for report in reports] == [(1, 0), (1, 0)]
    (contact,) = lines(tmp_path / "hubspot/contacts/dt=2026-03-10/run=20260311T030000Z")
    (order,) = lines(tmp_path / "hubspot/orders/dt=2026-03-10/run=20260311T030000Z")
    assert contact == crm_documents["contacts"]
    assert {key: order[key] for key in crm_documents["orders"] if key != "associations"} == {
        key: value for key, value in crm_documents["orders"].items() if key != "associations"
    }
    expected = {"id": str(crm_documents["contacts"]["id"]), "type": "order_to_contact"}
    assert order["associations"]["contacts"]["results"] == [expected]


def test_what_is_assumed_of_crm_properties_holds(crm_documents: dict[str, dict[str, Any]]) -> None:
    for name in ("contacts", "orders", "deals", "companies"):
        document = crm_documents[name]
        values = document["properties"].values()
        assert all(value is None or isinstance(value, str) for value in values), name
        assert parse_time(document["createdAt"]).tzinfo is not None
    for name in ("contacts", "orders"):
        assert hubspot.OBJECTS[name].time_property in crm_documents[name]["properties"]


def test_requested_order_properties_exist_in_a_real_portal(crm_documents: dict[str, dict[str, Any]]) -> None:
    own = {"sales_channel", "discount_code", "is_test", "hs_is_canceled", "hs_source_store"}
    asked = set(hubspot.OBJECTS["orders"].properties) - own
    assert sorted(asked - set(crm_documents["orders"]["properties"])) == []


def cassette(shared_data: Path, name: str) -> list[dict[str, Any]]:
    path = shared_data / "samples/meta_graph/vcr_cassettes" / name
    return yaml.safe_load(path.read_text())["http_interactions"]


def test_recorded_graph_pages_are_followed(shared_data: Path) -> None:
    recorded = cassette(shared_data, "friend_list_next_page.yml")
    bodies = iter([json.loads(item["response"]["body"]["string"]) for item in recorded] + [{"data": []}])
    asked: list[httpx.URL] = []

    def handler(request: httpx.Request) -> Any:
        asked.append(request.url)
        return next(bodies)

    with client("https://graph.facebook.com", transport=answering(handler)) as http:
        pages = list(graph_pages(http, "/v2.2/me/friends", {"limit": 25}))
    assert [len(page) for page in pages] == [25, 25, 0]
    for url, item in zip(asked[1:], recorded[1:], strict=False):
        expected = dict(httpx.URL(item["request"]["uri"]).params)
        assert expected.pop("access_token")
        assert dict(url.params) == expected, "the link's query is kept, its token is not"


def test_recorded_graph_errors_are_final_and_named(shared_data: Path) -> None:
    path = shared_data / "samples/meta_graph/mock_facebook_responses.yml"
    graph = yaml.safe_load(path.read_text())["graph_api"]
    refused = graph["/comments"]["ids="]["get"]
    reply = httpx.Response(refused["code"], text=refused["body"])
    with (
        client("https://graph.facebook.com", transport=answering(lambda _: reply)) as http,
        pytest.raises(VendorError, match="HTTP 400: Cannot specify an empty identifier"),
    ):
        http.get("/v25.0/comments")
    missing = json.loads(graph["token_required_responses"]["no_token"]["body"])
    with (
        client("https://g.example", transport=answering(lambda _: httpx.Response(400, json=missing))) as http,
        pytest.raises(VendorError, match="An access token is required"),
    ):
        http.get("/me")
