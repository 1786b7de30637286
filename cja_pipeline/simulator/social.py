"""Ads, posts and comments: what the social platform reports about the shop's account and page.

Spend and clicks of an ad follow from the visits that its campaign truly brought, so that costs and visits agree;
claimed purchases are what the platform says, not what it caused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .catalogue import catalogue
from .columns import DAY, HOUR, MINUTE, length, pick, rng_for
from .crm_contacts import iso
from .identity import Identities
from .life import Life
from .names import FIRST, LAST
from .service import TOPICS
from .texts import text
from .web import incident_window, traffic_list

ACCOUNT, PAGE = "act_1001", "2001"
_POSTS = ["New season: the {p} is here.", "Which hut next weekend?", "Repair week in all stores.", "Das {p} im Test auf dem Fernwanderweg.", "Wer kennt diesen Gipfel?", "Win two places for our winter camp!"]  # fmt: skip


def ad_structure(life: Life) -> list[dict[str, str]]:
    """All ads with their campaign and ad set; one campaign per paid campaign name."""
    names = list(dict.fromkeys(row[3] for row in traffic_list(life.config) if row[0] == "Paid Social"))
    rows = []
    for c, campaign in enumerate(names):
        for s in range(int(life.config.social["adsets"])):
            for a in range(int(life.config.social["ads_per_adset"])):
                adset = f"{campaign} {'broad' if s == 0 else 'lookalike'}"
                rows.append({"campaign_id": f"6{c + 1:02d}0001", "campaign_name": campaign, "adset_id": f"6{c + 1:02d}01{s + 1:02d}", "adset_name": adset, "ad_id": f"6{c + 1:02d}0{s + 1}{a + 1:02d}7", "ad_name": f"{adset} ad {a + 1}"})  # fmt: skip
    return rows


def insight_versions(life: Life) -> list[dict[str, Any]]:
    """Daily figures of every ad in versions: next morning, then restated after 3, 7 and 28 days."""
    rng = rng_for(life.seed, "insights")
    spec, calendar = life.config.social, life.calendar
    traffic = traffic_list(life.config)
    campaign_of = np.array([row[3] if row[0] == "Paid Social" else "" for row in traffic])[
        life.visits["traffic"]
    ]
    day = calendar.day_of(life.visits["ts"])
    claims = _claims(life, campaign_of)
    ads = ad_structure(life)
    versions: list[dict[str, Any]] = []
    for campaign in dict.fromkeys(ad["campaign_name"] for ad in ads):
        own = [ad for ad in ads if ad["campaign_name"] == campaign]
        mine = (campaign_of == campaign) & (day >= 0) & (day < calendar.total)
        visits = np.bincount(day[mine], minlength=calendar.total)
        shares = rng.dirichlet(np.full(len(own), 4.0))
        for k, ad in enumerate(own):
            links = rng.binomial(visits, shares[k]) * 1.12
            links = np.round(links).astype(int)
            clicks = links + rng.poisson(links * 0.22)
            rate = spec["click_through"] * np.exp(0.15 * rng.standard_normal(calendar.total))
            impressions = np.round(links / rate).astype(int) + rng.poisson(12, calendar.total)
            reach = np.maximum(np.round(impressions / spec["impressions_per_person"]), clicks).astype(int)
            spend = np.round(
                links * spec["cost_per_click"] * np.exp(0.12 * rng.standard_normal(calendar.total))
                + impressions * 0.0004,
                2,
            )
            sold = claims.get(campaign, {})
            for d in range(calendar.total):
                if impressions[d] == 0:
                    continue
                orders, value = sold.get(d, (0, 0))
                base = {
                    "day": d,
                    **ad,
                    "impressions": int(impressions[d]),
                    "reach": int(reach[d]),
                    "clicks": int(clicks[d]),
                    "links": int(links[d]),
                    "spend": float(spend[d]),
                }
                for step, (age, part) in enumerate(((1, 0.55), (3, 0.8), (7, 0.95), (28, 1.0))):
                    grown = base | {
                        "conversions": round(orders * shares[k] * spec["overclaim"] * part),
                        "revenue": round(value * shares[k] * spec["overclaim"] * part / 100, 2),
                        "visible_from": int(calendar.edges[d]) + age * DAY + 3 * HOUR + 30 * MINUTE,
                        "step": step,
                    }
                    if step == 0:  # the first morning misses the last hours
                        grown["impressions"] = int(grown["impressions"] * 0.97)
                        grown["spend"] = round(grown["spend"] * 0.97, 2)
                    versions.append(grown)
    return versions


def _claims(life: Life, campaign_of: np.ndarray) -> dict[str, dict[int, tuple[int, int]]]:
    """Orders and cents within seven days after a click, by campaign and day of the click (last click per campaign)."""
    clicks: dict[int, list[tuple[int, str]]] = {}
    rows = np.flatnonzero(campaign_of != "")
    for row in rows[np.argsort(life.visits["ts"][rows], kind="stable")].tolist():
        clicks.setdefault(int(life.visits["person"][row]), []).append(
            (int(life.visits["ts"][row]), str(campaign_of[row]))
        )
    result: dict[str, dict[int, tuple[int, int]]] = {}
    web = np.flatnonzero((life.orders["sales"] == 0) & ~life.orders["test"])
    for row in web.tolist():
        at, person = int(life.orders["at"][row]), int(life.orders["person"][row])
        before = [c for c in clicks.get(person, []) if at - 7 * DAY <= c[0] <= at]
        if before:
            moment, campaign = before[-1]
            day = int(life.calendar.day_of(np.array([moment]))[0])
            count, value = result.setdefault(campaign, {}).get(day, (0, 0))
            result[campaign][day] = (
                count + 1,
                value + int(life.orders["gross"][row] - life.orders["discount"][row]),
            )
    return result


def posts(life: Life) -> list[dict[str, Any]]:
    """Posts of the page with their final counts; the mock lets them grow with age."""
    rng = rng_for(life.seed, "posts")
    goods, calendar = catalogue(life.seed), life.calendar
    rows = []
    every = 7 / life.config.social["posts_per_week"]
    for k in range(int(calendar.total / every)):
        at = int(calendar.edges[int(k * every)]) + int(rng.uniform(8, 19) * HOUR)
        reach = int(life.config.social["reach"] * np.exp(0.4 * rng.standard_normal()))
        message = _POSTS[k % len(_POSTS)].replace("{p}", goods.names[int(rng.integers(len(goods.names)))])
        rows.append({"id": f"{PAGE}_{5_000_001 + k}", "created_at": at - at % 1_000_000, "message": message, "reach": reach, "views": int(reach * rng.uniform(1.15, 1.5)), "reactions": int(reach * rng.uniform(0.015, 0.05)), "shares": int(reach * rng.uniform(0.001, 0.006)), "clicks": int(reach * rng.uniform(0.008, 0.03)), "comments": int(rng.poisson(life.config.social["comments_per_post"]))})  # fmt: skip
    return rows


def comments(life: Life, identities: Identities, page_posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Comments under the posts; some by customers under their own name, some without author, some answers."""
    rng = rng_for(life.seed, "comments")
    goods, calendar = catalogue(life.seed), life.calendar
    bug = [incident_window(calendar, i) for i in life.config.incidents if i.kind == "checkout"]
    known = identities.spelled
    rows: list[dict[str, Any]] = []
    for post in page_posts:
        first = len(rows)
        for _ in range(post["comments"]):
            at = post["created_at"] + int(rng.exponential(26) * HOUR) + 2 * MINUTE
            at -= at % 1_000_000
            if at >= calendar.finish:
                continue
            broken = any(since <= at < until for since, until in bug)
            weights = [0.16, 0.06, 0.20, 0.05, 0.5 if broken else 0.04, 0.03, 0.09, 0.37]
            topic = TOPICS[int(pick(rng, weights, 1)[0])]
            feeling = int(
                rng.choice(
                    [-1, 0, 1],
                    p=[0.85, 0.15, 0.0]
                    if topic == "checkout" and broken
                    else [0.05, 0.4, 0.55]
                    if topic == "praise"
                    else [0.4, 0.3, 0.3],
                )
            )
            language = "de" if rng.random() < 0.62 else "en"
            author, name = _author(life, identities, known, rng, language)
            parent = (
                rows[int(rng.integers(first, len(rows)))]["id"]
                if len(rows) > first and rng.random() < 0.18
                else None
            )
            words = int(rng.integers(1 << 30))
            message = text(topic, feeling, language, words, goods.names[words % len(goods.names)])
            rows.append({"id": f"{post['id'].split('_')[1]}_{9_000_001 + len(rows)}", "post_id": post["id"], "parent": parent, "author": author, "author_name": name, "created_at": at, "visible_from": at + 3 * MINUTE, "message": message, "likes": int(rng.poisson(1.2)), "topic": topic, "feeling": feeling, "language": language})  # fmt: skip
    return rows


def _author(life, identities, known, rng, language) -> tuple[str | None, str | None]:  # type: ignore[no-untyped-def]
    kind = rng.random()
    if kind < 0.4:
        return None, None
    if kind < 0.6 and len(known):
        person = int(known[rng.integers(len(known))])
        return str(10_150_000_000 + person * 13), " ".join(identities.name_at(person, 4))
    first = FIRST[language, bool(rng.random() < 0.5)]
    last = LAST[language]
    name = f"{first[int(rng.integers(len(first)))]} {last[int(rng.integers(len(last)))].replace('~', ' ')}"
    return str(10_900_000_000 + int(rng.integers(1 << 31))), name


def created_text(moment: int) -> str:
    """Time as the Graph API writes it."""
    return iso(moment)[:19] + "+0000"


def total_comments(life: Life, rows: list[dict[str, Any]]) -> int:
    """Comments that appear before the world's end."""
    return sum(row["created_at"] < life.calendar.finish for row in rows) if length(life.visits) else 0
