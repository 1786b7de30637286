"""Days on which a KPI left its usual range, for the whole shop and its slices.

Judged by `anomaly_score.detect`. A day on which a series only comes back to where it was is no finding.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.kpis.anomaly_score import back, detect, nanmedian
from cja_pipeline.kpis.journey_config import Anomalies, journey_config
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RECOVERY_DAYS = 21


def build_anomalies(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.anomalies`` from the daily ``kpis.kpi_values`` (whole shop and the configured slices).

    Returns:
        Findings, series that were judged, and series whose past is still too short.
    """
    import pandas as pd

    config = journey_config().anomalies
    if not (wh.exists("kpis.kpi_values") and wh.exists("kpis.kpi_catalogue")):
        return {
            "anomalies": wh.write("kpis.anomalies", pd.DataFrame(columns=_COLUMNS)),
            "series": 0,
            "warming_up": 0,
        }
    daily = wh.df(DAILY, {"slices": ["all", *config.slices]})
    rows, judged, young = [], 0, 0
    for _, series in daily.groupby(["kpi_id", "dimension", "dimension_value"], sort=True):
        if series["value"].notna().sum() < config.min_history_days:
            young += 1
            continue
        if _size(series) < config.min_customers:
            continue  # a handful of customers a day is nothing but scatter
        judged += 1
        rows += _findings(series, config)
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return {"anomalies": wh.write("kpis.anomalies", frame), "series": judged, "warming_up": young}


# days that a source delivered only in part, and windows still running, say nothing yet
DAILY = """
    SELECT v.kpi_id, v.stage, v.period_start AS day, v.dimension, v.dimension_value,
        CASE WHEN v.is_complete AND v.is_mature THEN v.value END AS value, v.numerator, v.denominator, v.n,
        CAST(v.ci_method LIKE 'wilson%' AS DOUBLE) AS is_share, (v.ci_high - v.ci_low) / 3.92 AS error,
        c.label, c.format, c.better, c.owner
    FROM kpis.kpi_values AS v
    JOIN kpis.kpi_catalogue AS c ON c.kpi_id = v.kpi_id
    WHERE v.grain = 'day' AND list_contains($slices, v.dimension) AND c.kind <> 'model'
        AND v.dimension_value <> '(not set)'
    ORDER BY v.kpi_id, v.dimension, v.dimension_value, v.period_start
"""


def _findings(series: pd.DataFrame, config: Anomalies) -> list[dict[str, object]]:
    """Flagged days of one series as rows of ``kpis.anomalies``."""
    import numpy as np
    import pandas as pd

    first = series.iloc[0]
    # a day without a row stays a gap: weekdays must not slip
    days = pd.date_range(series["day"].iloc[0], series["day"].iloc[-1])
    dense = series.set_index(pd.DatetimeIndex(series["day"])).reindex(days)
    values = dense["value"].to_numpy(float)
    ratio = first["format"] != "score" and not _is_share(series) and bool(np.nanmin(values) >= 0)
    judged = detect(values, _errors(dense), weeks=config.weeks, ratio=ratio)
    if _is_share(series):
        judged["expected"] = judged["expected"].clip(0, 1)
    judged["low"] = judged["expected"] - config.threshold * judged["scale"]
    judged["high"] = judged["expected"] + config.threshold * judged["scale"]
    recent = np.arange(len(days)) >= len(days) - config.report_days
    flagged = [p for p in _without_recoveries(values, judged, config.threshold) if recent[p]]
    rows = []
    for place in flagged:
        value, found = values[place], judged.iloc[place]
        up = bool(found["score"] > 0)
        good = {"up": up, "down": not up}.get(str(first["better"]))
        rows.append(
            {
                "kpi_id": first["kpi_id"],
                "stage": first["stage"],
                "day": days[place].date(),
                "dimension": first["dimension"],
                "dimension_value": first["dimension_value"],
                "value": value,
                "expected": found["expected"],
                "low": max(found["low"], 0.0) if ratio else found["low"],
                "high": found["high"],
                "size": value / found["expected"] - 1 if found["expected"] > 0 else None,
                "score": found["score"],
                "direction": "up" if up else "down",
                "effect": "neutral" if good is None else "good" if good else "bad",
                "evidence": _evidence(dense.iloc[place], found, first, days[place].date()),
                "owner": first["owner"],
            }
        )
    return rows


def _is_share(series: pd.DataFrame) -> bool:
    """A proportion of people, visits or messages (not of money)."""
    return bool(series["is_share"].min() == 1)  # of days with an interval


def _size(series: pd.DataFrame) -> float:
    """How much a usual day rests on; exact figures (no sampling error) rest on everything."""
    if _is_share(series):
        return float(series["denominator"].median())
    return float(series["n"].median()) if series["error"].notna().any() else float("inf")


def _errors(dense: pd.DataFrame) -> Floats | None:
    """Standard error of each day had it been usual: a bad day of few orders has a small one of its own."""
    import numpy as np

    errors = dense["error"].to_numpy(float)
    if _is_share(dense):
        numerator, size = dense["numerator"].to_numpy(float), dense["denominator"].to_numpy(float)
        known = np.isfinite(numerator) & (size > 0)
        share = numerator[known].sum() / size[known].sum()
        size = np.where(known, size, np.nan)
        # a day without any has an error, too: one more or less could always have happened
        return np.sqrt(np.maximum(share * (1 - share), 1 / size) / size)
    usual = nanmedian(np.stack([back(errors, day) for day in range(1, 43)]), minimum=7)
    errors = np.fmax(errors, usual)
    return errors if np.isfinite(errors).any() else None


def _without_recoveries(values: Floats, judged: pd.DataFrame, threshold: float) -> list[int]:
    """Flagged days, but for days on which a series only came back to where it was before it was flagged."""
    import numpy as np

    kept: list[int] = []
    score, low, high = (judged[column].to_numpy(float) for column in ("score", "low", "high"))
    for place in np.flatnonzero(np.abs(score) > threshold):
        first = next((p for p in kept if place - p <= RECOVERY_DAYS and score[p] * score[place] < 0), None)
        if first is None or not low[first] <= values[place] <= high[first]:
            kept.append(int(place))
    return kept


def _evidence(row: pd.Series, found: pd.Series, first: pd.Series, day: dt.date) -> str:
    import pandas as pd

    def written(number: float) -> str:
        return (
            f"{100 * number:.2f} %" if first["format"] == "percent" else f"{number:,.2f}".removesuffix(".00")
        )

    where = "" if first["dimension"] == "all" else f" ({first['dimension']} {first['dimension_value']})"
    text = (
        f"{first['label']}{where} was {written(row['value'])} on {day:%A} {day.day} {day:%B}; "
        f"{written(found['expected'])} is usual for the weekday ({abs(found['score']):.1f} times the scatter)"
    )
    some = pd.notna(row["numerator"]) and pd.notna(row["denominator"])
    if first["format"] == "percent" and some and 0 <= row["numerator"] <= row["denominator"]:
        text += f"; {row['numerator']:,.0f} of {row['denominator']:,.0f}"
    return text + "."


_COLUMNS = [
    "kpi_id",
    "stage",
    "day",
    "dimension",
    "dimension_value",
    "value",
    "expected",
    "low",
    "high",
    "size",
    "score",
    "direction",
    "effect",
    "evidence",
    "owner",
]
