"""Builders of the journey tables: funnel, paths, transitions, durations and cohorts.

Each reads the customer view through SQL models, adds intervals and replaces its tables. All share the
purchase attempts of `ensure_journeys`, so their counts agree by construction; `reconcile` proves it nightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cja_pipeline.customers.inputs import STAGE_SPELLS
from cja_pipeline.keyed import Input, Keyed, build_keyed
from cja_pipeline.kpis.chains import Counting, chain_query, summary_query
from cja_pipeline.kpis.journey_config import STAGES, JourneyConfig
from cja_pipeline.kpis.journey_params import JOURNEYS, TOUCHES, ensure_journeys, model_text
from cja_pipeline.sql import literal
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

DAY = 86_400_000_000

# Scope 0 is everything a customer did. Buyers are there twice more: before (1) and after (2) the first order.
# For all others "before" is everything, so that most customers need to be followed only once.
STEP_EVENTS = """
    SELECT t.customer_id, scope.scope, epoch_us(t.occurred_at) AS ts, s.step AS code, 0 AS tie
    FROM kpis.journey_touches AS t
    JOIN config.funnel_steps AS s
      ON s.step_name = CASE WHEN t.touchpoint_type = 'order' THEN 'purchase' ELSE t.touchpoint_type END
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = t.customer_id
    JOIN (SELECT unnest([0, 1, 2]) AS scope) AS scope
      ON scope.scope = 0 OR (k.first_order_at IS NOT NULL AND t.bought_before = (scope.scope = 2))
"""
STAGE_EVENTS = f"""
    SELECT s.customer_id, scope.scope, epoch_us(s.entered_at) AS ts,
        list_position([{", ".join(map(literal, STAGES))}], s.stage) AS code, 0 AS tie
    FROM customers.stage_spells AS s
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = s.customer_id
    JOIN (SELECT unnest([0, 1, 2]) AS scope) AS scope
      ON scope.scope = 0
      OR (k.first_order_at IS NOT NULL AND (s.entered_at > k.first_order_at) = (scope.scope = 2))
"""
BY_SEGMENT = """
    SELECT g.segment, c.*
    FROM (SELECT customer_id, scope, {steps} FROM kpis.funnel_chains WHERE {counting}) AS c
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = c.customer_id
    JOIN config.segments AS g
      ON (g.device IS NULL OR g.device = k.main_device)
     AND c.scope = CASE WHEN g.bought_before IS NULL THEN 0 WHEN g.bought_before THEN 2
                        WHEN k.first_order_at IS NOT NULL THEN 1 ELSE 0 END
"""

MOVES = Keyed(
    "kpis.journey_moves",
    "customer_id",
    [STAGE_SPELLS.rows, TOUCHES.rows, JOURNEYS.rows, Input("kpis.journey_keys", "t.customer_id")],
)


def funnel_chains(config: JourneyConfig) -> Keyed:
    """How ``kpis.funnel_chains`` is made: every counting mode and window of the settings."""
    steps = len(config.steps)
    counted: list[tuple[str, int, str, int, Counting]] = [
        ("any", 0, "step_events", steps, "any"),
        ("stages", 0, "stage_events", len(STAGES), "any"),
    ]
    for days in config.funnel_windows_days:
        counted += [(mode, days, "step_events", steps, mode) for mode in ("best_chain", "first_entry")]
    selects = []
    for mode, days, source, length, counting in counted:
        numbers = range(1, length + 1)
        chains = chain_query(source, ["customer_id", "scope"], numbers, days * DAY or None, counting)
        entry, took = (", ".join(f"{name}_{i}" for i in numbers) for name in ("entry", "took"))
        selects.append(
            f"SELECT customer_id, scope, '{mode}' AS mode, {days} AS window_days, [{entry}] AS entry, "
            f"[{took}] AS took FROM ({chains}) AS {mode}_{days}"
        )
    events = f"WITH step_events AS MATERIALIZED ({STEP_EVENTS}), stage_events AS ({STAGE_EVENTS}) "
    return Keyed(
        "kpis.funnel_chains",
        "customer_id",
        [TOUCHES.rows, STAGE_SPELLS.rows, Input("kpis.journey_keys", "t.customer_id")],
        select=events + " UNION ALL ".join(selects),
    )


def build_funnel(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.funnel``: shop steps by each counting mode and window, and stages; all segments.

    Returns:
        Rows written, customers with a visit and customers with an order (any order of steps).
    """
    import pandas as pd

    config = ensure_journeys(wh)
    build_keyed(wh, funnel_chains(config))
    steps = [(step.step_name, step.label, step.stage) for step in config.steps]
    stages = [(stage, stage.capitalize(), stage) for stage in STAGES]
    frames = [_funnel(wh, "any", 0, steps), _funnel(wh, "stages", 0, stages)]
    for days in config.funnel_windows_days:
        frames += [_funnel(wh, mode, days, steps) for mode in ("best_chain", "first_entry")]
    result = pd.concat(frames, ignore_index=True)
    rows = wh.write("kpis.funnel", result)
    everyone = result[(result["segment"] == "all") & (result["mode"] == "any")]["customers"]
    return {"rows": rows, "visitors": int(everyone.iloc[0]), "buyers": int(everyone.iloc[-1])}


