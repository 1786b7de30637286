"""Attribution of the warehouse's orders: credit, intervals, spend, cost per customer, return on spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.credit_paths import Touches, read_touches
from cja_pipeline.kpis.credit_rules import touch_weights
from cja_pipeline.kpis.journey_config import Attribution
from cja_pipeline.kpis.journey_params import ensure_journeys
from cja_pipeline.kpis.markov import Chain, credit
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UNATTRIBUTED = "Unattributed"
NO_CAMPAIGN = "(none)"
GAINS = ("conversions", "net_revenue", "new_customers")

SPEND = """
    SELECT m.channel, coalesce(nullif(m.campaign, ''), '(none)') AS campaign,
        CAST(sum(m.spend) AS DOUBLE) AS spend,
        CAST(sum(m.platform_conversions) AS DOUBLE) AS platform_conversions,
        CAST(sum(m.platform_revenue) AS DOUBLE) AS platform_revenue
    FROM customers.media AS m CROSS JOIN config.journey_params AS p
    WHERE m.day BETWEEN p.credit_from AND p.last_day
    GROUP BY 1, 2
    HAVING sum(m.spend) > 0 OR sum(m.platform_conversions) > 0
"""
# all orders of the period: what no touch explains is credited to nobody, but never left out
ORDERS = """
    SELECT count(*) AS conversions, CAST(coalesce(sum(o.net_revenue), 0) AS DOUBLE) AS net_revenue,
        count(CASE WHEN o.is_first_order THEN 1 END) AS new_customers, min(o.business_date) AS period_start
    FROM customers.orders AS o CROSS JOIN config.journey_params AS p
    WHERE o.business_date BETWEEN p.credit_from AND p.last_day
"""


def build_attribution(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.attribution``: every model by channel and campaign, with spend, CAC, ROAS and intervals.

    Orders of the last `period_days` and touches of the `lookback_days` before each. Within a channel, the
    Markov credit is shared among campaigns in proportion to linear credit.

    Returns:
        Rows, orders credited, orders without a known touch, journeys still open and left out.
    """
    import numpy as np
    import pandas as pd

    config = ensure_journeys(wh).attribution
    touches = read_touches(wh)
    orders = wh.df(ORDERS).iloc[0]
    totals = np.array([float(orders[gain]) for gain in GAINS])
    params = wh.df("SELECT last_day, lookback_days, currency FROM config.journey_params").iloc[0]
    open_paths = int(wh.scalar("SELECT count(*) FROM kpis.journeys WHERE outcome = 'open'"))
    spend = wh.df(SPEND)

    cells = touches.cells.merge(spend, how="outer", on=["channel", "campaign"])  # spend without credit stays
    place = touches.cells.merge(cells.reset_index(), on=["channel", "campaign"], how="left")[
        "index"
    ].to_numpy()
    frames = []
    for model in config.models:
        shared, low, high, channel_low, channel_high = _credit(touches, model, config)
        frame = cells.assign(model=model)
        for name, values in zip(GAINS, shared, strict=True):
            frame[name] = np.zeros(len(cells))
            frame.loc[place, name] = values
        for name, values in (
            ("ci_low", low),
            ("ci_high", high),
            ("channel_low", channel_low[touches.channel_of_cell]),
            ("channel_high", channel_high[touches.channel_of_cell]),
        ):
            frame[name] = np.nan
            frame.loc[place, name] = values
        frame["n"], frame["after_cart"] = 0, np.nan
        frame.loc[place, "n"], frame.loc[place, "after_cart"] = touches.orders_by_cell()
        rest = totals - shared.sum(axis=1)
        if round(rest[0]) > 0:
            row = dict(zip(GAINS, rest, strict=True)) | {"model": model, "n": round(rest[0])}
            frame.loc[len(frame)] = row | {"channel": UNATTRIBUTED, "campaign": NO_CAMPAIGN}
        frames.append(frame)
    result = pd.concat(frames, ignore_index=True)
    result = _with_costs(result, config).assign(
        period_start=orders["period_start"] if totals[0] else params["last_day"],
        period_end=params["last_day"],
        lookback_days=int(params["lookback_days"]),
        currency=params["currency"],
        open_paths=open_paths,
    )
    rows = wh.write("kpis.attribution", result)
    return {
        "rows": rows,
        "orders": int(totals[0]),
        "orders_without_touch": int(totals[0]) - touches.ordered,
        "open_journeys": open_paths,
    }


