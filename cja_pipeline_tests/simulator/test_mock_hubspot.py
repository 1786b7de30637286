"""The CRM: listing, search, associations, versions over time, errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest

from cja_pipeline.simulator.mocks import hubspot, transport
from cja_pipeline.simulator.world import World

from .helpers import client, searched

BASE = "/crm/objects/2026-09"


def listed(http: httpx.Client, kind: str, **params: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    while True:
        page = http.get(f"{BASE}/{kind}", params={"limit": 100, **params}).raise_for_status().json()
        results += page["results"]
        if "paging" not in page:
            return results
        params["after"] = page["paging"]["next"]["after"]


def by_time(name: str, low: int, high: int) -> list[dict[str, Any]]:
    between = [
        {"propertyName": name, "operator": "GTE", "value": str(low)},
        {"propertyName": name, "operator": "LT", "value": str(high)},
    ]
    return [{"filters": between}]


def test_errors_have_the_vendors_form(folder: Path, night: dt.datetime) -> None:
    with httpx.Client(
        transport=transport("mock://hubspot", folder, night), base_url="mock://hubspot"
    ) as http:
        answer = http.get(f"{BASE}/contacts")
        assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    with client(folder, "hubspot", night) as http:
        assert http.get(f"{BASE}/contacts", params={"limit": 101}).status_code == 400
        assert http.get(f"{BASE}/spaceships").status_code == 404
        assert http.get(f"{BASE}/contacts", params={"after": "x"}).status_code == 400
        assert http.post(f"{BASE}/contacts/search", content=b"{").status_code == 400
        too_far = http.post(f"{BASE}/contacts/search", json={"limit": 200, "after": "9900"})
        assert too_far.status_code == 400
        assert "10000" in too_far.json()["message"]
        odd = {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "x"}]}]}
        assert http.post(f"{BASE}/contacts/search", json=odd).status_code == 400


@pytest.mark.parametrize("kind", hubspot.KINDS)
def test_listing_and_search_agree(folder: Path, night: dt.datetime, kind: str) -> None:
    with client(folder, "hubspot", night) as http:
        one = {record["id"]: record for record in listed(http, kind, properties="createdate,hs_object_id")}
        two = {r["id"]: r for r in searched(http, kind, {"properties": ["createdate", "hs_object_id"]})}
    assert one == two
    assert one
    for record in one.values():
        assert record["properties"]["hs_object_id"] == record["id"]
        assert all(value is None or isinstance(value, str) for value in record["properties"].values())


def test_windows_of_change_cover_everything_once(folder: Path, night: dt.datetime) -> None:
    """Search windows over the time of change, half-open, give every record exactly once."""
    end = int(night.timestamp() * 1000) + 1
    with client(folder, "hubspot", night) as http:
        whole = searched(http, "contacts", {"filterGroups": by_time("lastmodifieddate", 0, end)})
        parts: list[str] = []
        step = 5 * 86_400_000
        for low in range(end - 40 * 86_400_000, end, step):
            found = searched(
                http, "contacts", {"filterGroups": by_time("lastmodifieddate", low, min(low + step, end))}
            )
            stamps = [record["updatedAt"] for record in found]
            parts += [record["id"] for record in found]
            assert all(stamps)
    assert sorted(parts) == sorted(record["id"] for record in whole)
    assert len(set(parts)) == len(parts)


def test_sorted_search_breaks_ties_by_id(folder: Path, night: dt.datetime) -> None:
    body = {"sorts": [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}], "properties": []}
    with client(folder, "hubspot", night) as http:
        found = [(r["updatedAt"], int(r["id"])) for r in searched(http, "orders", body)]
    assert found == sorted(found)


def test_filters(folder: Path, night: dt.datetime) -> None:
    def search(*filters: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = ["sales_channel", "hs_total_price", "discount_code"]
        return searched(http, "orders", {"filterGroups": [{"filters": list(filters)}], "properties": wanted})

    with client(folder, "hubspot", night) as http:
        everything = search()
        web = search({"propertyName": "sales_channel", "operator": "EQ", "value": "web"})
        rest = search({"propertyName": "sales_channel", "operator": "IN", "values": ["store", "phone"]})
        assert len(web) + len(rest) == len(everything)
        dear = search({"propertyName": "hs_total_price", "operator": "GT", "value": "100"})
        assert dear
        assert all(float(r["properties"]["hs_total_price"]) > 100 for r in dear)
        with_code = search({"propertyName": "discount_code", "operator": "HAS_PROPERTY"})
        without = search({"propertyName": "discount_code", "operator": "NOT_HAS_PROPERTY"})
        assert len(with_code) + len(without) == len(everything)
        one = search({"propertyName": "hs_object_id", "operator": "EQ", "value": everything[0]["id"]})
        assert [record["id"] for record in one] == [everything[0]["id"]]


def test_associations_follow_merges(folder: Path, world: World, night: dt.datetime) -> None:
    with client(folder, "hubspot", night) as http:
        orders = listed(http, "orders", associations="contacts")
        alive = {record["id"] for record in listed(http, "contacts")}
        alive |= {record["id"] for record in listed(http, "contacts", archived="true")}
        ids = [record["id"] for record in orders][:50]
        body = {"inputs": [{"id": id_} for id_ in ids]}
        answer = http.post("/crm/v4/associations/orders/contacts/batch/read", json=body)
        unknown = {"inputs": [{"id": "1"}]}
        assert http.post("/crm/v4/associations/orders/contacts/batch/read", json=unknown).status_code == 207
    inline = {
        record["id"]: record["associations"]["contacts"]["results"][0]["id"]
        for record in orders
        if "associations" in record
    }
    batch = {str(r["from"]["id"]): str(r["to"][0]["toObjectId"]) for r in answer.json()["results"]}
    assert batch == {id_: inline[id_] for id_ in ids if id_ in inline}
    assert set(inline.values()) <= alive


def test_records_change_over_time(folder: Path, world: World, night: dt.datetime) -> None:
    """Merged contacts vanish, archived ones move to the archive, refunds appear."""
    merges = world.table("hubspot/merges").to_pylist()
    loser = merges[0]
    before = dt.datetime.fromtimestamp(loser["visible_from"] / 1e6 - 1, dt.UTC)
    for moment, there in ((before, True), (before + dt.timedelta(seconds=2), False)):
        with client(folder, "hubspot", moment) as http:
            found = {r["id"]: r for r in listed(http, "contacts", properties="hs_merged_object_ids")}
        assert (loser["loser"] in found) == there
        kept = found[loser["winner"]]["properties"]["hs_merged_object_ids"]
        assert (kept == loser["loser"]) == (not there)
    later = night + dt.timedelta(days=60)
    with client(folder, "hubspot", later) as http:
        archived = listed(http, "contacts", archived="true")
        assert all(record["archived"] and record["archivedAt"] for record in archived)
        assert not {r["id"] for r in archived} & {r["id"] for r in listed(http, "contacts")}
        refunds = [
            r
            for r in listed(http, "orders", properties="hs_refund_amount")
            if r["properties"]["hs_refund_amount"]
        ]
    assert refunds


def test_versions_never_reach_back(world: World) -> None:
    """No version is visible before its own time of change, and times of change only grow."""
    for kind in hubspot.KINDS:
        table = world.table(f"hubspot/{kind}").to_pandas()
        assert table.visible_from.is_monotonic_increasing
        assert (table.created_at <= table.visible_from).all()
        assert (table.until > table.visible_from).all()
        assert (table.groupby("id").until.max() > 4 * 10**18).all()
