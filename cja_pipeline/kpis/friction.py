"""Where visits are lost: each step of the shop by device, browser, page, channel and country.

Two kinds of loss. *Standing*: a group of visits goes on less often than comparable visits of the last weeks.
*Incident*: for some days a group (or everybody) goes on less often than it usually does. Both are
opportunities that the figures point to, not proof of a cause.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.friction_cells import EVERYBODY, incidents, spread, standing, worth
from cja_pipeline.kpis.friction_words import with_words
from cja_pipeline.kpis.journey_config import Friction
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.kpis.objectives import USUAL_DAYS
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Row = dict[str, Any]
STATUSES = ("proven", "related", "audience", "unclear")
# Who comes from a channel or a country differs in what they want: a standing gap there says more about them
# than about the shop. A slump of some days does not.
AUDIENCES = ("channel", "country")
EXPLAINS = 0.5  # of the visits that everybody lost: then the group is the finding


def build_friction(wh: Warehouse) -> int:
    """Write ``kpis.friction``; returns its rows. Without any visits the table is empty."""
    import pandas as pd

    config = ensure_journeys(wh)
    settings, steps = config.friction, len(config.steps)
    wh.ensure("customers.web_activity")  # browsers and pages are optional: a shop may have visits only
    wh.stage("visit_steps", model_text("visit_steps"))
    rows: list[Row] = []
    last = wh.scalar("SELECT max(day) FROM visit_steps")
    if last is not None:
        value = worth(wh, steps, last, settings.window_days)
        spreads = spread(wh, steps, last, settings)
        slumped = _related(_judged(incidents(wh, steps, last, settings, spreads), settings))
        standing_rows = standing(wh, steps, last, settings, spreads, _days_of(slumped))
        rows = [*_judged(standing_rows, settings), *slumped]
        rows = [_with_loss(row, value, settings) for row in rows]
        rows.sort(key=lambda r: (STATUSES.index(r["status"]), -r["lost_per_month"]))
        rows = with_words(wh, rows[: settings.keep], config)
    wh.execute("DROP TABLE visit_steps")
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
    return wh.write("kpis.friction", pd.DataFrame(rows, columns=_COLUMNS))


def _judged(rows: list[Row], settings: Friction) -> list[Row]:
    """Add q-values; keep gaps of some size, mark the proven ones.

    Standing gaps are one family of hypotheses. The runs of days of each dimension are a family of their own
    (thousands, most of them silent: they count as hypotheses with p = 1) with a stricter limit.
    """
    from cja_pipeline.kpis.stats import benjamini_hochberg

    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(row["dimension"] if row["kind"] == "incident" else "", []).append(row)
    kept = []
    for family in families.values():
        silent = family[0].get("judged", len(family)) - len(family)
        q_values = benjamini_hochberg([row["p_value"] for row in family] + [1.0] * silent)
        for row, q in zip(family, q_values, strict=False):
            standing_one = row["kind"] == "standing"
            proven = bool(q < (settings.max_q if standing_one else settings.incident_max_q))
            # an unproven gap is worth a look only where chance alone would rarely show it
            suspicious = proven or (standing_one and row["p_value"] < 0.05)
            if suspicious and row["expected"] - row["observed"] >= settings.min_gap:
                sure = "audience" if standing_one and row["dimension"] in AUDIENCES else "proven"
                kept.append(row | {"q_value": float(q), "status": sure if proven else "unclear"})
    return kept


def _related(rows: list[Row]) -> list[Row]:
    """Of incidents that overlap at one step one is the finding; the others show the same thing.

    A group that explains most of what everybody lost comes before everybody, and everybody before groups that
    explain little of it. A run of the same group is told once, whichever sign shows it more clearly.
    """

    def breadth(row: Row) -> int:
        if row["dimension"] == EVERYBODY:
            return 1
        whole = [_lost(o) for o in rows if o["dimension"] == EVERYBODY and _overlap(o, row)]
        return 0 if _lost(row) >= EXPLAINS * max(whole, default=0.0) else 2

    kept: list[Row] = []
    for row in sorted(rows, key=lambda r: (breadth(r), -r["clarity"], r["dimension"], r["value"])):
        same_days = [other for other in kept if _overlap(other, row)]
        if any((o["dimension"], o["value"]) == (row["dimension"], row["value"]) for o in same_days):
            continue
        kept.append(row | {"status": "related"} if same_days else row)
    return kept


def _overlap(one: Row, other: Row) -> bool:
    same_time = one["since"] <= other["until"] and one["until"] >= other["since"]
    return bool(same_time and one["step"] == other["step"])


def _lost(row: Row) -> float:
    """Visits that were to be expected at the next step and did not come."""
    return float((row["expected"] - row["observed"]) * row["n"])


def _days_of(incidents: list[Row]) -> dict[int, set[dt.date]]:
    """Days of incidents by step: they are a loss of their own and no part of a standing one."""
    found: dict[int, set[dt.date]] = {}
    for row in incidents:
        days = (row["until"] - row["since"]).days + 1
        found.setdefault(row["step"], set()).update(row["since"] + dt.timedelta(days=i) for i in range(days))
    return found


def _with_loss(row: Row, value: Floats, settings: Friction) -> Row:
    gap = row["expected"] - row["observed"]
    money = row["n"] * float(value[row["step"] + 1])
    monthly = USUAL_DAYS["month"] / settings.window_days if row["kind"] == "standing" else 1.0
    return row | {
        "lost_revenue": gap * money,
        "lost_low": (gap - 1.96 * row["se"]) * money,
        "lost_high": (gap + 1.96 * row["se"]) * money,
        "lost_per_month": gap * money * monthly,
    }


_COLUMNS = [
    "rank",
    "kind",
    "stage",
    "step",
    "dimension",
    "dimension_value",
    "period_start",
    "period_end",
    "sessions",
    "customers",
    "observed_rate",
    "expected_rate",
    "lost_revenue",
    "lost_low",
    "lost_high",
    "lost_per_month",
    "currency",
    "p_value",
    "q_value",
    "status",
    "finding",
    "evidence",
    "owner",
]
