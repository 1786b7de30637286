"""Klaviyo events: ``GET /api/events`` with filter, sorting, sparse page cursor and included profile and
metric.

Events are kept as JSON text and joined into pages, so that serving costs little.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np

from cja_pipeline.simulator.calendar import micros
from cja_pipeline.simulator.world import World

from .common import answer, bearer, decode_cursor, encode_cursor, own_address, whole_number

TYPE = "application/vnd.api+json"
_CONDITION = re.compile(
    r"(equals|greater-or-equal|greater-than|less-or-equal|less-than)\((\w+),\s*([^()]+?)\)"
)
_COMPARE = {
    "greater-or-equal": np.greater_equal,
    "greater-than": np.greater,
    "less-or-equal": np.less_equal,
    "less-than": np.less,
}


def _error(status: int, code: str, detail: str) -> httpx.Response:
    body = {
        "errors": [
            {
                "id": "f3a1c2d4-0000-4000-8000-000000000000",
                "status": status,
                "code": code,
                "title": code.replace("_", " ").capitalize(),
                "detail": detail,
                "source": {"pointer": "/data/"},
            }
        ]
    }
    return answer(body, status, TYPE)


def handle(request: httpx.Request, world: World, now: dt.datetime) -> httpx.Response:
    """Answer one request as the account is at `now`."""
    if not bearer(request, "Klaviyo-API-Key"):
        return _error(401, "not_authenticated", "Authentication credentials were not provided.")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.\w+)?", request.headers.get("revision", "")):
        return _error(400, "invalid", "The revision header is missing or not a date.")
    if request.method != "GET":
        return _error(405, "method_not_allowed", "Only GET is served.")
    path = request.url.path.rstrip("/")
    try:
        if path == "/api/events":
            return _events(request, world, micros(now))
        if path == "/api/metrics":
            texts = world.table("klaviyo/metrics")["json"].to_pylist()
            return _page(
                texts, None, {"self": f"{own_address(request)}/api/metrics", "next": None, "prev": None}
            )
    except ValueError as error:
        return _error(400, "invalid", str(error))
    return _error(404, "not_found", "The path does not exist.")


def _select(world: World, moment: int, text: str, sort: str) -> np.ndarray:
    """Rows visible at `moment` that satisfy the filter, in the asked order."""
    stream = "klaviyo/events"
    known = int(np.searchsorted(world.numbers(stream, "visible_from"), moment, side="right"))
    wanted = np.ones(known, bool)
    conditions = _CONDITION.findall(text)
    rest = re.sub(r"[\s,()]|and", "", _CONDITION.sub("", text))
    if rest or (text and not conditions):
        raise ValueError(f"Invalid filter: {text[:120]}")
    ts = world.numbers(stream, "ts")[:known]
    for operator, name, value in conditions:
        if name in ("datetime", "timestamp") and operator in _COMPARE:
            try:
                bound = (
                    int(float(value) * 1_000_000)
                    if name == "timestamp"
                    else micros(dt.datetime.fromisoformat(value.strip("'\"").replace("Z", "+00:00")))
                )
            except (ValueError, TypeError) as error:
                raise ValueError(f"Invalid {name} in filter: {value[:40]}") from error
            wanted &= _COMPARE[operator](ts, bound)
        elif name in ("metric_id", "profile_id") and operator == "equals":
            wanted &= world.numbers(stream, name)[:known] == value.strip("'\"")
        else:
            raise ValueError(f"'{name}' cannot be filtered with '{operator}'")
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(ts[rows], kind="stable")]
    return rows[::-1] if sort.startswith("-") else rows


def _events(request: httpx.Request, world: World, moment: int) -> httpx.Response:
    query = request.url.params
    size = whole_number(query.get("page[size]"), 200, 1, 1000)
    text, sort = query.get("filter", ""), query.get("sort", "datetime")
    if sort.lstrip("-") not in ("datetime", "timestamp"):
        raise ValueError(f"'{sort[:40]}' is not a sort key")
    include = set(filter(None, query.get("include", "").split(",")))
    if include - {"metric", "profile", "attributions"}:
        raise ValueError("include: expected metric, profile or attributions")
    start = int(decode_cursor(query["page[cursor]"])[0]) if query.get("page[cursor]") else 0
    rows = world.view(("view", "klaviyo", moment, text, sort), lambda: _select(world, moment, text, sort))
    part = rows[start : start + size]
    page = world.rows("klaviyo/events", ("json", "profile_id", "metric_id"), part)
    included: list[str] = []
    if "metric" in include:
        metrics = _texts(world, "metrics")
        included += [metrics[id_] for id_ in dict.fromkeys(page["metric_id"].to_pylist())]
    if "profile" in include:
        profiles = _texts(world, "profiles")
        included += [profiles[id_] for id_ in dict.fromkeys(page["profile_id"].to_pylist()) if id_]
    here = f"{own_address(request)}{request.url.path}"

    def link(offset: int) -> str:
        return f"{here}?{urlencode(dict(query) | {'page[cursor]': encode_cursor([offset])})}"

    links = {
        "self": f"{here}?{urlencode(dict(query))}",
        "next": link(start + size) if start + size < len(rows) else None,
        "prev": link(max(start - size, 0)) if start else None,
    }
    return _page(page["json"].to_pylist(), included if include else None, links)


def _texts(world: World, name: str) -> dict[str, str]:
    def make() -> dict[str, str]:
        table = world.table(f"klaviyo/{name}")
        return dict(zip(table["id"].to_pylist(), table["json"].to_pylist(), strict=True))

    return world.view(("texts", name), make)


def _page(data: list[str], included: list[str] | None, links: dict[str, Any]) -> httpx.Response:
    body = '{"data":[' + ",".join(data) + '],"links":' + json.dumps(links)
    if included is not None:
        body += ',"included":[' + ",".join(included) + "]"
    headers = {
        "content-type": TYPE,
        "RateLimit-Limit": "350, 350;w=1, 3500;w=60",
        "RateLimit-Remaining": "3499",
        "RateLimit-Reset": "1",
    }
    return httpx.Response(200, headers=headers, content=(body + "}").encode())
