"""Meta: advert insights, page posts with their metrics, and comments (Graph API).

Insights are asked for week by week, posts for the whole window, comments post by post for the posts of the
last `comment_days`; the records are then sorted into days.
Numbers arrive as text and stay so. A landed comment carries the id of its post as ``_post_id``, which the
comment itself does not say.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cja_pipeline.sources.client import Check, VendorClient
from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.paging import LoopGuard, Repeats, fitting, inside, items, words
from cja_pipeline.sources.registry import MetaSource
from cja_pipeline.sources.reports import PullReport
from cja_pipeline.sources.window import Window, day_of, parse_time

STREAMS = ("insights", "posts", "comments")
PAGE = 100
INSIGHT_DAYS = 7
INSIGHT_FIELDS = (
    "account_id,account_currency,campaign_id,campaign_name,adset_id,adset_name,ad_id,ad_name,"
    "impressions,reach,frequency,clicks,inline_link_clicks,spend,actions,action_values"
)
POST_FIELDS = (
    "id,message,created_time,permalink_url,shares,reactions.summary(true),"
    "insights.metric(post_media_view,post_total_media_view_unique,post_clicks)"
)
POST_ID_FIELDS = "id,created_time"
COMMENT_FIELDS = "id,from,message,created_time,like_count,parent"


def auth(token: str) -> dict[str, str]:
    """The token goes into a header, so that it never becomes part of an address."""
    return {"Authorization": f"Bearer {token}"}


def headers(source: MetaSource) -> dict[str, str]:
    """Graph needs no further headers."""
    return {}


@dataclass(frozen=True)
class Listing:
    """One edge to page through: its path, the query, what marks an answer as belonging to it, and what is
    added to every record."""

    path: str
    query: dict[str, Any]
    check: Check
    added: dict[str, str] = field(default_factory=dict)


def pull_stream(pull: Pull[MetaSource], stream: str) -> PullReport:
    """Land one of the three streams: read its listings and sort the records into the days of the window.

    Records of other days are left to their own pull; those whose day cannot be read are put aside.
    """
    report, window = pull.report(stream), pull.restated(stream)
    listings = {"insights": _insights, "posts": _posts, "comments": _comments}[stream]
    day_of_record = insight_day if stream == "insights" else partial(created_day, zone=pull.zone)
    with ExitStack() as stack:
        folders = {day: stack.enter_context(pull.day_folder(stream, day)) for day in window.days()}
        last, repeats = folders[window.end], Repeats()
        with pull.counted(last):
            for listing in listings(pull, window):
                for page in graph_pages(pull.client, listing.path, listing.query, listing.check):
                    last.manifest.pages += 1
                    for record in [] if repeats.again(page) else page:
                        day = day_of_record(record) if isinstance(record, dict) else None
                        if day is None:
                            last.reject(record, "not a record with a readable day")
                        elif day in folders:
                            folders[day].add({**record, **listing.added})
                pull.tell(stream, sum(folder.rows for folder in folders.values()), listing.path)
        last.manifest.duplicate_rows = repeats.rows
        for day in window.days():
            pull.finish(report, folders[day])
    return report


def _insights(pull: Pull[MetaSource], window: Window) -> Iterator[Listing]:
    """Advert insights week by week: large accounts are refused longer spans."""
    account = pull.source.account
    node = account if account.startswith("act_") else f"act_{account}"
    days = window.days()
    for first in range(0, len(days), INSIGHT_DAYS):
        some = days[first : first + INSIGHT_DAYS]
        span = json.dumps({"since": some[0].isoformat(), "until": some[-1].isoformat()})
        query = {"level": "ad", "time_increment": 1, "time_range": span, "fields": INSIGHT_FIELDS}
        check = fitting(lambda page: items(page, "data"), partial(_dated, frozenset(some)))
        yield Listing(f"/{pull.source.api_version}/{node}/insights", {**query, "limit": PAGE}, check)


def _posts(pull: Pull[MetaSource], window: Window, fields: str = POST_FIELDS) -> Iterator[Listing]:
    query = {"fields": fields, "limit": PAGE, **_seconds(window, pull.zone)}
    yield Listing(f"/{pull.source.api_version}/{pull.source.page}/posts", query, _created(query))


def _comments(pull: Pull[MetaSource], window: Window) -> Iterator[Listing]:
    query = {"fields": COMMENT_FIELDS, "filter": "stream", "limit": PAGE, **_seconds(window, pull.zone)}
    for post in _post_ids(pull, window):
        path = f"/{pull.source.api_version}/{post}/comments"
        yield Listing(path, query, _created(query), {"_post_id": post})


def _post_ids(pull: Pull[MetaSource], window: Window) -> list[str]:
    """Ids of the posts whose comments may fall into the window, oldest post first."""
    (listing,) = _posts(pull, window.extended(pull.source.comment_days), fields=POST_ID_FIELDS)
    posts = {
        str(post["id"]): str(post.get("created_time", ""))
        for page in graph_pages(pull.client, listing.path, listing.query, listing.check)
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
        link, after = (
            words(inside(answer, "paging", "next")),
            words(inside(answer, "paging", "cursors", "after")),
        )
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
    except (KeyError, OverflowError, TypeError, ValueError):
        return None


def insight_day(row: dict[str, Any]) -> dt.date | None:
    """The day of a row of insights (in the account's time zone), or None if it cannot be read."""
    try:
        return dt.date.fromisoformat(row["date_start"])
    except (KeyError, TypeError, ValueError):
        return None


def _dated(days: frozenset[dt.date], row: Any) -> bool:
    return not isinstance(row, dict) or insight_day(row) in {None, *days}


def _created(query: dict[str, Any]) -> Check:
    """Whether an answer is to this query: its times lie within the span. A listing of ids shares its address
    with the posts themselves; there an answer with further fields is to another query."""
    only = set(POST_ID_FIELDS.split(",")) if query["fields"] == POST_ID_FIELDS else None

    def fits(record: Any) -> bool:
        try:
            within = query["since"] <= parse_time(record["created_time"]).timestamp() <= query["until"]
        except (KeyError, OverflowError, TypeError, ValueError):
            return True
        return within and (only is None or set(record) <= only)

    return fitting(lambda page: items(page, "data"), fits)


def _seconds(window: Window, zone: dt.tzinfo) -> dict[str, int]:
    """Epoch seconds around the window; one second wide on both sides, because whether Graph includes the
    edges is not documented. What lies outside is left out by its time."""
    start, end = window.start_utc(zone), window.end_utc(zone)
    return {"since": int(start.timestamp()) - 1, "until": int(end.timestamp()) + 1}
