"""Daily insights of the ad account: the latest version of every row that exists at a moment."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from cja_pipeline.simulator.world import World

ACCOUNT = "act_1001"
_NAMES = [
    "impressions",
    "reach",
    "clicks",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
]
_INSIGHTS = {"inline_link_clicks": "links"} | {name: name for name in _NAMES}


def fields_of(request: httpx.Request, default: str) -> list[str]:
    """Top-level fields, arguments in brackets left out."""
    text = re.sub(r"\([^()]*\)|\{[^{}]*\}|\.\w+", "", request.url.params.get("fields") or default)
    return [name.strip() for name in text.split(",") if name.strip()]


def insights(request: httpx.Request, world: World, now: int) -> list[Callable[[], dict[str, Any]]]:
    query = request.url.params
    if query.get("level", "account") != "ad" or query.get("time_increment", "all_days") != "1":
        raise ValueError("this mock serves level=ad with time_increment=1")
    try:
        span = json.loads(query.get("time_range", ""))
        since, until = dt.date.fromisoformat(span["since"]), dt.date.fromisoformat(span["until"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("Param time_range must be a JSON object with since and until") from error
    if until < since:
        raise ValueError("the start date is later than the end date")
    fields = fields_of(request, "impressions,spend")
    rows: list[dict[str, Any]] = world.view(
        ("insight_rows",), lambda: world.table("meta/insights").to_pylist()
    )
    start = world.manifest.start
    low, high = (since - start).days, (until - start).days
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        if row["visible_from"] > now:
            break
        if low <= row["day"] <= high:
            latest[row["day"], row["ad_id"]] = row
    currency = world.manifest.currency
    return [partial(_insight, latest[key], fields, start, currency) for key in sorted(latest)]


def _insight(row: dict[str, Any], fields: list[str], start: dt.date, currency: str) -> dict[str, Any]:
    day = (start + dt.timedelta(days=row["day"])).isoformat()
    result: dict[str, Any] = {}
    for name in fields:
        if name in _INSIGHTS:
            result[name] = str(row[_INSIGHTS[name]])
        elif name == "spend":
            result[name] = f"{row['spend']:.2f}".rstrip("0").rstrip(".")
        elif name == "frequency":
            result[name] = f"{row['impressions'] / max(row['reach'], 1):.6f}"
        elif name in ("account_id", "account_currency"):
            result[name] = ACCOUNT.removeprefix("act_") if name == "account_id" else currency
        elif name in ("actions", "action_values"):
            shown = _actions(row, money=name == "action_values")
            if shown:
                result[name] = shown
        elif name not in ("date_start", "date_stop"):
            raise ValueError(f"{name[:40]} is not valid for fields param")
    return result | {"date_start": day, "date_stop": day}


def _actions(row: dict[str, Any], money: bool) -> list[dict[str, str]]:
    if money:
        value = f"{row['revenue']:.2f}"
        return [{"action_type": "purchase", "value": value, "7d_click": value}] if row["conversions"] else []
    shown = [{"action_type": "link_click", "value": str(row["links"]), "7d_click": str(row["links"])}]
    if row["conversions"]:
        shown.append(
            {"action_type": "purchase", "value": str(row["conversions"]), "7d_click": str(row["conversions"])}
        )
    return shown
