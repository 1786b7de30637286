"""Meta: insights and posts by day, comments post by post."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cja_pipeline.sources import pull
from cja_pipeline.sources.errors import AuthError
from cja_pipeline.sources.window import Window, parse_time
from cja_pipeline_tests.sources.helpers import (
    AS_OF,
    DAY,
    QUICK,
    ZONE,
    answering,
    client,
    lines,
    rejects,
    source,
)

POSTS = {
    "9_1": "2026-01-20T10:00:00+0000",
    "9_2": "2026-03-09T23:30:00+0000",
    "9_3": "2026-03-10T23:00:01+0000",
}
COMMENTS = {
    "9_1": ["2026-03-10T08:00:00+0000", "2026-03-09T10:00:00+0000", "2026-03-01T10:00:00+0000"],
    "9_2": ["2026-03-10T22:59:59+0000", "2026-03-10T23:00:00+0000", "soon"],
}


class Graph:
    """Edges with cursor paging of one record a page; `since` and `until` include their edges."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> Any:
        assert request.headers["authorization"] == "Bearer local"
        assert "access_token" not in request.url.params
        self.requests.append(request)
        _, version, node, edge = request.url.path.split("/")
        assert version == "v25.0"
        params = request.url.params
        if edge == "insights":
            assert (node, params["level"], params["time_increment"]) == ("act_7", "ad", "1")
            span = json.loads(params["time_range"])
            first, last = (dt.date.fromisoformat(span[edge]) for edge in ("since", "until"))
            days = [str(day) for day in Window(first, last).days()]
            assert len(days) <= 7
            records = [
                {"date_start": day, "ad_id": str(n), "impressions": "12", "spend": "3.50"}
                for day in days
                for n in (1, 2)
            ]
        elif edge == "posts":
            assert node == "9"
            records = [
                {"id": key, "created_time": time} for key, time in POSTS.items() if inside(time, params)
            ]
        else:
            assert params["filter"] == "stream"
            records = [
                {"id": f"{node}_{n}", "created_time": time, "message": "Super!"}
                for n, time in enumerate(COMMENTS.get(node, []))
                if time == "soon" or inside(time, params)
            ]
        at = int(params.get("after", 0))
        paging: dict[str, Any] = {"cursors": {"before": str(at), "after": str(at + 1)}}
        if at + 1 < len(records):
            paging["next"] = str(request.url.copy_set_param("after", at + 1)) + "&access_token=EAABsecret"
        return {"data": records[at : at + 1], "paging": paging}


def inside(time: str, params: httpx.QueryParams) -> bool:
    return int(params["since"]) <= parse_time(time).timestamp() <= int(params["until"])


def run(handler: Any, landing: Path, window: Window, **settings: Any):  # type: ignore[no-untyped-def]
    config = source("meta", "mock://meta", **settings)
    transport = answering(handler)
    reports = pull(config, window, AS_OF, landing, transport=transport, time_zone=ZONE, limits=QUICK)
    return {report.stream: report for report in reports}


def test_the_three_streams_are_landed_by_day(tmp_path: Path) -> None:
    graph = Graph()
    reports = run(graph, tmp_path, Window(DAY.replace(day=9), DAY))
    root = tmp_path / "meta"
    assert lines(root / "insights/dt=2026-03-09") == [
        {"date_start": "2026-03-09", "ad_id": str(n), "impressions": "12", "spend": "3.50"} for n in (1, 2)
    ]
    assert [post["id"] for post in lines(root / "posts/dt=2026-03-10")] == ["9_2"], "00:30 in Berlin"
    assert lines(root / "posts/dt=2026-03-09") == []
    comments = {
        day: [(c["_post_id"], c["id"]) for c in lines(root / f"comments/dt=2026-03-{day}")]
        for day in ("09", "10")
    }
    assert comments == {"09": [("9_1", "9_1_1")], "10": [("9_1", "9_1_0"), ("9_2", "9_2_0")]}
    assert [item["reason"] for item in rejects(root / "comments/dt=2026-03-10")] == [
        "not a record with a readable day"
    ]
    assert {name: report.rows for name, report in reports.items()} == {
        "insights": 4,
        "posts": 1,
        "comments": 3,
    }


def test_comments_of_old_posts_are_not_asked_for(tmp_path: Path) -> None:
    graph = Graph()
    run(graph, tmp_path, Window(DAY, DAY), comment_days=7)
    asked = {
        request.url.path.split("/")[2] for request in graph.requests if request.url.path.endswith("comments")
    }
    assert "9_1" not in asked
    assert "9_2" in asked


def test_four_weeks_are_restated(tmp_path: Path) -> None:
    run(Graph(), tmp_path, Window(dt.date(2026, 2, 1), dt.date(2026, 3, 9)))
    reports = run(Graph(), tmp_path, Window(DAY, DAY))
    assert all(len(report.landed) == 29 for report in reports.values())


def test_a_refused_token_ends_the_pull_without_being_shown(tmp_path: Path) -> None:
    calls = []

    def refused(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        error = {"message": "Error validating access_token=EAABxyz", "type": "OAuthException", "code": 190}
        return httpx.Response(400, json={"error": error})

    with pytest.raises(AuthError, match=r"the_source \(meta\): GET /v25\.0/act_7/insights") as caught:
        run(refused, tmp_path, Window(DAY, DAY))
    assert "EAAB" not in str(caught.value)
    assert len(calls) == 1, "the other streams are not tried with the same token"


def test_edges_without_cursors_are_followed_by_their_links() -> None:
    from cja_pipeline.sources.meta import graph_pages

    def handler(request: httpx.Request) -> Any:
        assert "access_token" not in request.url.params
        at = int(request.url.params.get("offset", 0))
        link = f"https://graph.example/v25.0/1/posts?limit=2&offset={at + 2}&access_token=abc"
        return {"data": [at, at + 1], "paging": {"next": link} if at < 4 else {}}

    with client("https://graph.example", transport=answering(handler)) as http:
        assert list(graph_pages(http, "/v25.0/1/posts", {"limit": 2})) == [[0, 1], [2, 3], [4, 5]]
