"""The social platform: insights as text and restated, posts that grow, comments with and without author."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cja_pipeline.simulator.mocks import transport
from cja_pipeline.simulator.world import World

from .helpers import client, linked

INSIGHTS, POSTS = "/v25.0/act_1001/insights", "/v25.0/2001/posts"
FIELDS = "ad_id,campaign_name,impressions,reach,clicks,spend,actions,action_values"
METRICS = (
    "id,message,created_time,shares,reactions.summary(true),insights.metric(post_media_view,post_clicks)"
)


def insights(http: httpx.Client, since: dt.date, until: dt.date, **more: Any) -> list[dict[str, Any]]:
    span = json.dumps({"since": since.isoformat(), "until": until.isoformat()})
    params = {"level": "ad", "time_increment": "1", "time_range": span, "fields": FIELDS, **more}
    return [row for page in linked(http, INSIGHTS, params) for row in page["data"]]


def test_insights_page_and_come_as_text(folder: Path, world: World, last_night: dt.datetime) -> None:
    start, end = world.manifest.start, world.manifest.horizon_end
    with client(folder, "meta", last_night) as http:
        rows = insights(http, start, end)
        assert insights(http, start, end, limit=7) == rows
        by_day = [
            row
            for d in range((end - start).days + 1)
            for row in insights(http, start + dt.timedelta(d), start + dt.timedelta(d))
        ]
    assert by_day == rows
    assert len({(row["date_start"], row["ad_id"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["date_start"] == row["date_stop"]
        assert all(isinstance(row[name], str) for name in ("impressions", "reach", "clicks", "spend"))


def test_insights_are_restated(folder: Path, world: World) -> None:
    day = world.manifest.start + dt.timedelta(days=3)
    impressions = []
    for age in (1, 2, 4, 30):
        moment = dt.datetime.combine(day + dt.timedelta(days=age), dt.time(6), tzinfo=dt.UTC)
        with client(folder, "meta", moment) as http:
            rows = [row for row in insights(http, day, day) if float(row["spend"]) >= 0]
        impressions.append(sum(int(row["impressions"]) for row in rows))
    assert impressions[0] == impressions[1] < impressions[2] == impressions[3]
    with client(folder, "meta", dt.datetime.combine(day, dt.time(23), tzinfo=dt.UTC)) as http:
        assert insights(http, day, day) == []


def test_posts_grow_and_comments_come_later(folder: Path, world: World, last_night: dt.datetime) -> None:
    with client(folder, "meta", last_night) as http:
        posts = [p for page in linked(http, POSTS, {"fields": METRICS, "limit": 3}) for p in page["data"]]
        params = {"fields": "id,from,message,created_time,parent", "filter": "stream", "limit": 5}
        edges = [f"/v25.0/{post['id']}/comments" for post in posts]
        comments = [c for edge in edges for page in linked(http, edge, params) for c in page["data"]]
        top = sum(
            len(page["data"])
            for post in posts
            for page in linked(http, f"/v25.0/{post['id']}/comments", {"limit": 100})
        )
        assert http.get("/v25.0/2001_1/comments").status_code == 400
    assert len(posts) == world.table("meta/posts").num_rows
    assert len({c["id"] for c in comments}) == len(comments) == world.table("meta/comments").num_rows
    assert top < len(comments), "answers are not at the top"
    assert 0.3 < sum("from" in c for c in comments) / len(comments) < 0.8
    first = posts[-1]
    soon = dt.datetime.fromisoformat(first["created_time"].replace("+0000", "+00:00")) + dt.timedelta(hours=5)
    with client(folder, "meta", soon) as http:
        early = next(linked(http, POSTS, {"fields": METRICS}))["data"][-1]

    def views(post: dict[str, Any]) -> int:
        return post["insights"]["data"][0]["values"][0]["value"]

    assert 0 < views(early) < views(first)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (INSIGHTS, {"level": "ad", "time_increment": "1"}),
        (
            INSIGHTS,
            {
                "level": "ad",
                "time_increment": "1",
                "time_range": '{"since":"2026-10-09","until":"2026-10-01"}',
            },
        ),
        (INSIGHTS, {"level": "campaign"}),
        (POSTS, {"fields": "id,insights.metric(post_impressions)"}),
        (POSTS, {"limit": "0"}),
        ("/v25.0/act_9/insights", {}),
        ("/nothing", {}),
    ],
)
def test_errors_have_the_vendors_form(
    folder: Path, night: dt.datetime, path: str, params: dict[str, str]
) -> None:
    with client(folder, "meta", night) as http:
        answer = http.get(path, params=params)
    assert answer.status_code == 400
    assert {"message", "type", "code", "fbtrace_id"} <= set(answer.json()["error"])


def test_a_token_is_needed(folder: Path, night: dt.datetime) -> None:
    with httpx.Client(transport=transport("mock://meta", folder, night), base_url="mock://meta") as http:
        assert http.get(POSTS).status_code == 401
        assert http.get(POSTS, params={"access_token": "x"}).status_code == 200
