"""HubSpot's search, read completely.

A search answers at most 10,000 records, in an order by modification time that is not always kept, and its
paging shifts when a record changes meanwhile. So a time range is halved until it fits, every range is read
until the announced total is complete, and where one millisecond holds too many (bulk updates stamp them all
alike) the records are walked by their ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.errors import PagingError, VendorError
from cja_pipeline.sources.paging import fitting, inside, items, words
from cja_pipeline.sources.window import parse_time

CAP = 10_000
PAGE = 200
TRIES = 3


class Search:
    """Records of one object type by modification time.

    `time_property` is ``lastmodifieddate`` for contacts, ``hs_lastmodifieddate`` for the rest. Counters:
    `pages` answers read, `duplicates` records that came twice, `announced` the total of the first answer.
    """

    def __init__(self, client: VendorClient, path: str, time_property: str, properties: list[str]) -> None:
        self._client, self._path = client, path
        self._time, self._properties = time_property, properties
        self.pages = self.duplicates = 0
        self.announced: int | None = None

    def changed(self, start_ms: int, end_ms: int) -> Iterator[Any]:
        """Every record last modified in [start_ms, end_ms) (epoch milliseconds), once, by time and id.

        Holds at most 10,000 records at once. At the end the vendor is asked once more how many there are;
        what is missing is read again. Raises PagingError if it keeps announcing more than it gives.
        """
        given: set[str] = set()
        for _ in range(TRIES):
            for record in self._range(start_ms, end_ms):
                key = str(record.get("id") if isinstance(record, dict) else record)
                if key not in given:
                    given.add(key)
                    yield record
            there = self._ask((start_ms, end_ms), limit=1)["total"] if start_ms < end_ms else 0
            if there <= len(given):
                return
        raise PagingError(f"{self._client.name}: {self._path}: {there} records announced, {len(given)} given")

    def _range(self, start_ms: int, end_ms: int) -> Iterator[Any]:
        if start_ms >= end_ms:
            return
        span = (start_ms, end_ms)
        for _ in range(TRIES):
            page = self._ask(span)
            total = page["total"]
            if self.announced is None:
                self.announced = total
            if total > CAP:
                break
            found, complete = self._read(span, page)
            if complete:
                yield from sorted(found.values(), key=self._order)
                return
        else:
            if total <= PAGE:
                raise PagingError(
                    f"{self._client.name}: {self._path}: {total} records announced, {len(found)} given"
                )
        if end_ms - start_ms == 1:
            yield from self._by_id(span)
            return
        middle = (start_ms + end_ms) // 2
        yield from self._range(start_ms, middle)
        yield from self._range(middle, end_ms)

    def _read(self, span: tuple[int, int], page: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """All pages of a range that starts with `page`; whether they hold as many records as announced."""
        total = page["total"]
        found: dict[str, Any] = {}
        asked: set[str] = set()
        self._take(page, found)
        while (after := _after(page)) is not None and after not in asked:
            asked.add(after)
            page = self._ask(span, after)
            self._take(page, found)
        return found, len(found) == total == page["total"]

    def _by_id(self, span: tuple[int, int]) -> Iterator[Any]:
        last, misses = 0, 0
        while True:
            page = self._ask(span, greater_than=last)
            found: dict[str, Any] = {}
            self._take(page, found)
            new = sorted(int(key) for key in found if key.isdigit() and int(key) > last)
            yield from (found[str(key)] for key in new)
            if page["total"] <= len(new):
                return
            last, misses = (new[-1], 0) if new else (last, misses + 1)
            if misses == TRIES:
                raise PagingError(
                    f"{self._client.name}: {self._path}: {page['total']} more records announced, none given"
                )

    def _take(self, page: dict[str, Any], found: dict[str, Any]) -> None:
        for place, record in enumerate(page["results"]):
            key = record.get("id") if isinstance(record, dict) else None
            name = str(key) if key else f"page {self.pages} record {place}"  # kept, rejected by the caller
            if name in found:
                self.duplicates += 1
            found[name] = record

    def _ask(
        self,
        span: tuple[int, int],
        after: str | None = None,
        *,
        greater_than: int | None = None,
        limit: int = PAGE,
    ) -> dict[str, Any]:
        filters = [
            {"propertyName": self._time, "operator": "GTE", "value": str(span[0])},
            {"propertyName": self._time, "operator": "LT", "value": str(span[1])},
        ]
        if greater_than is not None:
            filters.append({"propertyName": "hs_object_id", "operator": "GT", "value": str(greater_than)})
        body: dict[str, Any] = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": self._properties,
            "limit": limit,
        }
        if after is not None:
            body["after"] = after
        page = self._client.post(self._path, body, fitting(_results, partial(self._within, span)))
        self.pages += 1
        if (
            not isinstance(page, dict)
            or not isinstance(page.get("results"), list)
            or not isinstance(page.get("total"), int)
        ):
            raise VendorError(f"{self._client.name}: POST {self._path}: no results and total in the answer")
        return page

    def _within(self, span: tuple[int, int], record: Any) -> bool:
        try:
            text = record["properties"][self._time]
            moment = int(text) if text.isdigit() else parse_time(text).timestamp() * 1000
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            return True
        return span[0] <= moment < span[1]

    def _order(self, record: Any) -> tuple[str, int, str]:
        if not isinstance(record, dict):
            return "", 0, ""
        properties = record.get("properties")
        time = properties.get(self._time) if isinstance(properties, dict) else None
        key = str(record.get("id", ""))
        return str(time or record.get("updatedAt") or ""), len(key), key


def _results(page: Any) -> list[Any]:
    return items(page, "results")


def _after(page: dict[str, Any]) -> str | None:
    return words(inside(page, "paging", "next", "after"))
