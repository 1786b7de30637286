"""Cells of friction: visits by step, group and day, measured against others and against themselves."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.friction_stats import Counts, Slump, dispersion, run_gap, slumps, standing_gaps
from cja_pipeline.kpis.journey_config import Friction
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EVERYBODY = "all"
Row = dict[str, Any]


def exactly(
    frame: pd.DataFrame, by: list[str], sizes: list[int], steps: int, counts: str = "visits"
) -> Floats:
    """Visits whose furthest step is each one, shape (*sizes, steps), from rows of (*by, furthest, counts)."""
    import numpy as np

    cube = np.zeros((*sizes, steps))
    places = tuple(frame[column].to_numpy(int) for column in by)
    np.add.at(cube, (*places, frame["furthest"].to_numpy(int) - 1), frame[counts].to_numpy(float))
    return cube


def reached(
    frame: pd.DataFrame, by: list[str], sizes: list[int], steps: int, counts: str = "visits"
) -> Floats:
    """Visits that came at least to each step; as `exactly`."""
    return exactly(frame, by, sizes, steps, counts)[..., ::-1].cumsum(axis=-1)[..., ::-1]


def worth(wh: Warehouse, steps: int, last: dt.date, days: int) -> Floats:
    """Net revenue per visit that has come at least to each step."""
    import numpy as np

    frame = wh.df(
        "SELECT furthest, count(*) AS visits, sum(value) AS value FROM visit_steps WHERE day > ? GROUP BY 1",
        [last - dt.timedelta(days=days)],
    )
    visits = reached(frame, [], [], steps)
    money = reached(frame, [], [], steps, "value")
    return money / np.maximum(visits, 1)


def spread(wh: Warehouse, steps: int, last: dt.date, settings: Friction) -> list[float]:
    """How much more the daily rate of each step varies than independent visits would."""
    frame = wh.df(
        "SELECT CAST(? AS DATE) - day AS ago, furthest, count(*) AS visits FROM visit_steps "
        "WHERE day > ? GROUP BY 1, 2",
        [last, last - dt.timedelta(days=settings.incident_window_days)],
    )
    came = reached(frame, ["ago"], [settings.incident_window_days], steps)
    return [dispersion(came[:, i], came[:, i + 1]) for i in range(steps - 1)]


def standing(
    wh: Warehouse,
    steps: int,
    last: dt.date,
    settings: Friction,
    spreads: list[float],
    bad_days: dict[int, set[dt.date]],
) -> list[Row]:
    """One row for every group and step with enough visits in the window, whether it loses or not."""
    alike: dict[tuple[dt.date, ...], list[int]] = {}
    for step in range(steps - 1):
        alike.setdefault(tuple(sorted(bad_days.get(step, ()))), []).append(step)
    rows: list[Row] = []
    for days, chosen in alike.items():
        rows += _standing_without(wh, steps, chosen, list(days), last, settings, spreads)
    return rows


def _standing_without(
    wh: Warehouse,
    steps: int,
    chosen: list[int],
    bad_days: list[dt.date],
    last: dt.date,
    settings: Friction,
    spreads: list[float],
) -> list[Row]:
    """Standing gaps of the chosen steps, measured on the days of the window that are not bad."""
    import pandas as pd

    since, rows = last - dt.timedelta(days=settings.window_days - 1), []
    for dimension in settings.dimensions:
        alike = " || '/' || ".join(f"coalesce({t}, '')" for t in settings.within if t != dimension) or "''"
        frame = wh.df(
            f"SELECT {dimension} AS value, {alike} AS stratum, furthest, count(*) AS visits FROM visit_steps "
            f"WHERE day >= ? AND NOT list_contains(?::DATE[], day) AND {dimension} IS NOT NULL "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [since, bad_days],
        )
        frame["group"], values = pd.factorize(frame["value"])
        frame["alike"], strata = pd.factorize(frame["stratum"])
        if len(values) < 2:
            continue
        came = reached(frame, ["group", "alike"], [len(values), len(strata)], steps)
        for step in chosen:
            gap = standing_gaps(came[:, :, step], came[:, :, step + 1], spreads[step])
            for i in range(len(values)):
                if gap.n[i] >= settings.min_sessions:
                    place = {"kind": "standing", "step": step, "dimension": dimension, "value": values[i]}
                    found = {name: float(getattr(gap, name)[i]) for name in gap._fields}
                    rows.append(place | found | {"since": since, "until": last})
    return rows


def incidents(
    wh: Warehouse, steps: int, last: dt.date, settings: Friction, spreads: list[float]
) -> list[Row]:
    """Runs of days in which a group, or everybody, lost more visits than usual.

    Two signs are looked for: fewer visits go on, and more visits end with an error. The second shows a fault
    of the shop within a day, when few have come to grief yet; the loss is always that of going on.
    """
    rows: list[Row] = []
    for dimension in (EVERYBODY, *settings.dimensions):
        names, came, clean = _daily(wh, steps, last, settings, dimension)
        alone = dimension == EVERYBODY or len(names) == 1
        judged, family = 0, []
        for step in range(steps - 1):
            going = _counts(came[..., step], came[..., step + 1], alone)
            for sign, counts in (
                ("going_on", going),
                ("errors", _counts(came[..., step], clean[..., step], alone)),
            ):
                found, tried = slumps(
                    counts,
                    max_days=settings.incident_max_days,
                    min_n=settings.incident_min_sessions,
                    spread=spreads[step] if sign == "going_on" else 1.0,
                )
                judged += tried
                for slump in found:
                    gap = run_gap(going, slump, spreads[step])
                    # errors that do not keep anybody from going on are no friction
                    if gap["expected"] - gap["observed"] > 1.645 * gap["se"]:
                        place = {"step": step, "dimension": dimension, "value": names[slump.cell]}
                        sure = {"clarity": slump.clarity, "p_value": slump.p_value}
                        family.append(place | gap | sure | _span(slump, last, settings))
        rows += [row | {"kind": "incident", "judged": judged} for row in family]
    return rows


def _daily(
    wh: Warehouse, steps: int, last: dt.date, settings: Friction, dimension: str
) -> tuple[list[str], Floats, Floats]:
    """Groups with enough visits; their visits at each step by day, all, and not ended by an error there."""
    import pandas as pd

    days = settings.incident_window_days
    since = last - dt.timedelta(days=days - 1)
    value = "'all'" if dimension == EVERYBODY else dimension
    frame = wh.df(
        f"SELECT {value} AS value, day - CAST(? AS DATE) AS place, furthest, count(*) AS visits, "
        "count(CASE WHEN errors > 0 THEN 1 END) AS erred "
        f"FROM visit_steps WHERE day >= ? AND {value} IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        [since, since],
    )
    # small groups are still among the others of the large ones
    enough = frame.groupby("value")["visits"].transform("sum") >= settings.min_sessions
    frame["group"], names = pd.factorize(frame["value"].where(enough))
    frame["group"] = frame["group"].where(frame["group"] >= 0, len(names))
    sizes = [len(names) + 1, days]
    came = reached(frame, ["group", "place"], sizes, steps)
    # an error counts against the step at which the visit ended: whoever went on was not kept back by it
    clean = came - exactly(frame, ["group", "place"], sizes, steps, "erred")
    return list(names), came, clean


def _counts(n: Floats, k: Floats, alone: bool) -> Counts:
    """Daily counts of the cells (the last one pools small groups and is not judged) and of all others."""
    if alone:
        return Counts(n[:-1], k[:-1])
    return Counts(n[:-1], k[:-1], n.sum(axis=0) - n[:-1], k.sum(axis=0) - k[:-1])


def _span(slump: Slump, last: dt.date, settings: Friction) -> Row:
    since = last - dt.timedelta(days=settings.incident_window_days - 1)
    return {"since": since + dt.timedelta(days=slump.first), "until": since + dt.timedelta(days=slump.last)}
