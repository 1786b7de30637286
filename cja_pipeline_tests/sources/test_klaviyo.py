"""Klaviyo events: by business day, with profile and metric folded in."""

from __future__ import annotations

import datetime as dt
import random
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from cja_pipeline.sources import pull
from cja_pipeline.sources.errors import PullError, ShrunkError, SourceError
from cja_pipeline.sources.manifest import read_manifest
from cja_pipeline.sources.window import Window, parse_time
from cja_pipeline_tests.sources.helpers import (
    AS_OF,
    DAY,
    QUICK,
    ZONE,
    answering,
    contents,
    lines,
    rejects,
    source,
)
from cja_pipeline_tests.sources.servers import Reply, Request, Vendor

FILTER = re.compile(r"and\(greater-or-equal\(datetime,([^)]+)\),less-than\(datetime,([^)]+)\)\)")


def event(number: int, moment: str) -> dict[str, Any]:
    return {
        "type": "event",
        "id": f"e{number}",
        "attributes": {"datetime": moment, "event_properties": {"Subject": "Frühling", "$value": 12.5}},
        "relationships": {
            "profile": {"data": {"type": "profile", "id": f"p{number % 2}"}},
            "metric": {"data": {"type": "metric", "id": "m1"}},
        },
        "links": {"self": f"https://a.klaviyo.com/api/events/e{number}/"},
    }


