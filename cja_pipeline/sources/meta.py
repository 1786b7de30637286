"""Meta: advert insights, page posts with their metrics, and comments (Graph API).

Insights and posts are asked for day by day; comments post by post, for posts of the last `comment_days`.
Numbers arrive as text and stay so. A landed comment carries the id of its post as ``_post_id``, which the
comment itself does not say.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from cja_pipeline.sources.client import Check, VendorClient
from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.paging import LoopGuard, Repeats, fitting, items
from cja_pipeline.sources.registry import MetaSource
from cja_pipeline.sources.reports import PullReport
from cja_pipeline.sources.window import Window, day_of, parse_time

STREAMS = ("insights", "posts", "comments")
PAGE = 100
INSIGHT_FIELDS = (
    "account_id,account_currency,campaign_id,campaign_name,adset_id,adset_name,ad_id,ad_name,"
    "impressions,reach,frequency,clicks,inline_link_clicks,spend,actions,action_values"
)
POST_FIELDS = (
    "id,message,created_time,permalink_url,shares,reactions.summary(true),"
    "insights.metric(post_media_view,post_total_media_view_unique,post_clicks)"
)
COMMENT_FIELDS = "id,from,message,created_time,like_count,parent"


def auth(token: str) -> dict[str, str]:
    """The token goes into a header, so that it never becomes part of an address."""
    return {"Authorization": f"Bearer {token}"}


def headers(source: MetaSource) -> dict[str, str]:
    """Graph needs no further headers."""
    return {}


def pull_stream(pull: Pull[MetaSource], stream: str) -> PullReport:
    """Land one of the three streams for every day of its restated window."""
    if stream == "comments":
        return _comments(pull)
    report = pull.report(stream)
    version, source = pull.source.api_version, pull.source
    account = source.account if source.account.startswith("act_") else f"act_{source.account}"
    for day in pull.restated(stream).days():
        if stream == "insights":
            check = _dated(day)
            path = f"/{version}/{account}/insights"
            span = json.dumps({"since": day.isoformat(), "until": day.isoformat()})
            query = {"level": "ad", "time_increment": 1, "time_range": span, "fields": INSIGHT_FIELDS}
        else:
            path = f"/{version}/{source.page}/posts"
            query = {"fields": POST_FIELDS, **_seconds(Window(day, day), pull.zone)}
            check = _created(query)
        with pull.day_folder(stream, day) as folder:
            repeats = Repeats()
            with pull.counted(folder):
                for page in graph_pages(pull.client, path, {**query, "limit": PAGE}, check):
                    folder.manifest.pages += 1
                    for record in [] if repeats.again(page) else page:
                        if not isinstance(record, dict):
                            folder.reject(record, "not a record")
                        elif stream == "insights" or created_day(record, pull.zone) in (day, None):
                            folder.add(record)
            folder.manifest.duplicate_rows = repeats.rows
            pull.finish(report, folder)
    return report


def _comments(pull: Pull[MetaSource]) -> PullReport:
    report = pull.report("comments")
    window = pull.restated("comments")
    with ExitStack() as stack:
        folders = {day: stack.enter_context(pull.day_folder("comments", day)) for day in window.days()}
        last, repeats = folders[window.end], Repeats()
        with pull.counted(last):
            for post in _post_ids(pull, window):
                query = {"fields": COMMENT_FIELDS, "filter": "stream", "limit": PAGE}
                query |= _seconds(window, pull.zone)
                path = f"/{pull.source.api_version}/{post}/comments"
                for page in graph_pages(pull.client, path, query, _created(query)):
                    last.manifest.pages += 1
                    for record in [] if repeats.again(page) else page:
                        if not isinstance(record, dict):
                            last.reject(record, "not a record")
                            continue
                        day = created_day(record, pull.zone)
                        if day is None:
                            last.reject({**record, "_post_id": post}, "created_time cannot be read")
                        elif day in folders:
                            folders[day].add({**record, "_post_id": post})
                pull.tell("comments", sum(folder.rows for folder in folders.values()), f"post {post}")
        last.manifest.duplicate_rows = repeats.rows
        for day in window.days():
            pull.finish(report, folders[day])
    return report


def _post_ids(pull: Pull[MetaSource], window: Window) -> list[str]:
    """Ids of the posts whose comments may fall into the window, oldest post first."""
    span = window.extended(pull.source.comment_days)
    query = {"fields": "id,created_time", "limit": PAGE, **_seconds(span, pull.zone)}
    path = f"/{pull.source.api_version}/{pull.source.page}/posts"
    posts = {
        str(post["id"]): str(post.get("created_time", ""))
        for page in graph_pages(pull.client, path, query, _created(query))
        for post in page
        if isinstance(post, dict) and post.get("id")
    }
    return sorted(posts, key=lambda post: (posts[post], post))


def graph_pages(
    client: VendorClient, path: str, query: dict[str, Any], check: Check | None = None
) -> Iterator[list[Any]]:
    """Pages of a Graph edge: by cursor where there is one, else by the ``paging.next`` link.

    The end is the absence of ``next``, never a short page. A page may come twice; PagingError if the same
    place is asked for again and again. VendorError if an answer has no list of data.
    """
    guard = LoopGuard(f"{client.name}: GET {path}")
    answer = client.get(path, query, check)
    while True:
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise VendorError(f"{client.name}: GET {path}: the answer has no list of data")
        yield answer["data"]
        paging = answer.get("paging") or {}
        link, after = paging.get("next"), (paging.get("cursors") or {}).get("after")
        if not link:
            return
        guard.visit(after or link)
        if after:
            answer = client.get(path, {**query, "after": after}, check)
        else:
            answer = client.get(client.follow(link), check=check)


def created_day(record: dict[str, Any], zone: dt.tzinfo) -> dt.date | None:
    """The business day of ``created_time``, or None if it cannot be read."""
    try:
        return day_of(parse_time(record["created_time"]), zone)
    except (KeyError, TypeError, ValueError):
        return None


def _dated(day: dt.date) -> Check:
    def fits(row: Any) -> bool:
        return not isinstance(row, dict) or row.get("date_start") == day.isoformat()

    return fitting(lambda page: items(page, "data"), fits)


def _created(query: dict[str, Any]) -> Check:
    def fits(record: Any) -> bool:
        try:
            return query["since"] <= parse_time(record["created_time"]).timestamp() <= query["until"]
        except (KeyError, TypeError, ValueError):
            return True

    return fitting(lambda page: items(page, "data"), fits)


def _seconds(window: Window, zone: dt.tzinfo) -> dict[str, int]:
    """Epoch seconds around the window; one second wide on both sides, because whether Graph includes the
    edges is not documented. What lies outside is left out by its time."""
    start, end = window.start_utc(zone), window.end_utc(zone)
    return {"since": int(start.timestamp()) - 1, "until": int(end.timestamp()) + 1}
