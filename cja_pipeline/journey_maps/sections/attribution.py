"""Section `attribution`: net revenue by channel, its interval, and what last click and all models say."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number

UNATTRIBUTED = "Unattributed"
QUERY = """
    SELECT
        model,
        channel,
        sum(net_revenue) AS revenue,
        min(channel_low) AS low,
        max(channel_high) AS high,
        sum(conversions) AS orders,
        min(period_start) AS period_start,
        max(period_end) AS period_end,
        min(currency) AS currency
    FROM kpis.attribution_total
    WHERE model IN ($model, 'last')
    GROUP BY model, channel
    ORDER BY revenue DESC, channel
"""
BAND = """
    SELECT
        channel,
        -- a model that gives a channel nothing may have no row of it
        CASE
            WHEN count(*) = (SELECT count(DISTINCT model) FROM kpis.attribution_total) THEN min(revenue)
            ELSE least(0, min(revenue))
        END AS low,
        max(revenue) AS high
    FROM (
        SELECT model, channel, sum(net_revenue) AS revenue
        FROM kpis.attribution_total
        GROUP BY model, channel
    ) AS credited
    GROUP BY channel
"""
ORDERS = """
    SELECT sum(net_revenue) FROM customers.orders WHERE business_date BETWEEN ? AND ?
"""


def attribution(context: Context, rows: Rows) -> None:
    """Channels by credited revenue, the rest as one row, and a total that must equal the orders' revenue.

    `target` of a channel is last click, `series` the least and the most that any model gives it; `target` of
    the total is net revenue of the orders themselves.
    """
    if not context.has("kpis.attribution_total", "customers.orders"):
        return
    found = context.df(QUERY, model=context.config.credit_model)
    band = {str(row.channel): [number(row.low), number(row.high)] for row in context.df(BAND).itertuples()}
    bars = found[found["model"] == context.config.credit_model].to_dict("records")
    last = {str(row["channel"]): number(row["revenue"]) or 0.0 for row in _of(found, "last")}
    if not bars:
        return
    start, end = day(bars[0]["period_start"]), day(bars[0]["period_end"])
    # orders that no known contact came before are part of the sum, but no channel's merit
    unknown = [row for row in bars if row["channel"] == UNATTRIBUTED]
    channels = [row for row in bars if row["channel"] != UNATTRIBUTED]
    shown = channels[: context.config.channels]
    for row in shown:
        channel = str(row["channel"])
        rows.add(
            "attribution",
            channel,
            label=context.words.name("channel", channel),
            value=number(row["revenue"]),
            low=number(row["low"]),
            high=number(row["high"]),
            target=last.get(channel, 0.0),
            series=band.get(channel),
            **_money(row, start, end),
        )
    rest = channels[context.config.channels :]
    if rest:
        named = {str(row["channel"]) for row in (*shown, *unknown)}
        rows.add(
            "attribution",
            "other",
            label=context.words("page.other"),
            value=sum(number(row["revenue"]) or 0.0 for row in rest),
            target=sum(value for channel, value in last.items() if channel not in named),
            status="rest",
            **_money(rest[0], start, end),
        )
    for row in unknown:
        rows.add(
            "attribution",
            UNATTRIBUTED,
            label=context.words.name("channel", UNATTRIBUTED),
            value=number(row["revenue"]),
            target=last.get(UNATTRIBUTED, 0.0),
            status="rest",
            **_money(row, start, end),
        )
    total = sum(number(row["revenue"]) or 0.0 for row in bars)
    revenue = number(context.wh.scalar(ORDERS, [start, end]))
    rows.add("attribution", "total", value=total, target=revenue, **_money(bars[0], start, end))


def _of(found: Any, model: str) -> list[dict[Any, Any]]:
    return list(found[found["model"] == model].to_dict("records"))


def _money(row: dict[Any, Any], start: Any, end: Any) -> dict[str, Any]:
    return {
        "unit": "money",
        "currency": str(row["currency"]),
        "period_start": start,
        "period_end": end,
    }
