"""Attribution of the warehouse's orders: credit, intervals, spend, cost per customer, return on spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.credit_paths import Touches, read_touches
from cja_pipeline.kpis.credit_rules import touch_weights
from cja_pipeline.kpis.journey_config import Attribution, JourneyConfig
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
GAINS = ("conversions", "net_revenue", "new_customers", "clv_12m")
LIMITS = ("ci_low", "ci_high", "channel_low", "channel_high")
SPENT = ["spend", "platform_conversions", "platform_revenue"]

SPEND = """
    SELECT CAST(date_trunc('month', m.day) AS DATE) AS month, m.channel,
        coalesce(nullif(m.campaign, ''), '(none)') AS campaign,
        CAST(coalesce(sum(m.spend), 0) AS DOUBLE) AS spend,
        CAST(sum(m.platform_conversions) AS DOUBLE) AS platform_conversions,
        CAST(sum(m.platform_revenue) AS DOUBLE) AS platform_revenue
    FROM customers.media AS m CROSS JOIN config.journey_params AS p
    WHERE m.day BETWEEN p.credit_from AND p.last_day
    GROUP BY 1, 2, 3
    HAVING sum(m.spend) > 0 OR sum(m.platform_conversions) > 0
"""
# all orders of each month: what no touch explains is credited to nobody, but never left out
ORDERS = """
    SELECT CAST(date_trunc('month', o.business_date) AS DATE) AS month, count(*) AS conversions,
        CAST(coalesce(sum(o.net_revenue), 0) AS DOUBLE) AS net_revenue,
        count(CASE WHEN o.is_first_order THEN 1 END) AS new_customers,
        CAST(coalesce(sum(CASE WHEN o.is_first_order THEN v.clv_12m END), 0) AS DOUBLE) AS clv_12m,
        min(o.business_date) AS first_day
    FROM customers.orders AS o
    LEFT JOIN kpis.customer_value AS v ON v.customer_id = o.customer_id
    CROSS JOIN config.journey_params AS p
    WHERE o.business_date BETWEEN p.credit_from AND p.last_day
    GROUP BY 1 ORDER BY 1
"""


def build_attribution(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.attribution`` (by month) and ``kpis.attribution_total`` (the whole period): every model by
    channel and campaign, with spend, CAC, ROAS, return on investment, CLV to CAC and intervals.

    Orders of the last `period_days` and touches of the `lookback_days` before each. Within a channel, the
    Markov credit is shared among campaigns in proportion to linear credit. A Markov chain is fitted to each
    period by itself, so a channel's months do not add up to its whole period; those of all other models do.

    Returns:
        Rows, orders credited, orders without a known touch, journeys still open and left out.
    """
    import pandas as pd

    config = ensure_journeys(wh)
    wh.ensure("kpis.customer_value")
    touches, orders, spend = read_touches(wh), wh.df(ORDERS), wh.df(SPEND)
    params = wh.df("SELECT credit_from, last_day, lookback_days, currency FROM config.journey_params").iloc[0]
    same = {
        "lookback_days": int(params["lookback_days"]),
        "currency": params["currency"],
        "open_paths": int(wh.scalar("SELECT count(*) FROM kpis.journeys WHERE outcome = 'open'")),
        "valued": bool(wh.scalar("SELECT count(clv_12m) FROM kpis.customer_value")),
    }
    first = orders["first_day"].min() if len(orders) else params["last_day"]
    total = _period(touches, orders, spend, config, draws=config.attribution.bootstrap)
    whole = total.assign(period_start=first, period_end=params["last_day"], **same)
    months = []
    for month in sorted({*orders["month"], *spend["month"]}):
        of_month = _period(
            touches.of_month(month.date()),
            orders[orders["month"] == month],
            spend[spend["month"] == month],
            config,
            draws=0,
        )
        start = max(month, pd.Timestamp(params["credit_from"]))
        end = min(month + pd.offsets.MonthEnd(0), pd.Timestamp(params["last_day"]))
        months.append(of_month.assign(period_start=start, period_end=end, **same))
    rows = wh.write("kpis.attribution_total", _with_costs(whole, config))
    monthly = pd.concat(months, ignore_index=True) if months else whole.iloc[:0]
    rows += wh.write("kpis.attribution", _with_costs(monthly, config))
    counted = int(orders["conversions"].sum())
    return {
        "rows": rows,
        "orders": counted,
        "orders_without_touch": counted - touches.ordered,
        "open_journeys": same["open_paths"],
    }