def _credit(touches: Touches, model: str, config: Attribution) -> tuple[Floats, Any, Any, Any, Any]:
    """Credit by cell (3, cells), and limits of revenue by cell and by channel."""
    import numpy as np

    from cja_pipeline.kpis.stats import compound_poisson

    upto = touches.ordered_touches
    path, channel, cell = touches.path[:upto], touches.channel[:upto], touches.cell
    cells, channels = len(touches.cells), len(touches.channels)
    rule = "linear" if model.startswith("markov") else model
    direct = touches.channels.index(config.direct) if config.direct in touches.channels else -1
    weight = touch_weights(rule, path, channel, touches.days, direct=direct, half_life=config.half_life_days)
    shared = np.array([np.bincount(cell, weight * gain[path], minlength=cells) for gain in touches.gains])
    if model.startswith("markov"):
        return _markov_credit(touches, int(model[-1]), weight, shared, config)
    money = weight * touches.gains[1][path]
    limits = []
    for group, groups in ((cell, cells), (touches.channel_of_cell[cell], channels)):
        # an order counts once with all it gives to a group: the spread comes from orders, not from touches
        pair, place = np.unique(path * np.int64(groups) + group, return_inverse=True)
        per_order = np.bincount(place, money)
        total = np.bincount(pair % groups, per_order, minlength=groups)
        limits.append(compound_poisson(total, np.bincount(pair % groups, per_order**2, minlength=groups)))
    return shared, limits[0].low, limits[0].high, limits[1].low, limits[1].high


def _markov_credit(
    touches: Touches, order: int, weight: Floats, linear: Floats, config: Attribution
) -> tuple[Floats, Any, Any, Any, Any]:
    import numpy as np

    cells, channels = len(touches.cells), len(touches.channels)
    of_cell, upto = touches.channel_of_cell, touches.ordered_touches
    path = touches.path[:upto]
    unknown = (
        np.full(cells, np.nan),
        np.full(cells, np.nan),
        np.full(channels, np.nan),
        np.full(channels, np.nan),
    )
    if not touches.ordered:
        return (linear, *unknown)
    chain = Chain(touches.path, touches.channel, channels=channels, order=order)

    def by_cell(ends: Floats, gains: Floats, linear: Floats) -> tuple[Floats, Floats]:
        effects, _ = chain.removal_effects(ends, gains)
        by_channel = credit(effects, gains.sum(axis=1))
        whole = np.array([np.bincount(of_cell, row, minlength=channels) for row in linear])[:, of_cell]
        part = np.divide(linear, whole, out=np.zeros_like(linear), where=whole > 0)
        return by_channel[:, of_cell] * part, by_channel

    shared, _ = by_cell(touches.ends, touches.gains, linear)
    if order > 1:
        return (shared, *unknown)
    random = np.random.Generator(np.random.Philox(config.bootstrap))
    cell_draws, channel_draws = [], []
    lost = touches.ends[touches.ordered :]
    for _ in range(config.bootstrap):  # Poisson bootstrap over journeys: each counts 0, 1, 2, ... times
        times = random.poisson(1.0, touches.ordered).astype(float)
        ends = np.r_[times, random.poisson(lost)]
        revenue = touches.gains[1].copy()
        revenue[: touches.ordered] *= times
        again = np.bincount(touches.cell, weight * revenue[path], minlength=cells).astype(float)
        drawn, by_channel = by_cell(ends, revenue[None, :], again[None, :])
        cell_draws.append(drawn[0])
        channel_draws.append(by_channel[0])
    low, high = np.quantile(cell_draws, [0.025, 0.975], axis=0)
    channel_low, channel_high = np.quantile(channel_draws, [0.025, 0.975], axis=0)
    return shared, low, high, channel_low, channel_high


def _with_costs(result: pd.DataFrame, config: Attribution) -> pd.DataFrame:
    import numpy as np

    result["spend"] = result["spend"].fillna(0.0)
    paid = result["spend"] > 0
    enough = result["new_customers"] >= config.min_new_customers
    result["cac"] = np.where(paid & enough, result["spend"] / result["new_customers"].where(enough), np.nan)
    result["roas"] = np.where(paid, result["net_revenue"] / result["spend"].where(paid), np.nan)
    group = result.groupby(["channel", "campaign"])["net_revenue"]
    return result.assign(band_low=group.transform("min"), band_high=group.transform("max"))
