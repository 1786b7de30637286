"""HubSpot CRM objects: listing, search and associations of contacts, orders, tickets and feedback
submissions.

From the vendor's published API description (version 2026-09): limits, paging, error bodies, all values as
text.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import httpx
import numpy as np

from cja_pipeline.simulator.calendar import micros
from cja_pipeline.simulator.world import World

from .common import answer, bearer, own_address, whole_number
from .hubspot_view import BadFilter, contact_of, current, ids, modified_name, records, search

KINDS = ("contacts", "orders", "tickets", "feedback_submissions")
SEARCH_CAP = 10_000
_SINGULAR = {
    "contacts": "contact",
    "orders": "order",
    "tickets": "ticket",
    "feedback_submissions": "feedback_submission",
}
_LIST = re.compile(r"^/crm/(?:objects/\d{4}-\d{2}|v3/objects)/(\w+)$")
_SEARCH = re.compile(r"^/crm/(?:objects/\d{4}-\d{2}|v3/objects)/(\w+)/search$")
_BATCH = re.compile(r"^/crm/(?:objects/\d{4}-\d{2}|v3/objects)/(\w+)/batch/read$")
_ASSOCIATIONS = re.compile(r"^/crm/v4/associations/(\w+)/(\w+)/batch/read$")


def _error(status: int, category: str, message: str) -> httpx.Response:
    body = {
        "status": "error",
        "message": message,
        "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        "category": category,
    }
    return answer(body, status)


def handle(request: httpx.Request, world: World, now: dt.datetime) -> httpx.Response:
    """Answer one request as the CRM is at `now`."""
    if not bearer(request):
        return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
    path, moment = request.url.path, micros(now)
    for pattern, method, serve in (
        (_LIST, "GET", _list),
        (_SEARCH, "POST", _search),
        (_BATCH, "POST", _batch),
        (_ASSOCIATIONS, "POST", _associations),
    ):
        found = pattern.match(path)
        if not found:
            continue
        if found.group(1) not in KINDS:
            return _error(404, "OBJECT_NOT_FOUND", f"Unable to infer object type from: {found.group(1)}")
        if request.method != method:
            return _error(405, "VALIDATION_ERROR", "Method not allowed")
        try:
            return serve(request, world, moment, *found.groups())
        except (BadFilter, ValueError) as error:
            return _error(400, "VALIDATION_ERROR", f"Invalid input: {error}")
    return _error(404, "OBJECT_NOT_FOUND", "resource not found")


def _list(request: httpx.Request, world: World, moment: int, kind: str) -> httpx.Response:
    query = request.url.params
    limit = whole_number(query.get("limit"), 10, 1, 100)
    archived = query.get("archived", "false").lower() == "true"
    rows = current(world, kind, moment, archived)
    numbers = ids(world, kind)[rows]
    after = query.get("after")
    if after is not None and not after.isdigit():
        raise ValueError(f"after {after[:40]!r} is not a cursor")
    start = int(np.searchsorted(numbers, int(after))) if after else 0
    wanted = _names(query.get("properties"))
    results = records(world, kind, rows[start : start + limit], wanted)
    if "contacts" in _names(query.get("associations")) and kind != "contacts":
        for row, result in zip(rows[start : start + limit], results, strict=True):
            contact = contact_of(world, kind, int(row), moment)
            if contact:
                result["associations"] = {
                    "contacts": {"results": [{"id": contact, "type": f"{_SINGULAR[kind]}_to_contact"}]}
                }
    body: dict[str, Any] = {"results": results}
    if start + limit < len(rows):
        cursor = str(numbers[start + limit])
        link = str(
            httpx.URL(f"{own_address(request)}{request.url.path}", params=dict(query) | {"after": cursor})
        )
        body["paging"] = {"next": {"after": cursor, "link": link}}
    return answer(body)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _body(request: httpx.Request) -> dict[str, Any]:
    if "application/json" not in request.headers.get("content-type", ""):
        raise ValueError("Content-Type must be application/json")
    try:
        body = json.loads(request.content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


def _search(request: httpx.Request, world: World, moment: int, kind: str) -> httpx.Response:
    body = _body(request)
    limit = whole_number(str(body.get("limit", 10)), 10, 1, 200)
    after = whole_number(str(body.get("after") or 0), 0, 0, 10**9)
    groups = body.get("filterGroups") or []
    if (
        len(groups) > 6
        or sum(len(group.get("filters", [])) for group in groups if isinstance(group, dict)) > 25
    ):
        raise ValueError("too many filterGroups or filters")
    if after + limit > SEARCH_CAP:
        raise ValueError(f"The Search API can return at most {SEARCH_CAP} results per query")
    sort = (body.get("sorts") or [{"propertyName": "hs_object_id"}])[0]
    if isinstance(sort, str):
        sort = {
            "propertyName": sort.lstrip("-"),
            "direction": "DESCENDING" if sort.startswith("-") else "ASCENDING",
        }
    name = str(sort.get("propertyName", modified_name(kind)))
    rows = search(
        world, kind, moment, groups, (name, str(sort.get("direction", "ASCENDING")).upper() == "DESCENDING")
    )
    wanted = [str(item) for item in body.get("properties") or []]
    results = records(world, kind, rows[after : after + limit], wanted)
    answered: dict[str, Any] = {"total": len(rows), "results": results}
    if after + limit < len(rows):
        answered["paging"] = {"next": {"after": str(after + limit)}}
    return answer(answered)


def _batch(request: httpx.Request, world: World, moment: int, kind: str) -> httpx.Response:
    """Records by id; ids without a record are told as errors beside the others."""
    body = _body(request)
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(item, dict) and item.get("id") for item in inputs):
        raise ValueError("inputs must be a list of objects with id")
    if len(inputs) > 100:
        raise ValueError("at most 100 inputs per request")
    archived = request.url.params.get("archived", "false").lower() == "true"
    rows = current(world, kind, moment, archived)
    place: dict[str, int] = world.view(
        ("view", "batch", kind, moment, archived),
        lambda: dict(zip(map(str, ids(world, kind)[rows].tolist()), rows.tolist(), strict=True)),
    )
    wanted = [str(name) for name in body.get("properties") or []]
    asked = [str(item["id"]) for item in inputs]
    found = np.array([place[key] for key in asked if key in place], np.int64)
    missing = [key for key in asked if key not in place]
    answered: dict[str, Any] = {
        "status": "COMPLETE",
        "results": records(world, kind, found, wanted),
        "startedAt": "2026-01-01T00:00:00.000Z",
        "completedAt": "2026-01-01T00:00:00.010Z",
    }
    if missing:
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": f"Could not get some {_SINGULAR[kind]} objects, they may be deleted or not exist.",
            "context": {"ids": missing},
        }
        answered |= {"numErrors": 1, "errors": [error]}
    return answer(answered, 207 if missing else 200)


def _associations(request: httpx.Request, world: World, moment: int, kind: str, other: str) -> httpx.Response:
    body = _body(request)
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(item, dict) and item.get("id") for item in inputs):
        raise ValueError("inputs must be a list of objects with id")
    if len(inputs) > 1000:
        raise ValueError("at most 1000 inputs per request")
    if other != "contacts":
        raise ValueError(f"no association from {kind} to {other}")
    rows = np.concatenate([current(world, kind, moment, False), current(world, kind, moment, True)])
    place: dict[str, int] = world.view(
        ("view", "rows", kind, moment),
        lambda: dict(zip(map(str, ids(world, kind)[rows].tolist()), rows.tolist(), strict=True)),
    )
    results, errors = [], []
    for item in inputs:
        row = place.get(str(item["id"]))
        contact = contact_of(world, kind, row, moment) if row is not None else None
        if contact is None:
            errors.append(
                {
                    "status": "error",
                    "category": "OBJECT_NOT_FOUND",
                    "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                    "message": f"No contact is associated with {_SINGULAR[kind]} {item['id']}.",
                    "context": {
                        "fromObjectId": [str(item["id"])],
                        "fromObjectType": [kind],
                        "toObjectType": [other],
                    },
                }
            )
            continue
        kinds = [{"category": "HUBSPOT_DEFINED", "typeId": 507 if kind == "orders" else 16, "label": None}]
        results.append(
            {"from": {"id": str(item["id"])}, "to": [{"toObjectId": int(contact), "associationTypes": kinds}]}
        )
    answered: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": "2026-01-01T00:00:00.000Z",
        "completedAt": "2026-01-01T00:00:00.010Z",
    }
    if errors:
        answered |= {"numErrors": len(errors), "errors": errors}
    return answer(answered, 207 if errors else 200)
