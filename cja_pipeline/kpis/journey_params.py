"""The parameter tables of journey measurement, and the purchase attempts that all its builders share."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cja_pipeline.config import ConfigError, shop
from cja_pipeline.customers.inputs import TOUCHPOINTS
from cja_pipeline.keyed import Input, Keyed, build_keyed, contents
from cja_pipeline.kpis.journey_config import JourneyConfig, journey_config
from cja_pipeline.sources.window import midnight_utc
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
SHARED = ("kpis.journey_keys", "kpis.journey_touches", "kpis.journeys")
# what the attempts are cut from, and the columns of it that the models read
READ = {
    "customers.touchpoints": "touchpoint_id, customer_id, occurred_at, touchpoint_type, channel, campaign, "
    "business_date",
    "customers.orders": "order_id, customer_id, ordered_at, business_date, net_revenue",
    "customers.sessions": "session_id, customer_id, device, is_bot",
}
TOUCHES = Keyed(
    "kpis.journey_touches",
    "customer_id",
    [
        TOUCHPOINTS.rows,
        Input("customers.orders", "t.customer_id"),
        Input("kpis.journey_keys", "t.customer_id"),
    ],
)
# An attempt without an order ends by a pause, in which nothing happens.
JOURNEYS = Keyed(
    "kpis.journeys",
    "customer_id",
    [TOUCHES.rows],
    wholes={"config.journey_params": "SELECT max(path_steps) FROM config.journey_params"},
    due="SELECT customer_id FROM kpis.journeys CROSS JOIN config.journey_params "
    "WHERE order_id IS NULL AND (ended_at < idle_since) <> (outcome = 'exit')",
)


def ensure_journeys(wh: Warehouse) -> JourneyConfig:
    """Cut the event log into purchase attempts, unless that was done for exactly these rows and settings.

    Funnel, paths and attribution each call this first, so they may run alone or in any order, and all read
    the same attempts. Writes ``config.journey_params``, ``config.segments``, ``config.funnel_steps``,
    ``config.journey_touches`` and ``kpis.journey_keys``, ``journey_touches``, ``journeys``.

    Returns:
        The settings in use.
    Raises:
        ConfigError: attempts would end before the lookback of attribution does.
    """
    config = journey_config()
    fingerprint = _fingerprint(wh, config)
    if (
        all(wh.exists(table) for table in (*SHARED, "config.journey_params"))
        and wh.scalar("SELECT fingerprint FROM config.journey_params") == fingerprint
    ):
        return config
    with wh.transaction():
        _write_parameters(wh, config, fingerprint)
        wh.build("kpis.journey_keys")
        build_keyed(wh, TOUCHES)
        build_keyed(wh, JOURNEYS)
    return config


def model_text(name: str) -> str:
    """The SQL of a model of this room, by its file name without ``.sql``."""
    return (HERE / f"{name}.sql").read_text(encoding="utf-8")


def _write_parameters(wh: Warehouse, config: JourneyConfig, fingerprint: str) -> None:
    import pandas as pd

    journey, lookback = config.journey, int(wh.scalar("SELECT lookback_days FROM config.params"))
    if journey.idle_days < lookback:
        raise ConfigError(
            f"journeys.yml: journey.idle_days: expected at least {lookback} (windows.lookback_days of "
            f"stages.yml), got {journey.idle_days}: attempts would end while their touches still earn credit."
        )
    first_day = wh.scalar("SELECT first_day FROM config.params")
    begin = "CAST(NULL AS TIMESTAMP)"
    if first_day is not None:
        begin = f"TIMESTAMP '{midnight_utc(first_day, shop().zone):%Y-%m-%d %H:%M:%S}'"
    wh.replace(
        "config.journey_params",
        f"""
        SELECT p.as_of AS observed_until,
            {begin} AS observed_from,
            p.last_day, p.currency, p.lookback_days,
            {journey.idle_days} AS idle_days,
            date_trunc('second', p.as_of) - {journey.idle_days} * INTERVAL 1 DAY AS idle_since,
            {journey.path_steps} AS path_steps,
            {journey.top_paths} AS top_paths, {journey.min_customers} AS min_customers,
            p.last_day - {config.attribution.period_days - 1} AS credit_from,
            {config.friction.days} AS friction_days,
            '{fingerprint}' AS fingerprint
        FROM config.params AS p
        """,
    )
    wh.write(
        "config.segments",
        pd.DataFrame(
            [[s.segment, s.bought_before, s.device] for s in config.segments],
            columns=["segment", "bought_before", "device"],
            dtype=object,
        ),
    )
    wh.write(
        "config.funnel_steps",
        pd.DataFrame(
            [[i, s.step_name, s.label, s.stage] for i, s in enumerate(config.steps, start=1)],
            columns=["step", "step_name", "label", "stage"],
        ),
    )
    in_path, credited = set(journey.path_touches), set(config.attribution.touches)
    used = sorted(in_path | credited | {step.step_name for step in config.steps[:-1]})
    wh.write(
        "config.journey_touches",
        pd.DataFrame(
            [[name, name in in_path, name in credited] for name in used],
            columns=["touchpoint_type", "in_path", "earns_credit"],
        ),
    )
    last_day = wh.scalar("SELECT last_day FROM config.params")
    wh.write("config.acquisition_costs", _daily_costs(config, last_day))


def _daily_costs(config: JourneyConfig, last_day: dt.date) -> pd.DataFrame:
    """The stated costs, each month's spread evenly over its days, up to the last complete day."""
    import pandas as pd

    frames = [pd.DataFrame(columns=["name", "day", "channel", "campaign", "cost"], dtype=object)]
    for cost in config.acquisition_costs:
        days = pd.date_range(cost.first_day, min(cost.last_day or last_day, last_day))
        each = {"name": cost.name, "channel": cost.channel, "campaign": cost.campaign}
        frames.append(pd.DataFrame({"day": days, "cost": cost.per_month / days.days_in_month}).assign(**each))
    return pd.concat([frame.astype(object) for frame in frames], ignore_index=True)


def _fingerprint(wh: Warehouse, config: JourneyConfig) -> str:
    # what keyed tables were made of; else order-independent digests of just the columns that the models read
    digest = "SELECT count(*), sum(CAST(hash({}) AS HUGEINT)) FROM {}"
    rows = [
        contents(wh, table) or wh.sql(digest.format(columns, table)).fetchone()
        for table, columns in READ.items()
    ]
    text = f"{rows}|{wh.sql('SELECT * FROM config.params').fetchone()}|{config.model_dump_json()}"
    # a changed model is run again, too
    models = "".join(model_text(table.removeprefix("kpis.")) for table in SHARED)
    return hashlib.sha256((text + models).encode()).hexdigest()
