"""HubSpot CRM: contacts, orders, tickets and survey answers, as a growing record of changes.

Each run appends what was modified since the last one (with an overlap, because the search index lags), so
that earlier versions of a record are never lost; the newest version per id is the current state. Deletions
come from the listing of archived records. A GDPR deletion leaves no trace there: known contacts are asked
for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.hubspot_deletions import deleted_contacts, known_contacts
from cja_pipeline.sources.hubspot_objects import OBJECTS
from cja_pipeline.sources.hubspot_search import Search
from cja_pipeline.sources.landing import Folder
from cja_pipeline.sources.manifest import read_manifest
from cja_pipeline.sources.paging import LoopGuard, Repeats, fitting, inside, items, words
from cja_pipeline.sources.registry import HubspotSource
from cja_pipeline.sources.reports import PullReport
from cja_pipeline.sources.window import parse_stamp, parse_time

STREAMS = tuple(OBJECTS)
BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BATCH = 1000
SINGULAR = {"contacts": "contact", "orders": "order", "tickets": "ticket"}


def auth(token: str) -> dict[str, str]:
    """A private app's token."""
    return {"Authorization": f"Bearer {token}"}


def headers(source: HubspotSource) -> dict[str, str]:
    """HubSpot names its version in the path."""
    return {}


def pull_stream(pull: Pull[HubspotSource], stream: str) -> PullReport:
    """Land every record of one object type that changed before the logical time and is not landed yet."""
    report, crm = pull.report(stream), OBJECTS[stream]
    start = first_change(pull, stream)
    if start is None:
        return report
    properties = [*crm.properties]
    properties += [name for name in pull.source.properties.get(stream, []) if name not in properties]  # type: ignore[call-overload]
    path = f"/crm/objects/{pull.source.api_version}/{stream}"
    search = Search(pull.client, f"{path}/search", crm.time_property, properties)
    with pull.run_folder(stream, start) as folder:
        manifest, repeats = folder.manifest, Repeats()
        with pull.counted(folder):
            for batch in _batches(search.changed(_ms(start), _ms(pull.as_of)), BATCH):
                good = _good(batch, folder)
                if crm.associated:
                    manifest.pages += _associate(pull.client, stream, crm.associated, good)
                for record in good:
                    folder.add(record)
                pull.tell(stream, folder.rows, f"{search.pages} pages")
            for page in _archived(pull.client, path, properties, crm.associated):
                manifest.pages += 1
                for record in [] if repeats.again(page) else _good(page, folder):
                    if _archived_between(record, start, pull.as_of):
                        folder.add(_sorted_associations(record, crm.associated))
        manifest.pages += search.pages
        manifest.duplicate_rows = search.duplicates + repeats.rows
        manifest.source_rows = search.announced
        pull.finish(report, folder)
    if stream == "contacts" and pull.source.find_deleted:
        known = known_contacts(pull.landing)
        report.deleted = deleted_contacts(pull.client, pull.source.api_version, known)
    return report


def first_change(pull: Pull[HubspotSource], stream: str) -> dt.datetime | None:
    """From when changes are asked for: where the landed runs end, less the overlap; the beginning of time if
    there are none, or None if everything up to this logical time is landed.

    Runs follow one another without a gap, so what lies before the end is landed already, whatever day is
    asked for. Where a run is missing or has no readable manifest, they end there: what it held is asked for
    again. A repeated run asks for at least what it asked for the first time and never lands less.
    """
    runs, again = [], []
    for folder in pull.stream_folder(stream).glob("dt=*/run=*"):
        if (manifest := read_manifest(folder)) is None:
            continue
        try:
            as_of, start = parse_stamp(folder.name.removeprefix("run=")), parse_time(manifest.window["start"])
        except (KeyError, ValueError):
            continue  # as if it were not there
        if as_of == pull.as_of and folder.parent.name == f"dt={pull.window.end}":
            again.append(start)
        else:
            runs.append((as_of, start))
    end = None
    for as_of, start in sorted(runs):
        if start > (end or BEGINNING):
            break
        end = as_of
    if end is None:
        return BEGINNING
    if again:
        return min(*again, end - dt.timedelta(minutes=pull.source.overlap_minutes))
    return None if end >= pull.as_of else end - dt.timedelta(minutes=pull.source.overlap_minutes)