def _funnel(wh: Warehouse, mode: str, days: int, steps: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """One counting mode in long form. Groups without a customer are there too, with zeros."""
    import pandas as pd

    from cja_pipeline.kpis.stats import wilson

    numbers = range(1, len(steps) + 1)
    columns = ", ".join(f"entry[{i}] AS entry_{i}, took[{i}] AS took_{i}" for i in numbers)
    counting = f"mode = '{mode}' AND window_days = {days}"
    chains = BY_SEGMENT.format(steps=columns, counting=counting)
    horizon = "(SELECT epoch_us(observed_until) FROM config.journey_params)"
    summary = summary_query(chains, ["segment"], len(steps), days * DAY or None, horizon)
    wide = wh.df(
        "SELECT g.segment, s.* EXCLUDE (segment) FROM config.segments AS g "
        f"LEFT JOIN ({summary}) AS s ON s.segment = g.segment"
    )
    long = pd.concat(
        [
            pd.DataFrame(
                {
                    "segment": wide["segment"],
                    "mode": mode,
                    "window_days": days,
                    "step": i,
                    "step_name": steps[i - 1][0],
                    "label": steps[i - 1][1],
                    "stage": steps[i - 1][2],
                    "customers": wide[f"users_{i}"].fillna(0).astype(int),
                    "previous": wide[f"users_{i - 1}"].fillna(0) if i > 1 else float("nan"),
                    "both": wide[f"both_{i}"].fillna(0),
                    "median_seconds": wide[f"median_{i}"].astype(float),
                    "immature": wide[f"immature_{i}"].fillna(0).astype(int),
                }
            )
            for i in numbers
        ],
        ignore_index=True,
    )
    long["rate"] = long["both"] / long["previous"].where(long["previous"] > 0)
    long["ci_low"], long["ci_high"] = wilson(long["both"], long["previous"].fillna(0))
    long["previous"] = long["previous"].astype("Int64")
    return long.drop(columns="both")


def build_paths(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.paths``, ``kpis.transitions`` and ``kpis.durations`` of all segments.

    Returns:
        Rows of each table, and the purchase attempts they describe.
    """
    from cja_pipeline.kpis.durations import durations_frame
    from cja_pipeline.kpis.stats import effective_wilson, ratio_from_moments

    config = ensure_journeys(wh)
    paths = wh.build("kpis.paths")
    build_keyed(wh, MOVES)
    moves = wh.model(model_text("transitions"))
    share = ratio_from_moments(
        *(moves[column] for column in ("clusters", "n", "sum_d", "sum_nn", "sum_dd", "sum_nd"))
    )
    moves["rate"] = share.value
    moves["ci_low"], moves["ci_high"] = effective_wilson(
        share.value, share.se, moves["clusters"], moves["sum_d"]
    )
    columns = ["segment", "grain", "from_stage", "to_stage", "customers", "n", "rate", "ci_low", "ci_high"]
    transitions = wh.write("kpis.transitions", moves[columns])
    durations = wh.write("kpis.durations", durations_frame(wh, config.segments))
    attempts = int(wh.scalar("SELECT count(*) FROM kpis.journeys"))
    return {"paths": paths, "transitions": transitions, "durations": durations, "attempts": attempts}


def build_cohorts(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.cohorts``: retention and revenue per customer by month of first order.

    Returns:
        Rows written and the number of cohorts.
    """
    import numpy as np
    import pandas as pd

    from cja_pipeline.kpis.stats import ratio_from_moments, wilson

    ensure_journeys(wh)
    cells = wh.model(model_text("cohorts"))
    currency = wh.scalar("SELECT currency FROM config.journey_params")
    size = cells["customers"].astype(float)
    retention = cells[["cohort_month", "period", "customers", "active"]].assign(
        measure="retention", currency=None
    )
    retention["value"] = cells["active"] / size
    retention["ci_low"], retention["ci_high"] = wilson(
        cells["active"], np.where(cells["active"].isna(), 0, size)
    )
    mean = ratio_from_moments(size, cells["revenue"], size, cells["revenue_squares"], size, cells["revenue"])
    revenue = cells[["cohort_month", "period", "customers", "active"]].assign(
        measure="revenue", currency=currency
    )
    revenue["value"], revenue["ci_low"], revenue["ci_high"] = mean.value, mean.low, mean.high
    result = pd.concat([retention, revenue], ignore_index=True)
    result["active"] = result["active"].astype("Int64")
    return {"rows": wh.write("kpis.cohorts", result), "cohorts": int(cells["cohort_month"].nunique())}