def _period(
    touches: Touches, orders: pd.DataFrame, spend: pd.DataFrame, config: JourneyConfig, draws: int
) -> pd.DataFrame:
    """Credit of one period by every model, with the period's spend; cells without either are left out.

    `draws` is how often the Markov chain is drawn again for its interval; 0 for none.
    """
    import numpy as np
    import pandas as pd

    totals = orders[list(GAINS)].sum().to_numpy(float)
    paid = spend.groupby(["channel", "campaign"], as_index=False)[SPENT].sum(min_count=1)
    cells = touches.cells.merge(paid, how="outer", on=["channel", "campaign"])  # spend without credit stays
    cells.loc[len(cells), ["channel", "campaign"]] = [UNATTRIBUTED, NO_CAMPAIGN]
    places = {key: i for i, key in enumerate(zip(cells["channel"], cells["campaign"], strict=True))}
    place = [places[key] for key in zip(touches.cells["channel"], touches.cells["campaign"], strict=True)]
    met, late = touches.orders_by_cell()
    parts: list[dict[str, Any]] = []
    for model in config.attribution.models:
        shared, *limits = _credit(touches, model, config.attribution, draws)
        limits[2:] = [each[touches.channel_of_cell] for each in limits[2:]]
        columns: dict[str, Floats] = {name: np.zeros(len(cells)) for name in (*GAINS, "n")}
        columns |= {name: np.full(len(cells), np.nan) for name in (*LIMITS, "after_cart")}
        given = (*shared, met, *limits, np.where(met > 0, late, np.nan))
        for column, values in zip(columns.values(), given, strict=True):
            column[place] = values
        rest = totals - shared.sum(axis=1)
        if round(rest[0]) > 0:
            for name, value in zip((*GAINS, "n"), (*rest, round(rest[0])), strict=True):
                columns[name][-1] = value
        parts.append({"model": np.full(len(cells), model, dtype=object), **columns})
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    frame = pd.concat([cells] * len(parts), ignore_index=True).assign(**stacked)
    return frame[(frame["n"] > 0) | frame["spend"].notna()]


def _credit(
    touches: Touches, model: str, config: Attribution, draws: int
) -> tuple[Floats, Any, Any, Any, Any]:
    """Credit by cell (4, cells), and limits of revenue by cell and by channel."""
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
        return _markov_credit(touches, int(model[-1]), weight, shared, draws)
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
    touches: Touches, order: int, weight: Floats, linear: Floats, draws: int
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
    if order > 1 or not draws:
        return (shared, *unknown)
    random = np.random.Generator(np.random.Philox(draws))
    cell_draws, channel_draws = [], []
    lost = touches.ends[touches.ordered :]
    for _ in range(draws):  # Poisson bootstrap over journeys: each counts 0, 1, 2, ... times
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


def _with_costs(result: pd.DataFrame, config: JourneyConfig) -> pd.DataFrame:
    """What the credit costs and returns: by row, so by model, channel, campaign and period."""
    import numpy as np

    result["spend"] = result["spend"].fillna(0.0)
    paid = result["spend"].where(result["spend"] > 0)
    enough = result["new_customers"] >= config.attribution.min_new_customers
    result["cac"] = paid / result["new_customers"].where(enough)
    result["roas"] = result["net_revenue"] / paid
    result["roi"] = config.value.margin * result["net_revenue"] / paid - 1
    result["clv_12m"] = result["clv_12m"].where(result.pop("valued"), np.nan)
    result["clv_to_cac"] = result["clv_12m"].where(enough) / paid
    group = result.groupby(["period_start", "channel", "campaign"])["net_revenue"]
    return result.assign(band_low=group.transform("min"), band_high=group.transform("max"))
