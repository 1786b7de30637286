"""Section `value`: what customers of a channel are worth against what it cost to win them."""

from __future__ import annotations

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, number
from cja_pipeline.journey_maps.suppress import SUPPRESS

WORTH = """
    SELECT
        c.acquisition_channel AS channel,
        count(*) AS n,
        avg(v.clv_12m) AS value,
        avg(v.clv_12m_low) AS low,
        avg(v.clv_12m_high) AS high,
        min(v.currency) AS currency
    FROM kpis.customer_value v
    JOIN customers.customers c ON c.customer_id = v.customer_id
    WHERE v.clv_status = 'ok' AND c.acquisition_channel IS NOT NULL
    GROUP BY c.acquisition_channel
    ORDER BY value DESC, channel
"""
COST = """
    SELECT channel, sum(spend) AS spend, sum(new_customers) AS new_customers
    FROM kpis.attribution_total
    WHERE model = $model
    GROUP BY channel
"""


def value(context: Context, rows: Rows) -> None:
    """Channels with at least 20 buyers: mean expected value of 12 months with interval, cost per new
    customer (`target`), and their ratio (`share`). A channel without spend has no cost, not zero."""
    if not context.has("kpis.customer_value", "customers.customers"):
        return
    costs: dict[str, float] = {}
    if context.has("kpis.attribution_total"):
        for row in context.df(COST, model=context.config.cost_model).itertuples():
            spend, won = number(row.spend) or 0.0, number(row.new_customers) or 0.0
            if spend > 0 and won >= SUPPRESS:
                costs[str(row.channel)] = spend / won
    large = [row for row in context.df(WORTH).itertuples() if row.n >= SUPPRESS]
    # channels that cost something are the question; the rest is there to compare with
    chosen = sorted(large, key=lambda row: str(row.channel) not in costs)[: context.config.channels]
    for row in sorted(chosen, key=lambda row: (-(number(row.value) or 0.0), str(row.channel))):
        channel, worth = str(row.channel), number(row.value)
        cost = costs.get(channel)
        rows.add(
            "value",
            channel,
            label=context.words.name("channel", channel),
            value=worth,
            low=number(row.low),
            high=number(row.high),
            n=int(row.n),
            target=cost,
            share=worth / cost if worth is not None and cost else None,
            unit="money",
            currency=str(row.currency),
            evidence="MBG/NBD, Gamma-Gamma",
        )