def _good(records: Iterable[Any], folder: Folder) -> list[dict[str, Any]]:
    """The records with an id and properties; the others are put aside with a reason."""
    good = []
    for record in records:
        if isinstance(record, dict) and record.get("id") and isinstance(record.get("properties"), dict):
            good.append(record)
        else:
            folder.reject(record, "not a CRM record with id and properties")
    return good


def _associate(client: VendorClient, stream: str, other: str, records: list[dict[str, Any]]) -> int:
    """Fold the records' associations in, in the shape of the listing; return the number of requests.

    A search does not return associations; they are read in batches, and page by page where one record
    has very many.
    """
    path = f"/crm/v4/associations/{stream}/{other}/batch/read"
    usual = f"{SINGULAR.get(stream, stream)}_to_{SINGULAR.get(other, other)}"
    found: dict[str, set[tuple[str, str]]] = {str(record["id"]): set() for record in records}
    inputs: list[dict[str, str]] = [{"id": key} for key in found]
    guard = LoopGuard(f"{client.name}: POST {path}")
    check = fitting(lambda page: items(page, "results"), lambda result: _from(result) in found)
    requests = 0
    while inputs:
        answer = client.post(path, {"inputs": inputs}, check)
        requests += 1
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise VendorError(f"{client.name}: POST {path}: no results in the answer")
        inputs = []
        for result in answer["results"]:
            key = _from(result)
            if key not in found:
                continue
            for target in items(result, "to"):
                labels = [
                    inside(kind, "label") or usual for kind in items(target, "associationTypes") or [{}]
                ]
                found[key].update((str(inside(target, "toObjectId")), str(label)) for label in labels)
            if after := words(inside(result, "paging", "next", "after")):
                guard.visit(f"{key} {after}")
                inputs.append({"id": key, "after": after})
    for record in records:
        pairs = sorted(found[str(record["id"])], key=_by_number)
        record["associations"] = {other: {"results": [{"id": k, "type": t} for k, t in pairs]}}
    return requests


def _from(result: Any) -> str:
    """The id that an entry of an association answer is about."""
    origin = result.get("from") if isinstance(result, dict) else None
    return str(origin.get("id")) if isinstance(origin, dict) else ""


def _archived(
    client: VendorClient, path: str, properties: list[str], other: str | None
) -> Iterator[list[Any]]:
    """Pages of the records in the recycle bin (no filter by time exists)."""
    query: dict[str, Any] = {"limit": 100, "archived": "true", "properties": ",".join(properties)}
    if other:
        query["associations"] = other
    guard = LoopGuard(f"{client.name}: GET {path}")
    while True:
        answer = client.get(path, query)
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise VendorError(f"{client.name}: GET {path}: no results in the answer")
        yield answer["results"]
        after = words(inside(answer, "paging", "next", "after"))
        if after is None:
            return
        guard.visit(after)
        query["after"] = after


def _archived_between(record: dict[str, Any], start: dt.datetime, end: dt.datetime) -> bool:
    """Whether the record was archived in [start, end); records without a readable time are kept."""
    try:
        return start <= parse_time(record["archivedAt"]) < end
    except (KeyError, OverflowError, TypeError, ValueError):
        return True


def _sorted_associations(record: dict[str, Any], other: str | None) -> dict[str, Any]:
    if other is None:
        return record
    given = items(inside(record, "associations", other), "results")
    pairs = sorted({(str(inside(item, "id")), str(inside(item, "type"))) for item in given}, key=_by_number)
    return {**record, "associations": {other: {"results": [{"id": k, "type": t} for k, t in pairs]}}}


def _by_number(pair: tuple[str, str]) -> tuple[int, str, str]:
    return len(pair[0]), *pair


def _batches(records: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(records, size)):
        yield batch


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
