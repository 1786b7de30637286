"""Ads: what the social platform reports about the shop's account, day by day, and restates for weeks.

Spend and clicks of an ad follow from the visits that its campaign truly brought, so that costs and visits
agree; claimed purchases are what the platform says, not what it caused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .columns import DAY, HOUR, MINUTE, rng_for
from .life import Life
from .web import traffic_list

ACCOUNT = "act_1001"
VERSIONS = ((1, 0.55), (3, 0.8), (7, 0.95), (28, 1.0))  # age in days, share of the claims by then
DAMAGED_AD = "6990017"


def ad_structure(life: Life) -> list[dict[str, str]]:
    """All ads with their campaign and ad set; one campaign per paid campaign name."""
    names = list(dict.fromkeys(row[3] for row in traffic_list(life.config) if row[0] == "Paid Social"))
    rows = []
    for c, campaign in enumerate(names, 1):
        for s, audience in enumerate(("broad", "lookalike")[: int(life.config.social["adsets"])], 1):
            for a in range(1, int(life.config.social["ads_per_adset"]) + 1):
                row = {
                    "campaign_id": f"6{c:02d}0001",
                    "campaign_name": campaign,
                    "adset_id": f"6{c:02d}01{s:02d}",
                    "adset_name": f"{campaign} {audience}",
                    "ad_id": f"6{c:02d}0{s}{a:02d}7",
                    "ad_name": f"{campaign} {audience} ad {a}",
                }
                rows.append(row)
    return rows


def insight_versions(life: Life) -> list[dict[str, Any]]:
    """Daily figures of every ad in versions: next morning, then restated after 3, 7 and 28 days.

    Keys: day, ids and names, impressions, reach, clicks, links, spend, conversions, revenue, visible_from
    (µs), step (number of the version), damaged.
    """
    rng = rng_for(life.seed, "insights")
    calendar = life.calendar
    traffic = traffic_list(life.config)
    names = np.array([row[3] if row[0] == "Paid Social" else "" for row in traffic])
    campaign_of = names[life.visits["traffic"]]
    day = calendar.day_of(life.visits["ts"])
    claims = _claims(life, campaign_of)
    ads = ad_structure(life)
    rows: list[dict[str, Any]] = []
    for campaign in dict.fromkeys(ad["campaign_name"] for ad in ads):
        own = [ad for ad in ads if ad["campaign_name"] == campaign]
        mine = (campaign_of == campaign) & (day >= 0) & (day < calendar.total)
        visits = np.bincount(day[mine], minlength=calendar.total)
        shares = rng.dirichlet(np.full(len(own), 4.0))
        for ad, share in zip(own, shares, strict=True):
            rows += _ad_days(life, rng, ad, rng.binomial(visits, share), share, claims.get(campaign, {}))
    return rows + _damaged(life, rng, rows)


def _ad_days(
    life: Life,
    rng: np.random.Generator,
    ad: dict[str, str],
    visits: np.ndarray,
    share: float,
    claims: dict[int, tuple[int, int]],
) -> list[dict[str, Any]]:
    spec, calendar = life.config.social, life.calendar
    n = calendar.total
    links = np.round(visits * 1.12).astype(int)  # some clicks never become a visit
    clicks = links + rng.poisson(links * 0.22)
    rate = spec["click_through"] * np.exp(0.15 * rng.standard_normal(n))
    impressions = np.round(links / rate).astype(int) + clicks + rng.poisson(12, n)
    reach = np.clip(np.round(impressions / spec["impressions_per_person"]), clicks, impressions).astype(int)
    cost = links * spec["cost_per_click"] * np.exp(0.12 * rng.standard_normal(n)) + impressions * 0.0004
    luck = rng.random(n)
    rows: list[dict[str, Any]] = []
    for d in np.flatnonzero(impressions > 0).tolist():
        orders, cents = claims.get(d, (0, 0))
        claimed = int(rng.poisson(orders * share * spec["overclaim"]))
        mean = cents / orders / 100 if orders else 0.0
        for step, (age, part) in enumerate(VERSIONS):
            part_day = 0.97 if step == 0 else 1.0  # the first morning misses the last hours
            conversions = claimed if step == len(VERSIONS) - 1 else int(claimed * part + luck[d])
            conversions = min(conversions, claimed)
            row = {
                "day": d,
                **ad,
                "impressions": int(impressions[d] * part_day),
                "reach": min(int(reach[d]), int(impressions[d] * part_day)),
                "clicks": int(min(clicks[d], impressions[d] * part_day)),
                "links": int(links[d]),
                "spend": round(float(cost[d]) * part_day, 2),
                "conversions": conversions,
                "revenue": round(conversions * mean, 2),
                "visible_from": int(calendar.edges[d]) + age * DAY + 3 * HOUR + 30 * MINUTE,
                "step": step,
                "damaged": False,
            }
            rows.append(row)
    return rows


def _damaged(life: Life, rng: np.random.Generator, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an ad that does not exist, with negative spend and more clicks than impressions."""
    firsts = [row for row in rows if row["step"] == 0 and row["day"] < life.calendar.days]
    result = []
    for _ in range(int(life.config.noise["damaged_ads"]) if firsts else 0):
        like = firsts[int(rng.integers(len(firsts)))]
        change = {"ad_id": DAMAGED_AD, "ad_name": "broken", "spend": -like["spend"] - 1.0, "damaged": True}
        result.append(like | change | {"clicks": like["impressions"] + 5})
    return list({row["day"]: row for row in result}.values())


def _claims(life: Life, campaign_of: np.ndarray) -> dict[str, dict[int, tuple[int, int]]]:
    """Orders and cents within seven days of a click, by campaign and day of that click (the last one)."""
    visits, orders = life.visits, life.orders
    clicks: dict[int, list[tuple[int, str]]] = {}
    rows = np.flatnonzero(campaign_of != "")
    rows = rows[np.argsort(visits["ts"][rows], kind="stable")]
    people, moments, names = visits["person"][rows].tolist(), visits["ts"][rows].tolist(), campaign_of[rows]
    for person, moment, campaign in zip(people, moments, names.tolist(), strict=True):
        clicks.setdefault(person, []).append((moment, campaign))
    result: dict[str, dict[int, tuple[int, int]]] = {}
    paid = orders["gross"] - orders["discount"]
    for row in np.flatnonzero((orders["sales"] == 0) & ~orders["test"]).tolist():
        at = int(orders["at"][row])
        before = [c for c in clicks.get(int(orders["person"][row]), []) if at - 7 * DAY <= c[0] <= at]
        if before:
            moment, campaign = before[-1]
            day = int(life.calendar.day_of(np.array([moment]))[0])
            count, value = result.setdefault(campaign, {}).get(day, (0, 0))
            result[campaign][day] = (count + 1, value + int(paid[row]))
    return result
