"""Meta Graph API: daily ad insights of the account, posts of the page with their metrics, comments under
posts.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx

from cja_pipeline.simulator.calendar import micros
from cja_pipeline.simulator.world import World

from .common import answer, decode_cursor, encode_cursor, own_address, whole_number
from .meta_insights import ACCOUNT, fields_of, insights

PAGE = "2001"
_PATH = re.compile(r"^/v\d+\.\d+/([^/]+)/(insights|posts|comments)$")
_DAY = 86_400_000_000
_METRICS = {"post_media_view": "views", "post_total_media_view_unique": "reach", "post_clicks": "clicks"}


def _error(status: int, code: int, message: str, kind: str = "OAuthException") -> httpx.Response:
    return answer(
        {"error": {"message": message, "type": kind, "code": code, "fbtrace_id": "AOW6Ygwr_mock"}}, status
    )


def handle(request: httpx.Request, world: World, now: dt.datetime) -> httpx.Response:
    """Answer one request as the platform is at `now`."""
    header = request.headers.get("authorization", "")
    if not (header.startswith("Bearer ") and len(header) > 7) and not request.url.params.get("access_token"):
        return _error(401, 190, "An access token is required to request this resource.")
    found = _PATH.match(request.url.path)
    if not found or request.method != "GET":
        return _error(400, 2500, f"Unknown path components: {request.url.path[:80]}")
    node, edge = found.groups()
    try:
        if edge == "insights" and node == ACCOUNT:
            return _page(request, insights(request, world, micros(now)))
        if edge == "posts" and node == PAGE:
            return _page(request, _posts(request, world, micros(now)))
        if edge == "comments":
            return _page(request, _comments(request, world, micros(now), node))
    except ValueError as error:
        return _error(400, 100, f"(#100) {error}")
    return _error(
        400,
        100,
        f"Unsupported get request. Object with ID '{node[:40]}' does not exist",
        "GraphMethodException",
    )


def _page(request: httpx.Request, items: list[Callable[[], dict[str, Any]]]) -> httpx.Response:
    query = request.url.params
    limit = whole_number(query.get("limit"), 25, 1, 500)
    start = int(decode_cursor(query["after"])[0]) if query.get("after") else 0
    data = [make() for make in items[start : start + limit]]
    body: dict[str, Any] = {"data": data}
    if data:
        cursors = {"before": encode_cursor([start]), "after": encode_cursor([start + len(data)])}
        body["paging"] = {"cursors": cursors}
        if start + limit < len(items):
            follow = dict(query) | {"after": cursors["after"]}
            body["paging"]["next"] = f"{own_address(request)}{request.url.path}?{urlencode(follow)}"
    return answer(body)


def _moment(text: str | None, default: int) -> int:
    if not text:
        return default
    if text.isdigit():
        return int(text) * 1_000_000
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError(f"'{text[:40]}' is not a time") from error
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _posts(request: httpx.Request, world: World, now: int) -> list[Callable[[], dict[str, Any]]]:
    since, until = _moment(request.url.params.get("since"), 0), _moment(request.url.params.get("until"), now)
    fields = fields_of(request, "id,message,created_time")
    asked = re.search(r"insights\.metric\(([^()]*)\)", request.url.params.get("fields") or "")
    metrics = [name.strip() for name in asked.group(1).split(",")] if asked else list(_METRICS)
    unknown = [name for name in metrics if name not in _METRICS]
    if unknown:
        raise ValueError(f"The value must be a valid insights metric: {unknown[0][:60]}")
    rows: list[dict[str, Any]] = world.view(("post_rows",), lambda: world.table("meta/posts").to_pylist())
    shown = [row for row in rows if since <= row["created_at"] < until and row["created_at"] <= now]
    return [partial(_post, row, fields, metrics, now) for row in reversed(shown)]


def _post(row: dict[str, Any], fields: list[str], metrics: list[str], now: int) -> dict[str, Any]:
    grown = 1 - math.exp(-max(now - row["created_at"], 0) / (1.6 * _DAY))

    def count(name: str) -> int:
        return int(row[name] * grown)

    post: dict[str, Any] = {"id": row["id"]}
    if "message" in fields:
        post["message"] = row["message"]
    if "created_time" in fields:
        post["created_time"] = graph_time(row["created_at"])
    if "permalink_url" in fields:
        post["permalink_url"] = f"https://www.facebook.com/{row['id'].replace('_', '/posts/')}"
    if "shares" in fields and count("shares"):
        post["shares"] = {"count": count("shares")}
    if "reactions" in fields:
        post["reactions"] = {
            "data": [],
            "summary": {"total_count": count("reactions"), "viewer_reaction": "NONE"},
        }
    if "insights" in fields:
        series = [
            {
                "name": name,
                "period": "lifetime",
                "values": [{"value": count(_METRICS[name])}],
                "title": name.replace("_", " ").capitalize(),
                "id": f"{row['id']}/insights/{name}/lifetime",
            }
            for name in metrics
        ]
        post["insights"] = {"data": series}
    return post


def _comments(
    request: httpx.Request, world: World, now: int, post: str
) -> list[Callable[[], dict[str, Any]]]:
    by_post: dict[str, list[dict[str, Any]]] = world.view(("comment_rows",), lambda: _by_post(world))
    posts: set[str] = world.view(("post_ids",), lambda: set(world.table("meta/posts")["id"].to_pylist()))
    if post not in posts:
        raise ValueError(f"Object with ID '{post[:40]}' does not exist")
    query = request.url.params
    since, until = _moment(query.get("since"), 0), _moment(query.get("until"), now + 1)
    fields = fields_of(request, "id,from,message,created_time")
    rows = [
        row
        for row in by_post.get(post, [])
        if row["visible_from"] <= now and since <= row["created_at"] < until
    ]
    if query.get("filter", "toplevel") == "toplevel":
        rows = [row for row in rows if row["parent"] is None]
    times = {row["id"]: row["created_at"] for row in by_post.get(post, [])}
    return [partial(_comment, row, fields, times) for row in rows]


def _by_post(world: World) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(world.table("meta/comments").to_pylist(), key=lambda r: (r["created_at"], r["id"])):
        grouped.setdefault(row["post_id"], []).append(row)
    return grouped


def _comment(row: dict[str, Any], fields: list[str], times: dict[str, int]) -> dict[str, Any]:
    comment: dict[str, Any] = {"id": row["id"]}
    if "from" in fields and row["author"]:
        comment["from"] = {"id": row["author"], "name": row["author_name"]}
    if "message" in fields:
        comment["message"] = row["message"]
    if "created_time" in fields:
        comment["created_time"] = graph_time(row["created_at"])
    if "like_count" in fields:
        comment["like_count"] = row["likes"]
    if "parent" in fields and row["parent"]:
        comment["parent"] = {"id": row["parent"], "created_time": graph_time(times[row["parent"]])}
    return comment


def graph_time(moment: int) -> str:
    """Time as the Graph API writes it."""
    return f"{dt.datetime.fromtimestamp(moment // 1_000_000, dt.UTC):%Y-%m-%dT%H:%M:%S}+0000"
