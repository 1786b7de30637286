"""The e-mail tool: paging, half-open filters, included resources, arrival, errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cja_pipeline.simulator.world import World

from .helpers import client, linked

EVENTS = "/api/events"


def between(low: dt.datetime, high: dt.datetime) -> str:
    return f"and(greater-or-equal(datetime,{low.isoformat()}),less-than(datetime,{high.isoformat()}))"


@pytest.mark.parametrize("size", [173, 1000])
def test_pages_hold_every_event_of_the_window_once(
    folder: Path, world: World, last_night: dt.datetime, size: int
) -> None:
    low = dt.datetime.combine(world.manifest.start, dt.time(), tzinfo=dt.UTC)
    high = low + dt.timedelta(days=12)
    params = {
        "filter": between(low, high),
        "sort": "datetime",
        "page[size]": size,
        "include": "metric,profile",
    }
    with client(folder, "klaviyo", last_night) as http:
        events = []
        for page in linked(http, EVENTS, params):
            events += page["data"]
            there = {(item["type"], item["id"]) for item in page["included"]}
            for event in page["data"]:
                owner = event["relationships"]["profile"]["data"]
                assert owner is None or ("profile", owner["id"]) in there
                assert ("metric", event["relationships"]["metric"]["data"]["id"]) in there
    stamps = [event["attributes"]["datetime"] for event in events]
    assert stamps == sorted(stamps)
    assert all(low <= dt.datetime.fromisoformat(stamp) < high for stamp in stamps)
    table = world.table("klaviyo/events").to_pandas()
    inside = (table.ts >= low.timestamp() * 1e6) & (table.ts < high.timestamp() * 1e6)
    assert sorted(event["id"] for event in events) == sorted(table.id[inside])


def test_windows_side_by_side_share_nothing(folder: Path, world: World, last_night: dt.datetime) -> None:
    start = dt.datetime.combine(world.manifest.start, dt.time(), tzinfo=dt.UTC)
    with client(folder, "klaviyo", last_night) as http:
        count = 0
        for day in range(-1, 40):
            low = start + dt.timedelta(days=day)
            for page in linked(
                http, EVENTS, {"filter": between(low, low + dt.timedelta(days=1)), "page[size]": 1000}
            ):
                count += len(page["data"])
                assert "included" not in page
    assert count == world.table("klaviyo/events").num_rows


def test_only_what_has_arrived_is_shown(folder: Path, world: World, night: dt.datetime) -> None:
    moment = night - dt.timedelta(days=3)
    with client(folder, "klaviyo", moment) as http:
        shown = sum(len(page["data"]) for page in linked(http, EVENTS, {"page[size]": 1000}))
    table = world.table("klaviyo/events")["visible_from"].to_numpy()
    assert shown == (table <= moment.timestamp() * 1e6).sum() < len(table)


def test_errors_have_the_vendors_form(folder: Path, night: dt.datetime) -> None:
    with client(folder, "klaviyo", night) as http:
        for params in (
            {"filter": "greater-than(color,blue)"},
            {"filter": "less-than(datetime,yesterday)"},
            {"filter": "nonsense"},
            {"page[size]": "1001"},
            {"page[cursor]": "%%%"},
            {"include": "list"},
            {"sort": "name"},
        ):
            answer = http.get(EVENTS, params=params)
            assert (answer.status_code, answer.json()["errors"][0]["status"]) == (400, 400), params
        assert http.get("/api/unknown").status_code == 404
        assert http.get(EVENTS, headers={"revision": ""}).status_code == 400
        assert http.get(EVENTS, headers={"Authorization": "Bearer x"}).status_code == 401


def test_some_profiles_are_hashes_only(folder: Path, night: dt.datetime) -> None:
    with client(folder, "klaviyo", night) as http:
        page = next(linked(http, EVENTS, {"page[size]": 1000, "include": "profile"}))
    profiles = [item["attributes"] for item in page["included"] if item["type"] == "profile"]
    hashed = [p for p in profiles if p["email"] is None]
    assert hashed
    assert all(len(p["properties"]["email_sha256"]) == 64 and p["external_id"] is None for p in hashed)
    assert 0.03 < len(hashed) / len(profiles) < 0.35
