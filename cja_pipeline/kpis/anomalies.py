"""Days on which a KPI left its usual range, judged by its own past alone.

Expected is the median of the same weekday in the weeks before, moved to the level of the last seven days. The
usual scatter is the median absolute deviation of past days from such expectations, and never less than the
day's own sampling error. Nothing after the day is used, so a finding of today would have been the same today.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.kpis.journey_config import Anomalies, journey_config
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAD_TO_SD = 1.4826
LEVEL_DAYS = 7


def detect(
    values: ArrayLike, errors: ArrayLike | None = None, *, weeks: int = 6, ratio: bool = True
) -> pd.DataFrame:
    """Expected value, usual range and score of every day of a series.

    Args:
        values: one value per consecutive day, NaN where there is none.
        errors: standard error of each value from its own sample; default the square root of a count for
            `ratio` series, else 0.
        weeks: past weeks whose weekdays are compared.
        ratio: deviations are relative (counts, money, rates); False for scores that may be 0 or negative.

    Returns:
        ``expected, scale, score`` per day; NaN while the past is too short. The score is in robust standard
        deviations: beyond ±4.5 is rare enough to look at.
    """
    import numpy as np
    import pandas as pd

    y = np.asarray(values, dtype=float)
    days = len(y)
    base = _nanmedian(np.stack([_back(y, 7 * week) for week in range(1, weeks + 1)]), minimum=3)
    deviation = _deviation(y, base, ratio)
    level = _nanmedian(np.stack([_back(deviation, day) for day in range(1, LEVEL_DAYS + 1)]), minimum=4)
    expected = base * (1 + level) if ratio else base + level
    residual = _deviation(y, expected, ratio)
    past = np.stack([_back(residual, day) for day in range(1, 7 * weeks + 1)])
    scale = MAD_TO_SD * _nanmedian(np.abs(past - _nanmedian(past, minimum=7)), minimum=14)
    with np.errstate(divide="ignore", invalid="ignore"):
        if errors is None:
            sampling = (
                np.sqrt(np.maximum(np.abs(expected), 1.0)) / np.abs(expected) if ratio else np.zeros(days)
            )
        else:
            given = np.asarray(errors, dtype=float)
            sampling = np.nan_to_num(given / np.abs(expected) if ratio else given)
        scale = np.fmax(scale, np.where(np.isfinite(sampling), sampling, 0.0))
        score = residual / np.where(scale > 0, scale, np.nan)
    spread = scale * np.abs(expected) if ratio else scale
    return pd.DataFrame({"expected": expected, "scale": spread, "score": score})


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
        judged += 1
        rows += _findings(series, config)
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    return {"anomalies": wh.write("kpis.anomalies", frame), "series": judged, "warming_up": young}


# days that a source delivered only in part, and windows still running, say nothing yet
DAILY = """
    SELECT v.kpi_id, v.stage, v.period_start AS day, v.dimension, v.dimension_value,
        CASE WHEN v.is_complete AND v.is_mature THEN v.value END AS value, v.numerator, v.denominator,
        (v.ci_high - v.ci_low) / 3.92 AS error, c.label, c.format, c.better, c.owner
    FROM kpis.kpi_values AS v
    JOIN kpis.kpi_catalogue AS c ON c.kpi_id = v.kpi_id
    WHERE v.grain = 'day' AND list_contains($slices, v.dimension) AND c.kind <> 'model'
    ORDER BY v.kpi_id, v.dimension, v.dimension_value, v.period_start
"""


def _findings(series: pd.DataFrame, config: Anomalies) -> list[dict[str, object]]:
    """Flagged days of one series as rows of ``kpis.anomalies``."""
    import numpy as np
    import pandas as pd

    first = series.iloc[0]
    days = pd.date_range(
        series["day"].iloc[0], series["day"].iloc[-1]
    )  # a day without a row is a gap, not a join
    dense = series.set_index(pd.DatetimeIndex(series["day"])).reindex(days)
    values = dense["value"].to_numpy(float)
    errors = dense["error"].to_numpy(float)
    ratio = first["format"] != "score" and bool(np.nanmin(values) >= 0)
    judged = detect(values, errors if np.isfinite(errors).any() else None, weeks=config.weeks, ratio=ratio)
    recent = np.arange(len(days)) >= len(days) - config.report_days
    flagged = np.flatnonzero(recent & (judged["score"].abs() > config.threshold).to_numpy())
    rows = []
    for place in flagged:
        value, found = values[place], judged.iloc[place]
        reach = config.threshold * found["scale"]
        up = bool(found["score"] > 0)
        good = {"up": up, "down": not up}.get(str(first["better"]))
        low = found["expected"] - reach
        rows.append(
            {
                "kpi_id": first["kpi_id"],
                "stage": first["stage"],
                "day": days[place].date(),
                "dimension": first["dimension"],
                "dimension_value": first["dimension_value"],
                "value": value,
                "expected": found["expected"],
                "low": max(low, 0.0) if ratio else low,
                "high": found["expected"] + reach,
                "size": value / found["expected"] - 1 if ratio and found["expected"] else None,
                "score": found["score"],
                "direction": "up" if up else "down",
                "effect": "neutral" if good is None else "good" if good else "bad",
                "evidence": _evidence(dense.iloc[place], found, first, days[place].date()),
                "owner": first["owner"],
            }
        )
    return rows


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
    if pd.notna(row["numerator"]) and pd.notna(row["denominator"]) and first["format"] == "percent":
        text += f"; {row['numerator']:,.0f} of {row['denominator']:,.0f}"
    return text + "."


def _back(values: Floats, days: int) -> Floats:
    import numpy as np

    shifted = np.full(len(values), np.nan)
    shifted[days:] = values[: max(len(values) - days, 0)]
    return shifted


def _deviation(values: Floats, expected: Floats, ratio: bool) -> Floats:
    import numpy as np

    if not ratio:
        return values - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected != 0, values / expected - 1, np.nan)


def _nanmedian(stack: Floats, minimum: int) -> Floats:
    """Median over the first axis, NaN where fewer than `minimum` values are known."""
    import numpy as np

    known = np.isfinite(stack).sum(axis=0)
    ordered = np.sort(np.where(np.isfinite(stack), stack, np.inf), axis=0)
    place = np.arange(stack.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, place], ordered[known // 2 % len(stack), place]
    with np.errstate(invalid="ignore"):
        return np.where(known >= minimum, (low + high) / 2, np.nan)


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
