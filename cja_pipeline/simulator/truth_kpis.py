"""True KPIs and the number of rows each vendor offers, straight from the true state; no pipeline code is involved.

`basis` known: as the nightly run after the last day of history can know it; final: after the horizon, all late data in.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import DAY, HOUR, MINUTE, NEVER, Table, length, take
from .events import E
from .identity import chance
from .life import Life
from .tracking import LOST, export_times
from .web import traffic_list

if TYPE_CHECKING:
    from .truth import Emitted

Row = dict[str, Any]
TIMEOUT = 30 * MINUTE


def as_of_times(life: Life) -> dict[str, int]:
    """Moments (UTC µs) of the two bases."""
    edges = life.calendar.edges
    return {
        "known": int(edges[life.calendar.days]) + 4 * HOUR,
        "final": int(edges[life.calendar.total]) + 5 * DAY,
    }


def ruled_sessions(life: Life, emitted: Emitted, as_of: int) -> Table:
    """Sessions by the 30-minute rule per cookie over the events visible at `as_of`, robots and refusals left out.

    Columns: ts (first event), visit (of the first event), views, engaged_ms, orders (real purchases), events.
    """
    measured = emitted.measured
    event = measured["event"]
    visit = life.events["visit"][event]
    times = export_times(life)[measured["day"], np.minimum(measured["rewrite"], 3)]
    robot = life.visits["robot"][visit]
    keep = (measured["rewrite"] != LOST) & (times <= as_of) & np.isin(measured["copy"], (0, 2))
    keep &= life.visits["consent"][visit] & (robot != 1) & (robot != 2)
    ts, event, visit = measured["ts"][keep], event[keep], visit[keep]
    cookie = life.visits["cookie"][visit]
    order = np.lexsort((event, ts, cookie))
    ts, event, visit, cookie = ts[order], event[order], visit[order], cookie[order]
    if len(ts) == 0:
        return {
            name: np.zeros(0, np.int64) for name in ("ts", "visit", "views", "engaged_ms", "orders", "events")
        }
    start = np.r_[True, (cookie[1:] != cookie[:-1]) | (ts[1:] - ts[:-1] > TIMEOUT)]
    number = np.cumsum(start) - 1
    name = life.events["name"][event]
    test = np.zeros(length(life.visits), bool)
    web = life.orders["visit"] >= 0
    test[life.orders["visit"][web]] = life.orders["test"][web]
    real = (name == E["purchase"]) & ~test[visit]
    return {
        "ts": ts[start],
        "visit": visit[start],
        "views": np.bincount(number, weights=name == E["page_view"]).astype(np.int64),
        "engaged_ms": np.bincount(number, weights=life.events["engaged_ms"][event]).astype(np.int64),
        "orders": np.bincount(number, weights=real).astype(np.int64),
        "events": np.bincount(number),
    }


def kpi_rows(life: Life, emitted: Emitted) -> list[Row]:
    """KPI × day of the history and the whole history (day null), for both bases."""
    rows: list[Row] = []
    for basis, as_of in as_of_times(life).items():
        rows += _kpis(life, emitted, basis, as_of)
    return rows


def _kpis(life: Life, emitted: Emitted, basis: str, as_of: int) -> list[Row]:
    calendar = life.calendar
    rows: list[Row] = []

    def add(
        kpi: str, definition: str, ts: np.ndarray, top: np.ndarray, bottom: np.ndarray | None = None
    ) -> None:
        day = calendar.day_of(ts)
        inside = (day >= 0) & (day < calendar.days)
        sums = np.bincount(day[inside], weights=top[inside], minlength=calendar.days)
        below = (
            None
            if bottom is None
            else np.bincount(day[inside], weights=bottom[inside], minlength=calendar.days)
        )
        for d in range(-1, calendar.days):
            up = sums.sum() if d < 0 else sums[d]
            down = None if below is None else below.sum() if d < 0 else below[d]
            value = up if down is None else up / down if down else None
            rows.append(
                {
                    "basis": basis,
                    "kpi_id": kpi,
                    "day": None if d < 0 else calendar.dates[d],
                    "value": None if value is None else float(value),
                    "numerator": float(up),
                    "denominator": None if down is None else float(down),
                    "definition": definition,
                }
            )

    sessions = ruled_sessions(life, emitted, as_of)
    ones = np.ones(length(sessions))
    sold = (sessions["orders"] > 0).astype(float)
    engaged = ((sessions["engaged_ms"] >= 10_000) | (sessions["views"] >= 2) | (sold > 0)).astype(float)
    add(
        "sessions",
        "30-minute rule per cookie on visible events; no robots, no events without consent; by day of the first event",
        sessions["ts"],
        ones,
    )
    add(
        "page_views",
        "page_view events inside those sessions; by day of the session",
        sessions["ts"],
        sessions["views"].astype(float),
    )
    add(
        "conversion_rate",
        "sessions with at least one purchase that is no test order / sessions",
        sessions["ts"],
        sold,
        ones,
    )
    add(
        "engagement_rate",
        "sessions with 10 s of engagement, two page views or a purchase / sessions",
        sessions["ts"],
        engaged,
        ones,
    )
    _order_kpis(life, emitted, as_of, add)
    _media_kpis(life, emitted, as_of, add)
    mail = emitted.mail_rows
    seen = (mail["visible_from"] <= as_of) & (mail["copy"] == 0)
    kind = life.email["kind"][mail["row"]]
    machine = life.email["machine"][mail["row"]]
    ts = mail["ts"]
    for code, name in enumerate(("received", "opened", "clicked", "bounced", "unsubscribed", "spam")):
        hit = seen & (kind == code) & ~machine
        add(
            f"email_{name}",
            f"e-mail events '{name}', duplicates and machine opens left out; by day of the event",
            ts[hit],
            np.ones(int(hit.sum())),
        )
    surveys = life.surveys
    shown = surveys["at"] + MINUTE <= as_of
    for code, name in enumerate(("nps", "csat", "ces")):
        hit = shown & (surveys["kind"] == code)
        at, score = surveys["at"][hit], surveys["score"][hit].astype(float)
        if code == 0:
            add("nps_promoters", "NPS answers of 9 or 10", at, (score >= 9).astype(float))
            add("nps_detractors", "NPS answers of 6 or less", at, (score <= 6).astype(float))
            add(
                "net_promoter_score",
                "100 x (promoters - detractors) / answers, all answers",
                at,
                100.0 * ((score >= 9).astype(float) - (score <= 6)),
                np.ones(len(at)),
            )
        elif code == 1:
            add(
                "customer_satisfaction_score",
                "CSAT answers of 4 or 5 / answers",
                at,
                (score >= 4).astype(float),
                np.ones(len(at)),
            )
        else:
            add("customer_effort_score", "mean CES answer", at, score, np.ones(len(at)))
    tickets = life.tickets["at"][life.tickets["at"] <= as_of]
    add("tickets", "tickets created", tickets, np.ones(len(tickets)))
    return rows


def real_orders(life: Life, emitted: Emitted, as_of: int) -> np.ndarray:
    """Orders that count: in the CRM by `as_of`, no tests, not cancelled by then."""
    return (emitted.crm_at <= as_of) & ~life.orders["test"] & (life.orders["cancel_at"] > as_of)


def _order_kpis(life: Life, emitted: Emitted, as_of: int, add: Any) -> None:
    orders = life.orders
    home = list(life.config.exchange_rates).index(life.currency)
    hit = np.flatnonzero(real_orders(life, emitted, as_of))
    at = orders["at"][hit]
    day = np.clip(life.calendar.day_of(orders["at"]), 0, life.rates.shape[1] - 1)
    rate = life.rates[orders["currency"], day]
    foreign = np.flatnonzero(orders["currency"] != home)
    missing = [row for row in foreign.tolist() if chance(row, 141, life.config.exchange_rate_missing)]
    rate[missing] = np.nan
    has = (~np.isnan(rate[hit])).astype(float)
    rate = np.nan_to_num(rate[hit])
    refund = np.where(orders["refund_at"][hit] <= as_of, orders["refund"][hit], 0)
    gross, discount = orders["gross"][hit] / 100 * rate, orders["discount"][hit] / 100 * rate
    net = gross - discount - refund / 100 * rate
    ones = np.ones(len(hit))
    add(
        "orders",
        "orders of all sales channels in the CRM, no tests, not cancelled; by day of the order",
        at,
        ones,
    )
    add("orders_with_rate", "of these, orders whose exchange rate is known", at, has)
    add(
        "gross_revenue",
        "before discount, in the shop's currency at the order's rate; without orders of unknown rate",
        at,
        gross,
    )
    add("discount", "discounts of the same orders", at, discount)
    add("refunds", "refunds known by then, by day of the order", at, gross - discount - net)
    add("net_revenue", "gross - discount - refund of the same orders", at, net)
    add("average_order_value", "net revenue / orders with a known rate", at, net, has)
    named = hit[orders["person"][hit] >= 0]
    inside = named[orders["at"][named] < life.calendar.history_end]
    count = np.bincount(orders["person"][inside])
    start = np.full(len(inside), life.calendar.begin)
    first = np.unique(orders["person"][inside], return_index=True)[1]
    again = np.zeros(len(inside))
    again[first] = count[orders["person"][inside][first]] >= 2
    one = np.zeros(len(inside))
    one[first] = 1
    if len(inside):
        add(
            "repeat_buyers_in_history",
            "true people with two or more orders in the history / people with one; whole history only",
            start,
            again,
            one,
        )


def _media_kpis(life: Life, emitted: Emitted, as_of: int, add: Any) -> None:
    latest: dict[tuple[str, int], Row] = {}
    for row in emitted.insights:
        if row["visible_from"] <= as_of:
            latest[row["ad_id"], row["day"]] = row
    rows = list(latest.values())
    at = life.calendar.edges[np.array([row["day"] for row in rows], int)] if rows else np.zeros(0, np.int64)
    for name, key in (
        ("impressions", "impressions"),
        ("clicks", "clicks"),
        ("link_clicks", "links"),
        ("spend", "spend"),
        ("platform_conversions", "conversions"),
    ):
        values = np.array([float(row[key]) for row in rows])
        add(f"ads_{name}", f"{name} of all ads as last reported by then; by account day", at, values)
    remarks = np.array(
        [row["created_at"] for row in emitted.comments if row["visible_from"] <= as_of], np.int64
    )
    add("social_comments", "comments under the page's posts", remarks, np.ones(len(remarks)))


def count_rows(life: Life, emitted: Emitted) -> list[Row]:
    """Rows each vendor offers per stream and business day, in the end (`offered`) and at the end of history (`known`).

    hubspot: `offered` = versions by day of modification, `known` = objects whose latest version at the end of history
    falls on the day (what one pull of the whole history returns), `final` likewise at the end of the horizon.
    """
    calendar = life.calendar
    known_at, final_at = as_of_times(life)["known"], as_of_times(life)["final"]
    rows: list[Row] = []

    def add(source: str, stream: str, days: dict[str, np.ndarray]) -> None:
        for d in range(calendar.total):
            values = {name: int(counts[d]) for name, counts in days.items()}
            rows.append(
                {
                    "source": source,
                    "stream": stream,
                    "day": calendar.dates[d],
                    "offered": 0,
                    "known": 0,
                    "final": 0,
                    "duplicates": 0,
                    "malformed": 0,
                    "late": 0,
                    "lost": 0,
                }
                | values
            )

    def per_day(day: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        day = day[mask] if mask is not None else day
        day = day[(day >= 0) & (day < calendar.total)]
        return np.bincount(day, minlength=calendar.total)

    m = emitted.measured
    kept = m["rewrite"] != LOST
    at = export_times(life)[m["day"], np.minimum(m["rewrite"], 3)]
    extra = np.zeros(calendar.total, np.int64)
    first_export = export_times(life)[:, 0]
    for entry in emitted.index.to_pylist():
        extra[entry["day"]] = entry["damaged_lines"]
    add("ga4", "events", {"offered": per_day(m["day"], kept) + extra, "known": per_day(m["day"], kept & (at <= known_at)) + extra * (first_export <= known_at), "final": per_day(m["day"], kept) + extra, "duplicates": per_day(m["day"], m["copy"] == 1), "malformed": per_day(m["day"], m["copy"] == 3) + extra, "late": per_day(m["day"], m["late"] & kept), "lost": per_day(m["day"], ~kept)})  # fmt: skip
    mail = emitted.mail_rows
    day = calendar.day_of(mail["ts"])
    add("klaviyo", "events", {"offered": per_day(day), "known": per_day(day, mail["visible_from"] <= known_at), "final": per_day(day), "duplicates": per_day(day, mail["copy"] == 1), "malformed": per_day(day, mail["copy"] == 3), "late": per_day(day, mail["late"])})  # fmt: skip
    for stream, versions in emitted.versions.items():
        moments = np.array([v["visible_from"] for v in versions], np.int64)
        gone = np.array([v["gone"] for v in versions])
        broken = {v["id"] for _, v in emitted.broken[stream]}
        flags = np.array([v["id"] in broken for v in versions])
        days = calendar.day_of(moments)
        latest = {
            name: _latest(versions, moments, until) & ~gone
            for name, until in (("known", known_at), ("final", final_at))
        }
        add("hubspot", stream, {"offered": per_day(days, ~gone), "known": per_day(days, latest["known"]), "final": per_day(days, latest["final"]), "malformed": per_day(days, flags)})  # fmt: skip
    first = [r for r in emitted.insights if r["step"] == 0]
    shown = np.array([r["visible_from"] for r in first], np.int64)
    ad_day = np.array([r["day"] for r in first], np.int64)
    add(
        "meta",
        "insights",
        {"offered": per_day(ad_day), "known": per_day(ad_day, shown <= known_at), "final": per_day(ad_day)},
    )
    for stream, items in (("posts", emitted.posts), ("comments", emitted.comments)):
        created = np.array([r["created_at"] for r in items], np.int64)
        shown = np.array([r.get("visible_from", r["created_at"]) for r in items], np.int64)
        day = calendar.day_of(created)
        add(
            "meta",
            stream,
            {"offered": per_day(day), "known": per_day(day, shown <= known_at), "final": per_day(day)},
        )
    return rows


def _latest(versions: list[Row], moments: np.ndarray, until: int) -> np.ndarray:
    best: dict[str, int] = {}
    for position in np.flatnonzero(moments <= until).tolist():
        id_ = versions[position]["id"]
        if id_ not in best or moments[best[id_]] <= moments[position]:
            best[id_] = position
    mask = np.zeros(len(versions), bool)
    mask[list(best.values())] = True
    return mask


def date_of(life: Life, moment: int) -> dt.date:
    """Business day of a moment."""
    return life.calendar.dates[int(life.calendar.day_of(np.array([moment]))[0])]


__all__ = [
    "NEVER",
    "as_of_times",
    "count_rows",
    "date_of",
    "kpi_rows",
    "ruled_sessions",
    "take",
    "traffic_list",
]
