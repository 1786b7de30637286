"""Klaviyo: e-mail events, one request chain per business day.

``GET /api/events`` (API revision 2026-07-15) with a half-open filter on `datetime`, sorted by it; pages are
linked by ``links.next``. Each landed line is the vendor's event with the profile and the metric it refers to
under ``_included``, because those arrive beside the events and belong to the page.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from cja_pipeline.sources.client import Check, VendorClient
from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.paging import LoopGuard, Repeats, fitting, inside, items, words
from cja_pipeline.sources.registry import KlaviyoSource
from cja_pipeline.sources.reports import PullReport
from cja_pipeline.sources.window import Window, parse_time, utc_text

STREAMS = ("events",)


def auth(token: str) -> dict[str, str]:
    """Klaviyo's own authorization scheme with a private key."""
    return {"Authorization": f"Klaviyo-API-Key {token}"}


def headers(source: KlaviyoSource) -> dict[str, str]:
    """Every request names the revision of the API that it was written for."""
    return {"revision": source.api_version, "Accept": "application/vnd.api+json"}


def pull_stream(pull: Pull[KlaviyoSource], stream: str) -> PullReport:
    """Land the events of every day of the restated window."""
    report = pull.report(stream)
    for day in pull.restated(stream).days():
        start, end = Window(day, day).start_utc(pull.zone), Window(day, day).end_utc(pull.zone)
        wanted = f"and(greater-or-equal(datetime,{utc_text(start)}),less-than(datetime,{utc_text(end)}))"
        query = {
            "filter": wanted,
            "sort": "datetime",
            "page[size]": pull.source.page_size,
            "include": "metric,profile",
        }
        with pull.day_folder(stream, day) as folder:
            repeats = Repeats()
            with pull.counted(folder):
                for page in linked_pages(pull.client, "/api/events", query, _within(start, end)):
                    folder.manifest.pages += 1
                    if repeats.again(page["data"]):
                        continue
                    for event in events_of(page):
                        if _is_event(event):
                            folder.add(event)
                        else:
                            folder.reject(event, "not an event with id and attributes")
                    pull.tell(stream, report.rows + folder.rows, f"{day} page {folder.manifest.pages}")
            folder.manifest.duplicate_rows = repeats.rows
            pull.finish(report, folder)
    return report


def linked_pages(
    client: VendorClient, path: str, query: dict[str, Any], check: Check | None = None
) -> Iterator[dict[str, Any]]:
    """Pages of a JSON:API listing, following ``links.next``.

    A link may come back once (a page served twice); PagingError if it keeps coming back.
    """
    guard = LoopGuard(f"{client.name}: GET {path}")
    page = client.get(path, query, check)
    while True:
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise VendorError(f"{client.name}: GET {path}: the answer has no list of data")
        yield page
        link = words(inside(page, "links", "next"))
        if not link:
            return
        guard.visit(link)
        page = client.get(client.follow(link), check=check)


def events_of(page: dict[str, Any]) -> Iterator[Any]:
    """The page's events, each with its profile and metric under ``_included`` (null where not sent)."""
    included = {
        (str(inside(item, "type")), str(inside(item, "id"))): item for item in items(page, "included")
    }
    for event in page["data"]:
        if not _is_event(event):
            yield event
            continue
        found = {}
        for name in ("profile", "metric"):
            target = inside(event, "relationships", name, "data", "id")
            found[name] = included.get((name, str(target)))
        yield {**event, "_included": found}


def _within(start: dt.datetime, end: dt.datetime) -> Check:
    def fits(event: Any) -> bool:
        try:
            return start <= parse_time(event["attributes"]["datetime"]) < end
        except (KeyError, OverflowError, TypeError, ValueError):
            return True

    return fitting(lambda page: items(page, "data"), fits)


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and bool(event.get("id")) and isinstance(event.get("attributes"), dict)
