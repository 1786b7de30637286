"""Faults: parsed strictly, reproducible, in each vendor's own words, and survivable by a patient client."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import httpx
import pytest

from cja_pipeline.simulator.faults import Faults, parse_faults
from cja_pipeline.simulator.mocks import transport

from .helpers import HEADERS, client

STORM = "?faults=429:0.18,500:0.15,trunc:0.12,html:0.1,dup:0.1,reset:0.15"


def test_the_text_is_checked() -> None:
    assert parse_faults("429:0.02,trunc:0.01") == {"429": 0.02, "trunc": 0.01}
    assert parse_faults(None) == {}
    for wrong in ("418:0.1", "500", "500:x", "500:2"):
        with pytest.raises(ValueError, match=r"fault"):
            parse_faults(wrong)


@pytest.mark.parametrize("url", ["mock://shop", "http://hubspot", "mock://hubspot?colour=red"])
def test_addresses_are_checked(folder: Path, night: dt.datetime, url: str) -> None:
    with pytest.raises(ValueError, match=r"expected mock|unknown option"):
        transport(url, folder, night)


def storm(folder: Path, night: dt.datetime) -> tuple[list[str], list[str]]:
    """Read all orders through a storm with a simple-minded retry; returns (ids, what happened)."""
    ids: list[str] = []
    story: list[str] = []
    with client(folder, "hubspot", night, STORM) as http:
        body = {"limit": 3, "filterGroups": [], "sorts": [], "properties": []}
        visited: set[str] = set()
        while True:
            try:
                answer = http.post("/crm/objects/2026-09/orders/search", json=body)
                story.append(str(answer.status_code))
                page = answer.json() if answer.status_code == 200 else None
            except (httpx.TransportError, ValueError) as error:
                story.append(type(error).__name__)
                page = None
            if page is None or "results" not in page:
                continue
            following = (page.get("paging") or {}).get("next", {}).get("after")
            place = str(following)
            if place not in visited:
                visited.add(place)
                ids += [record["id"] for record in page["results"]]
            if following is None:
                return ids, story
            body["after"] = following


def test_a_storm_is_reproducible_and_loses_nothing(folder: Path, night: dt.datetime) -> None:
    ids, story = storm(folder, night)
    assert (ids, story) == storm(folder, night)
    assert {"429", "500", "ReadError", "JSONDecodeError"} <= set(story)
    with client(folder, "hubspot", night) as http:
        calm = http.post("/crm/objects/2026-09/orders/search", json={"limit": 200}).json()["total"]
    assert len(ids) == len(set(ids)) == calm


@pytest.mark.parametrize(
    ("vendor", "status"), [("ga4", 429), ("hubspot", 429), ("klaviyo", 429), ("meta", 400)]
)
def test_too_many_requests_in_the_vendors_words(
    folder: Path, night: dt.datetime, vendor: str, status: int
) -> None:
    with client(folder, vendor, night, "?faults=429:1") as http:
        path = {
            "ga4": "/storage/v1/b/x/o",
            "hubspot": "/crm/objects/2026-09/orders",
            "klaviyo": "/api/events",
        }
        answer = http.get(path.get(vendor, "/v25.0/2001/posts"))
    assert answer.status_code == status
    if status == 429:
        assert answer.headers["retry-after"] == "1"
    else:
        assert answer.json()["error"]["code"] == 17


def test_faults_never_hide_a_refused_request(folder: Path, night: dt.datetime) -> None:
    mount = transport("mock://hubspot?faults=html:1", folder, night)
    with httpx.Client(transport=mount, base_url="mock://hubspot") as http:
        assert http.get("/crm/objects/2026-09/orders").status_code == 401


def test_the_token_does_not_change_the_weather() -> None:
    one, two = (Faults({"500": 0.5}, "meta") for _ in range(2))
    for k in range(50):
        plain = httpx.Request("GET", f"mock://meta/v25.0/2001/posts?after={k}")
        signed = httpx.Request(
            "GET", f"mock://meta/v25.0/2001/posts?after={k}&access_token=secret", headers=HEADERS["meta"]
        )
        assert one.choose(plain) == two.choose(signed)