class Account:
    """An account that pages two events at a time and names the next page by an absolute link."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> Any:
        assert request.headers["authorization"] == "Klaviyo-API-Key local"
        assert request.headers["revision"] == "2026-07-15"
        self.requests.append(request)
        params = request.url.params
        assert (params["sort"], params["include"], params["page[size]"]) == (
            "datetime",
            "metric,profile",
            "1000",
        )
        start, end = map(parse_time, FILTER.fullmatch(params["filter"]).groups())  # type: ignore[union-attr]
        found = [e for e in self.events if start <= parse_time(e["attributes"]["datetime"]) < end]
        found.sort(key=lambda e: e["attributes"]["datetime"])
        at = int(params.get("page[cursor]", 0))
        following = str(request.url.copy_set_param("page[cursor]", at + 2))
        return {
            "data": found[at : at + 2],
            "included": [
                {"type": "metric", "id": "m1", "attributes": {"name": "Opened Email"}},
                {"type": "profile", "id": "p0", "attributes": {"email": "a@example.org"}},
            ],
            "links": {"self": str(request.url), "next": following if at + 2 < len(found) else None},
        }


def run(  # type: ignore[no-untyped-def]
    handler: Any, landing: Path, window: Window | None = None, zone: str = ZONE, **settings: Any
):
    config = source("klaviyo", "https://a.klaviyo.com", token="env:KLAVIYO_TEST_KEY", **settings)
    return pull(
        config,
        window or Window(DAY, DAY),
        AS_OF,
        landing,
        transport=answering(handler),
        time_zone=zone,
        limits=QUICK,
    )[0]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_TEST_KEY", "local")


def test_events_are_landed_by_business_day(tmp_path: Path) -> None:
    moments = ["2026-03-09T22:59:59+00:00", "2026-03-09T23:00:00+00:00", "2026-03-10T12:00:00.5+00:00"]
    moments += ["2026-03-10T22:59:59.999+00:00", "2026-03-10T23:00:00+00:00"]
    account = Account([event(number, moment) for number, moment in enumerate(moments)])
    report = run(account, tmp_path)
    folder = tmp_path / "klaviyo/events/dt=2026-03-10"
    landed = lines(folder)
    assert [item["id"] for item in landed] == ["e1", "e2", "e3"], "23:00 UTC is midnight in Berlin"
    assert {key: landed[1][key] for key in account.events[2]} == account.events[2], "verbatim"
    assert landed[1]["_included"]["profile"]["attributes"]["email"] == "a@example.org"
    assert landed[1]["_included"]["metric"]["attributes"]["name"] == "Opened Email"
    assert landed[0]["_included"]["profile"] is None, "the page did not bring this profile along"
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.rows, manifest.pages, report.rows, report.pages) == (3, 2, 3, 2)
    assert manifest.window == {"start": "2026-03-09T23:00:00Z", "end": "2026-03-10T23:00:00Z"}


def test_trailing_days_are_landed_again_and_the_rest_left_alone(tmp_path: Path) -> None:
    days = [dt.datetime(2026, 3, day, 12, tzinfo=dt.UTC) for day in range(1, 11)]
    account = Account([event(number, day.isoformat()) for number, day in enumerate(days)])
    run(account, tmp_path, Window(dt.date(2026, 3, 1), dt.date(2026, 3, 9)))
    first = contents(tmp_path)
    account.events += [event(90 + number, day.isoformat()) for number, day in enumerate(days)]
    report = run(account, tmp_path)
    assert [day.day for day in report.landed] == [7, 8, 9, 10]
    assert report.rows == 8
    unchanged = [name for name, data in contents(tmp_path).items() if first.get(name) == data]
    assert {name.split("dt=")[1][:10] for name in unchanged} == {f"2026-03-0{day}" for day in range(1, 7)}
    before = contents(tmp_path)
    run(account, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("zone", "first_hour"), [("America/New_York", 5), ("Asia/Tokyo", -9)])
def test_days_of_another_time_zone_are_landed_again(tmp_path: Path, zone: str, first_hour: int) -> None:
    """Sixty days of an event an hour: more than are caught up with after an outage."""
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    hours = [begin + dt.timedelta(hours=hour) for hour in range(-24, 62 * 24)]
    account = Account([event(number, hour.isoformat()) for number, hour in enumerate(hours)])
    run(account, tmp_path, Window(dt.date(2026, 1, 1), dt.date(2026, 3, 1)))
    for _ in range(2):
        run(account, tmp_path, Window(dt.date(2026, 3, 2), dt.date(2026, 3, 2)), zone=zone)
        folders = sorted(tmp_path.glob("klaviyo/events/dt=*"))
        landed = [item["id"] for folder in folders for item in lines(folder)]
        assert landed == [f"e{24 + first_hour + number}" for number in range(61 * 24)]


def test_an_emptied_account_takes_nothing_away_after_a_change_of_zone(tmp_path: Path) -> None:
    account = Account([event(n, f"2026-03-09T12:{n % 60:02}:00.{n:03}+00:00") for n in range(150)])
    run(account, tmp_path, Window(dt.date(2026, 3, 9), dt.date(2026, 3, 9)))
    with pytest.raises(ShrunkError, match="150 are landed"):
        run(Account([]), tmp_path, zone="America/New_York")
    assert len(lines(tmp_path / "klaviyo/events/dt=2026-03-09")) == 150


def test_a_quiet_day_is_landed_as_such(tmp_path: Path) -> None:
    report = run(Account([]), tmp_path)
    assert (report.rows, report.landed, report.missing) == (0, [DAY], [])
    assert read_manifest(tmp_path / "klaviyo/events/dt=2026-03-10") is not None


def test_oddities_of_records_and_pages(tmp_path: Path) -> None:
    account = Account([event(number, f"2026-03-10T10:00:0{number}+00:00") for number in range(4)])

    def odd(request: httpx.Request) -> Any:
        page = account(request)
        if "page[cursor]" not in request.url.params:
            page["data"] += [page["data"][0], "nonsense", {"type": "event", "id": "x"}]
            if len(account.requests) == 1:  # served twice: its own link comes back once
                page["links"]["next"] = str(request.url)
        return page

    report = run(odd, tmp_path)
    folder = tmp_path / "klaviyo/events/dt=2026-03-10"
    assert [item["id"] for item in lines(folder)] == ["e0", "e1", "e0", "e2", "e3"]
    assert (report.rows, report.duplicate_rows, report.rejected_rows) == (5, 5, 2)
    assert {item["reason"] for item in rejects(folder)} == {"not an event with id and attributes"}


def test_pages_without_end_and_foreign_links_stop_the_pull(tmp_path: Path) -> None:
    account = Account([event(number, "2026-03-10T10:00:00+00:00") for number in range(4)])

    def circling(request: httpx.Request) -> Any:
        page = account(request)
        page["links"]["next"] = str(request.url.copy_set_param("page[cursor]", 0))
        return page

    with pytest.raises(PullError, match="leads back to itself"):
        run(circling, tmp_path)
    assert len(account.requests) == 3

    def foreign(request: httpx.Request) -> Any:
        return account(request) | {"links": {"next": "https://evil.example/api/events"}}

    with pytest.raises(PullError, match=r"another host \(evil\.example\)"):
        run(foreign, tmp_path)
    with pytest.raises(PullError, match="no list of data"):
        run(lambda _: {"errors": []}, tmp_path)
    assert not (tmp_path / "klaviyo/events/dt=2026-03-10").exists(), "nothing half is landed"


def test_a_vendor_that_forgets_does_not_erase_what_is_landed(tmp_path: Path) -> None:
    full = Account([event(number, "2026-03-10T10:00:00+00:00") for number in range(120)])
    run(full, tmp_path)
    with pytest.raises(ShrunkError, match="2026-03-10 offers 3 rows where 120 are landed"):
        run(Account(full.events[:3]), tmp_path)
    assert len(lines(tmp_path / "klaviyo/events/dt=2026-03-10")) == 120
    assert run(Account(full.events[:3]), tmp_path, allow_shrink=True).rows == 3


def test_a_stormy_network_changes_nothing_of_what_is_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cja_pipeline.sources.client.time.sleep", lambda _: None)
    account = Account([event(number, f"2026-03-10T10:{number:02d}:00+00:00") for number in range(60)])
    storms = [
        Reply({}, 429, {"Retry-After": "1"}),
        Reply(b"oops", 502),
        Reply({"data": [1, 2, 3]}, manner="cut"),
        Reply(manner="reset"),
        Reply(b"<html>maintenance</html>", headers={"Content-Type": "text/html"}),
        Reply(b'{"data": ['),
    ]

    def serve(stormy: bool, chance: random.Random):  # type: ignore[no-untyped-def]
        def script(request: Request) -> Reply:
            if stormy and request.number < 3 and chance.random() < 0.4:
                return chance.choice(storms)
            url = f"http://{request.headers['host']}{request.path}"
            return Reply(account(httpx.Request("GET", url, params=request.query, headers=request.headers)))

        return script

    landings = []
    for stormy in (False, True):
        landing = tmp_path / str(stormy)
        with Vendor(serve(stormy, random.Random(5))) as vendor:
            config = source("klaviyo", vendor.url)
            (report,) = pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE, limits=QUICK)
        assert report.rows == 60
        landings.append((landing / "klaviyo/events/dt=2026-03-10/part-000.jsonl.gz").read_bytes())
    assert report.retries > 5
    assert landings[0] == landings[1]


def test_a_full_disk_is_told_with_its_place_and_leaves_nothing_half(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    few = Account([event(number, "2026-03-10T10:00:00+00:00") for number in range(20)])
    run(few, tmp_path)
    before = contents(tmp_path)
    noise = random.Random(1)
    many = Account([event(noise.getrandbits(400), "2026-03-10T10:00:00+00:00") for _ in range(600)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(SourceError, match=r"\(klaviyo\): events: cannot write below .*: File too"):
            run(many, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before
