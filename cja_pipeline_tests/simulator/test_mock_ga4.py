"""The export bucket: listing, paging, downloads, rewrites as late events arrive."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import io
import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow.parquet as pq

from cja_pipeline.simulator.mocks import transport
from cja_pipeline.simulator.world import World

from .conftest import DAYS
from .helpers import client

LIST = "/storage/v1/b/bucket/o"


def objects(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = http.get(LIST, params=params).raise_for_status().json()
        items += page.get("items", [])
        if "nextPageToken" not in page:
            return items
        params["pageToken"] = page["nextPageToken"]


def download(http: httpx.Client, name: str) -> bytes:
    return http.get(f"{LIST}/{quote(name, safe='')}", params={"alt": "media"}).raise_for_status().content


def rows(name: str, content: bytes) -> int:
    if name.endswith(".gz"):
        return len(gzip.decompress(content).splitlines())
    return pq.read_metadata(io.BytesIO(content)).num_rows


def test_a_token_is_needed(folder: Path, night: dt.datetime) -> None:
    with httpx.Client(transport=transport("mock://ga4", folder, night), base_url="mock://ga4") as http:
        answer = http.get(LIST)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == 401


def test_listing_pages_and_prefixes(folder: Path, night: dt.datetime) -> None:
    with client(folder, "ga4", night) as http:
        everything = objects(http)
        assert len(everything) == DAYS
        assert objects(http, maxResults=7) == everything
        november = objects(http, prefix="events_202610")
        assert [item["name"] for item in november] == sorted(item["name"] for item in everything)[
            : len(november)
        ]
        assert "items" not in http.get(LIST, params={"prefix": "events_1999"}).json()
        assert http.get(LIST, params={"maxResults": "many"}).status_code == 400
        assert http.get(LIST, params={"pageToken": "?"}).status_code == 400


def test_objects_are_what_the_listing_says(folder: Path, night: dt.datetime) -> None:
    with client(folder, "ga4", night) as http:
        for item in objects(http):
            content = download(http, item["name"])
            assert len(content) == int(item["size"])
            assert base64.b64encode(hashlib.md5(content).digest()).decode() == item["md5Hash"]
        assert http.get(f"{LIST}/nothing", params={"alt": "media"}).status_code == 404
        one = http.get(f"{LIST}/{quote(item['name'], safe='')}").json()
        assert one == item


def test_one_day_is_json_lines_with_numbers_as_text(folder: Path, night: dt.datetime) -> None:
    with client(folder, "ga4", night) as http:
        name = next(item["name"] for item in objects(http) if item["name"].endswith(".jsonl.gz"))
        lines = gzip.decompress(download(http, name)).decode().splitlines()
    good = [json.loads(line) for line in lines[:-2]]
    assert all(isinstance(row.get("event_timestamp"), str) for row in good)
    assert all(value is not None for row in good for value in row.values())
    for line in lines[-2:]:
        try:
            json.loads(line)
        except json.JSONDecodeError:
            continue
        raise AssertionError("the last lines are cut off")


def test_late_events_arrive_in_rewrites(world: World, folder: Path, night: dt.datetime) -> None:
    """The last day of history grows over three nights; generation and checksum move along."""
    counts = world.truth("counts").query("source == 'ga4'").set_index("day").final
    day = world.manifest.end
    name = f"events_{day:%Y%m%d}/part-000.parquet"
    seen: list[tuple[int, str, int]] = []
    for later in range(6):
        with client(folder, "ga4", night + dt.timedelta(days=later)) as http:
            item = next(item for item in objects(http) if item["name"] == name)
            seen.append((int(item["generation"]), item["md5Hash"], rows(name, download(http, name))))
    sizes = [size for _, _, size in seen]
    assert sizes == sorted(sizes)
    assert sizes[-1] == counts[day]
    assert seen[-1] == seen[-2], "final after 72 hours"
    for before, after in itertools.pairwise(seen):
        assert (before[0] == after[0]) == (before[1] == after[1]) == (before[2] == after[2])


def test_a_day_appears_only_the_night_after(world: World, folder: Path) -> None:
    midnight = dt.datetime.combine(world.manifest.start + dt.timedelta(days=2), dt.time(1), tzinfo=dt.UTC)
    with client(folder, "ga4", midnight - dt.timedelta(hours=2)) as http:
        assert len(objects(http)) == 1
    with client(folder, "ga4", midnight) as http:
        assert len(objects(http)) == 2
