"""Where visits are lost: each step of the shop by device, browser, page, channel and country.

Two kinds of loss. *Standing*: a group of visits goes on less often than comparable visits of the last weeks.
*Incident*: for some days a group (or everybody) goes on less often than it usually does. Both are
opportunities that the figures point to, not proof of a cause.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.friction_stats import dispersion, slumps, standing_gaps
from cja_pipeline.kpis.friction_words import with_words
from cja_pipeline.kpis.journey_config import Friction
from cja_pipeline.kpis.journey_params import ensure_journeys, model_text
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EVERYBODY = "all"
Row = dict[str, Any]


def build_friction(wh: Warehouse) -> int:
    """Write ``kpis.friction``; returns its rows. Without any visits the table is empty."""
    import pandas as pd

    config = ensure_journeys(wh)
    settings, steps = config.friction, len(config.steps)
    wh.ensure("customers.web_activity")  # browsers and pages are optional: a shop may have visits only
    wh.execute(f"CREATE OR REPLACE TEMP TABLE visit_steps AS {model_text('visit_steps')}")
    rows: list[Row] = []
    last = wh.scalar("SELECT max(day) FROM visit_steps")
    if last is not None:
        worth = _worth(wh, steps, last, settings.window_days)
        spread = _spread(wh, steps, last, settings)
        standing = _standing(wh, steps, last, settings, spread)
        incidents = _incidents(wh, steps, last, settings, spread)
        rows = [*_judged(standing, settings), *_related(_judged(incidents, settings))]
        rows = [_with_loss(row, worth, settings) for row in rows]
        rows.sort(key=lambda r: (r["status"] != "proven", r["status"] == "unclear", -r["lost_per_month"]))
        rows = with_words(wh, rows[: settings.keep], config)
    wh.execute("DROP TABLE visit_steps")
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
    return wh.write("kpis.friction", pd.DataFrame(rows, columns=_COLUMNS))


def _reached(frame: pd.DataFrame, by: list[str], sizes: list[int], steps: int) -> Floats:
    """Visits that came at least to each step, shape (*sizes, steps), from rows of (*by, furthest, visits)."""
    import numpy as np

    cube = np.zeros((*sizes, steps))
    places = tuple(frame[column].to_numpy(int) for column in by)
    np.add.at(cube, (*places, frame["furthest"].to_numpy(int) - 1), frame["visits"].to_numpy(float))
    return cube[..., ::-1].cumsum(axis=-1)[..., ::-1]


def _worth(wh: Warehouse, steps: int, last: dt.date, days: int) -> Floats:
    """Net revenue per visit that has come at least to each step."""
    import numpy as np

    frame = wh.df(
        "SELECT furthest, count(*) AS visits, sum(value) AS value FROM visit_steps WHERE day > ? GROUP BY 1",
        [last - dt.timedelta(days=days)],
    )
    visits = _reached(frame, [], [], steps)
    money = _reached(frame.assign(visits=frame["value"]), [], [], steps)
    return money / np.maximum(visits, 1)


def _spread(wh: Warehouse, steps: int, last: dt.date, settings: Friction) -> list[float]:
    """How much more the daily rate of each step varies than independent visits would."""
    frame = wh.df(
        "SELECT CAST(? AS DATE) - day AS ago, furthest, count(*) AS visits FROM visit_steps "
        "WHERE day > ? GROUP BY 1, 2",
        [last, last - dt.timedelta(days=settings.incident_window_days)],
    )
    reached = _reached(frame, ["ago"], [settings.incident_window_days], steps)
    return [dispersion(reached[:, i], reached[:, i + 1]) for i in range(steps - 1)]


def _standing(wh: Warehouse, steps: int, last: dt.date, settings: Friction, spread: list[float]) -> list[Row]:
    """One row for every group and step with enough visits in the window, whether it loses or not."""
    import pandas as pd

    since, rows = last - dt.timedelta(days=settings.window_days - 1), []
    for dimension in settings.dimensions:
        alike = " || '/' || ".join(f"coalesce({t}, '')" for t in settings.within if t != dimension) or "''"
        frame = wh.df(
            f"SELECT {dimension} AS value, {alike} AS stratum, furthest, count(*) AS visits FROM visit_steps "
            f"WHERE day >= ? AND {dimension} IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [since],
        )
        frame["group"], values = pd.factorize(frame["value"])
        frame["alike"], strata = pd.factorize(frame["stratum"])
        if len(values) < 2:
            continue
        reached = _reached(frame, ["group", "alike"], [len(values), len(strata)], steps)
        for step in range(steps - 1):
            gap = standing_gaps(reached[:, :, step], reached[:, :, step + 1], spread[step])
            for i in range(len(values)):
                if gap.n[i] >= settings.min_sessions:
                    place = {"kind": "standing", "step": step, "dimension": dimension, "value": values[i]}
                    found = {name: float(getattr(gap, name)[i]) for name in gap._fields}
                    rows.append(place | found | {"since": since, "until": last})
    return rows


def _incidents(
    wh: Warehouse, steps: int, last: dt.date, settings: Friction, spread: list[float]
) -> list[Row]:
    """Runs of days below the usual level, of every group with enough visits and of everybody."""
    import numpy as np
    import pandas as pd
    from scipy.special import ndtr

    days = settings.incident_window_days
    since, rows, judged = last - dt.timedelta(days=days - 1), [], 0
    for dimension in (EVERYBODY, *settings.dimensions):
        value = "'all'" if dimension == EVERYBODY else dimension
        frame = wh.df(
            f"SELECT {value} AS value, day - CAST(? AS DATE) AS place, furthest, count(*) AS visits "
            f"FROM visit_steps WHERE day >= ? AND {value} IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [since, since],
        )
        frame["group"], values = pd.factorize(frame["value"])
        reached = _reached(frame, ["group", "place"], [len(values), days], steps)
        everybody = reached.sum(axis=0)
        # a channel's or a page's visits are not compared with the rest when they are nearly all there is
        for i in np.flatnonzero(reached[:, :, 0].sum(axis=1) >= settings.min_sessions):
            others = everybody - reached[i]
            alone = dimension == EVERYBODY or len(values) == 1
            for step in range(steps - 1):
                found, tried = slumps(
                    reached[i, :, step],
                    reached[i, :, step + 1],
                    None if alone else others[:, step],
                    None if alone else others[:, step + 1],
                    max_days=settings.incident_max_days,
                    min_n=settings.incident_min_sessions,
                    spread=spread[step],
                )
                judged += tried
                for s in found:
                    place = {"kind": "incident", "step": step, "dimension": dimension, "value": values[i]}
                    figures = s._asdict() | {"p_value": float(ndtr(-s.z))}
                    span = {
                        "since": since + dt.timedelta(days=s.first),
                        "until": since + dt.timedelta(days=s.last),
                    }
                    rows.append(place | figures | span)
    return [row | {"judged": judged} for row in rows]


def _judged(rows: list[Row], settings: Friction) -> list[Row]:
    """Add q-values over everything looked at; keep gaps of some size, mark the proven ones."""
    from cja_pipeline.kpis.stats import benjamini_hochberg

    if not rows:
        return []
    # runs that were judged and not even suspicious count, too: as hypotheses with p = 1
    silent = max(rows[0].get("judged", len(rows)) - len(rows), 0)
    q = benjamini_hochberg([row["p_value"] for row in rows] + [1.0] * silent)[: len(rows)]
    kept = []
    for row, q_value in zip(rows, q, strict=True):
        proven = bool(q_value < settings.max_q)
        # an unproven gap is worth a look only where chance alone would rarely show it
        if row["expected"] - row["observed"] >= settings.min_gap and (
            proven or (row["kind"] == "standing" and row["p_value"] < 0.05)
        ):
            kept.append(row | {"q_value": float(q_value), "status": "proven" if proven else "unclear"})
    return kept


def _related(rows: list[Row]) -> list[Row]:
    """Of incidents that overlap at one step the clearest is the finding; the others show the same thing."""
    rows = sorted(rows, key=lambda r: -r["z"])
    for i, row in enumerate(rows):
        for clearer in rows[:i]:
            same_time = row["since"] <= clearer["until"] and row["until"] >= clearer["since"]
            if clearer["status"] == "proven" and clearer["step"] == row["step"] and same_time:
                row["status"] = "related"
    return rows


def _with_loss(row: Row, worth: Floats, settings: Friction) -> Row:
    gap = row["expected"] - row["observed"]
    value = row["n"] * float(worth[row["step"] + 1])
    monthly = 30 / settings.window_days if row["kind"] == "standing" else 1.0
    return row | {
        "lost_revenue": gap * value,
        "lost_low": (gap - 1.96 * row["se"]) * value,
        "lost_high": (gap + 1.96 * row["se"]) * value,
        "lost_per_month": gap * value * monthly,
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
