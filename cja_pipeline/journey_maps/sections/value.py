"""Section `value`: what customers of a channel are worth against what it cost to win them."""

from __future__ import annotations

from typing import Any

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
BACK_TEST = """
    SELECT item, value, low, high
    FROM kpis.value_models
    WHERE model = 'back_test' AND status = 'ok' AND item IN ('error', 'held_back_days')
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
    _how_it_did(context, rows)


def is_refuted(context: Context) -> bool:
    """Whether the value model foretold more, or fewer, purchases of days held back than chance explains."""
    error = _back_test(context).get("error")
    low, high = (number(error["low"]), number(error["high"])) if error else (None, None)
    return low is not None and high is not None and not low <= 0 <= high


def _back_test(context: Context) -> dict[str, dict[Any, Any]]:
    def read() -> dict[str, dict[Any, Any]]:
        if not context.has("kpis.value_models"):
            return {}
        return {str(row["item"]): row for row in context.df(BACK_TEST).to_dict("records")}

    return dict(context.once("back_test", read))


def _how_it_did(context: Context, rows: Rows) -> None:
    """The note `back_test`: what the model foretold of days that it had not seen, against what came."""
    found = _back_test(context)
    error, low, high = (number(found.get("error", {}).get(name)) for name in ("value", "low", "high"))
    if error is None:
        return
    form = context.words.formats
    text = context.words(
        "cards.back_test",
        days=form.number(number(found["held_back_days"]["value"])),
        error=form.change(error),
        range=form.between(form.change(low), form.change(high)),
    )
    if is_refuted(context):
        text = f"{text} {context.words('cards.refuted')}"
    rows.add("note", "back_test", value=error, low=low, high=high, text=text)
