"""Channels that last click praises although the decision was made before they appeared.

A voucher site on the way to the checkout gets the last click of orders that would have come anyway. Whether a
channel came before or after the cart was filled shows that, where no model of credit can.
"""

from __future__ import annotations

from typing import Any

from cja_pipeline.warehouse import Warehouse

MIN_ORDERS = 30
LATE_SHARE = 0.5  # of the channel's orders had a filled cart before it came
PRAISE = 1.5  # last-click credit relative to first-click credit

CHANNELS = """
    SELECT channel, sum(CASE WHEN model = 'last' THEN conversions END) AS last_orders,
        sum(CASE WHEN model = 'first' THEN conversions END) AS first_orders,
        sum(CASE WHEN model = 'markov_1' THEN conversions END) AS markov_orders,
        sum(CASE WHEN model = 'last' THEN n END) AS orders,
        sum(CASE WHEN model = 'last' THEN n * after_cart END) AS late
    FROM kpis.attribution_total WHERE channel <> 'Unattributed' GROUP BY channel ORDER BY channel
"""


def late_channels(wh: Warehouse) -> list[dict[str, Any]]:
    """Rows of ``kpis.insights`` with status ``late_touch``, one for each such channel."""
    from cja_pipeline.kpis.stats import two_proportion_p, wilson

    channels = wh.df(CHANNELS).fillna(0)
    total, all_orders, all_late = (channels[c].sum() for c in ("last_orders", "orders", "late"))
    rows = []
    for row in channels.itertuples():
        if row.orders < MIN_ORDERS or row.late / row.orders < LATE_SHARE:
            continue
        if row.last_orders < PRAISE * max(row.first_orders, 1):
            continue
        others, others_late = all_orders - row.orders, all_late - row.late
        p = two_proportion_p(others_late, others, row.late, row.orders, one_sided=True) if others else None
        low, high = wilson(row.late, row.orders)
        share = row.late / row.orders
        rows.append(
            {
                "feature": f"channel:{row.channel}",
                "outcome": "credit for orders",
                "stage": "purchase",
                "label": f"came through {row.channel} after the cart was filled",
                "customers": round(all_orders),
                "exposed": round(row.orders),
                "exposed_rate": share,
                "other_rate": others_late / others if others else None,
                "naive_ratio": None,
                "risk_ratio": None,
                "ci_low": low,
                "ci_high": high,
                "p_value": p,
                "q_value": p,
                "status": "late_touch",
                "finding": (
                    f"{row.channel} gets {100 * row.last_orders / total:.0f} % of the orders by last click, "
                    f"but in {100 * share:.0f} % of its orders the cart was filled before it appeared."
                ),
                "evidence": (
                    f"{row.last_orders:,.0f} orders by last click, {row.first_orders:,.0f} by first click, "
                    f"{row.markov_orders:,.0f} by removal (Markov); {row.late:,.0f} of {row.orders:,.0f} "
                    "orders with a filled cart before. Its credit may be harvested rather than earned: pause "
                    "it for a random part of the visitors before paying more."
                ),
                "owner": "Marketing",
            }
        )
    return rows
