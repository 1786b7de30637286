"""True KPIs, straight from the true state; no pipeline code is involved.

`basis` known: as the nightly run after the last day of history can know it; final: after the horizon, with
all late data. Every row carries its exact definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import MINUTE, length
from .crm_orders import order_rates
from .life import Life, identifiable
from .truth_sessions import as_of_times, ruled_sessions

if TYPE_CHECKING:
    from .truth import Emitted

Row = dict[str, Any]
Add = Callable[..., None]
MAIL_KINDS = ("received", "opened", "clicked", "bounced", "unsubscribed", "spam")
ADS = ("impressions", "clicks", "links", "spend", "conversions", "revenue")


def kpi_rows(life: Life, emitted: Emitted) -> list[Row]:
    """KPI by day of the history and for the whole history (day null), for both bases."""
    rows: list[Row] = []
    for basis, as_of in as_of_times(life).items():
        add = _adder(life, rows, basis)
        for part in (_web, _orders, _people, _media, _email, _service):
            part(life, emitted, as_of, add)
    return rows


def _adder(life: Life, rows: list[Row], basis: str) -> Add:
    calendar = life.calendar

    def add(
        kpi: str,
        definition: str,
        ts: np.ndarray,
        top: np.ndarray | None = None,
        bottom: np.ndarray | None = None,
        whole_only: bool = False,
    ) -> None:
        day = calendar.day_of(ts)
        inside = (day >= 0) & (day < calendar.days)

        def per_day(values: np.ndarray) -> np.ndarray:
            return np.bincount(day[inside], weights=values[inside], minlength=calendar.days)

        sums = per_day(np.ones(len(ts)) if top is None else top.astype(float))
        below = None if bottom is None else per_day(bottom.astype(float))
        for d in range(-1, 0 if whole_only else calendar.days):
            up = float(sums.sum() if d < 0 else sums[d])
            down = None if below is None else float(below.sum() if d < 0 else below[d])
            row = {
                "basis": basis,
                "kpi_id": kpi,
                "day": None if d < 0 else calendar.dates[d],
                "value": up if down is None else up / down if down else None,
                "numerator": up,
                "denominator": down,
                "definition": definition,
            }
            rows.append(row)

    return add


def _web(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    sessions = ruled_sessions(life, emitted, as_of)
    ts, ones = sessions["ts"], np.ones(length(sessions))
    sold = sessions["orders"] > 0
    engaged = (sessions["engaged_ms"] >= 10_000) | (sessions["views"] >= 2) | sold
    add(
        "sessions",
        "30-minute rule per cookie on visible events, without crawlers, credential bots and events without "
        "consent; by day of the first event",
        ts,
    )
    add("page_views", "page_view events of those sessions, by day of the session", ts, sessions["views"])
    add("conversion_rate", "sessions with a purchase that is no test order / sessions", ts, sold, ones)
    add(
        "engagement_rate",
        "sessions with 10 s of engagement time, two page views or a purchase / sessions",
        ts,
        engaged,
        ones,
    )


def real_orders(life: Life, emitted: Emitted, as_of: int) -> np.ndarray:
    """Orders that count: in the CRM by `as_of`, no tests, not cancelled by then."""
    return (emitted.crm_at <= as_of) & ~life.orders["test"] & (life.orders["cancel_at"] > as_of)


def _orders(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    orders = life.orders
    hit = np.flatnonzero(real_orders(life, emitted, as_of))
    at, rate = orders["at"][hit], order_rates(life)[hit]
    has = ~np.isnan(rate)
    rate = np.nan_to_num(rate)
    back = np.where(orders["refund_at"][hit] <= as_of, orders["refund"][hit], 0) / 100 * rate
    gross, discount = orders["gross"][hit] / 100 * rate, orders["discount"][hit] / 100 * rate
    net = gross - discount - back
    add("orders", "orders of all sales channels in the CRM, no tests, not cancelled; by day of the order", at)
    add("orders_with_rate", "of these, orders whose exchange rate is known", at, has)
    add(
        "gross_revenue",
        "before discount, in the shop's currency at the order's own rate; orders of unknown rate left out",
        at,
        gross,
    )
    add("discount", "discounts of the same orders", at, discount)
    add("refunds", "refunds known by then, by day of the order", at, back)
    add("net_revenue", "gross - discount - refund of the same orders", at, net)
    add("average_order_value", "net revenue / orders whose exchange rate is known", at, net, has)


def _people(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    orders, calendar = life.orders, life.calendar
    hit = real_orders(life, emitted, as_of) & identifiable(life) & (orders["at"] < calendar.history_end)
    _, first, count = np.unique(orders["person"][hit], return_index=True, return_counts=True)
    at = np.full(len(first), calendar.begin)
    add("buyers", "true people with an order that leaves a name, in the history", at, whole_only=True)
    add(
        "repeat_buyers",
        "of these, people with two or more orders in the history / all of them",
        at,
        count >= 2,
        np.ones(len(first)),
        whole_only=True,
    )


def _media(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    latest: dict[tuple[str, int], Row] = {}
    for row in emitted.insights:
        if row["visible_from"] <= as_of and not row["damaged"]:
            latest[row["ad_id"], row["day"]] = row
    rows = list(latest.values())
    at = life.calendar.edges[np.array([row["day"] for row in rows], np.int64)]
    for name in ADS:
        values = np.array([float(row[name]) for row in rows])
        add(f"ads_{name}", f"{name} of all ads as last reported by then, by day of the account", at, values)
    shown = [row["created_at"] for row in emitted.comments if row["visible_from"] <= as_of]
    add("social_comments", "comments under the page's posts", np.array(shown, np.int64))


def _email(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    mail = emitted.mail_rows
    seen = (mail["visible_from"] <= as_of) & (mail["copy"] == 0) & ~life.email["machine"][mail["row"]]
    kind = life.email["kind"][mail["row"]]
    for code, name in enumerate(MAIL_KINDS):
        definition = f"e-mail events '{name}', doubles and machine opens left out; by day of the event"
        add(f"email_{name}", definition, mail["ts"][seen & (kind == code)])


def _service(life: Life, emitted: Emitted, as_of: int, add: Add) -> None:
    surveys = life.surveys
    seen = surveys["at"] + MINUTE <= as_of
    for code in range(3):
        hit = seen & (surveys["kind"] == code)
        at, score = surveys["at"][hit], surveys["score"][hit]
        ones = np.ones(len(at))
        if code == 0:
            good, bad = score >= 9, score <= 6
            add("nps_promoters", "NPS answers of 9 or 10", at, good)
            add("nps_detractors", "NPS answers of 6 or less", at, bad)
            difference = 100.0 * (good.astype(float) - bad)
            definition = "100 x (promoters - detractors) / answers; every answer counts"
            add("net_promoter_score", definition, at, difference, ones)
        elif code == 1:
            definition = "CSAT answers of 4 or 5 / CSAT answers"
            add("customer_satisfaction_score", definition, at, score >= 4, ones)
        else:
            add("customer_effort_score", "mean of the CES answers (1 to 7)", at, score, ones)
    add("tickets", "tickets created", life.tickets["at"][life.tickets["at"] <= as_of])
