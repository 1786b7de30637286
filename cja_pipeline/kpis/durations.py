"""How long stages and purchases take: Kaplan-Meier summaries of spans of time, by segment."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.journey_config import STAGES, Segment
from cja_pipeline.kpis.journey_params import model_text
from cja_pipeline.kpis.survival import Survival, kaplan_meier
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("stage", "purchase_journey", "buyers_journey", "buying_visit", "second_order")
BUYERS_ONLY = ("buyers_journey", "buying_visit")
MIN_EVENTS = 20
CURVE_POINTS = 60


def durations_frame(wh: Warehouse, segments: Sequence[Segment]) -> pd.DataFrame:
    """One row per segment, measure and stage, as ``kpis.durations`` declares."""
    import pandas as pd

    devices = sorted({segment.device for segment in segments if segment.device})
    # numbers instead of texts: a million small strings would cost more than the statistics
    spans = wh.sql(
        "SELECT list_position($measures, measure) AS measure, list_position($stages, stage) AS stage, "
        "coalesce(list_position($devices, main_device), 0) AS device, bought_before, days, ended "
        f"FROM ({model_text('spans')}) AS spans",
        {"measures": list(MEASURES), "stages": list(STAGES), "devices": devices or [""]},
    ).fetchnumpy()
    group = spans["measure"] * 10 + spans["stage"]
    rows = []
    for segment in segments:
        inside = group > 0
        if segment.device:
            inside &= spans["device"] == devices.index(segment.device) + 1
        if segment.bought_before is not None:
            inside &= spans["bought_before"] == segment.bought_before
        for code in sorted(set(group[inside].tolist())):
            chosen = inside & (group == code)
            measure, stage = MEASURES[code // 10 - 1], STAGES[code % 10 - 1]
            curve = kaplan_meier(spans["days"][chosen], spans["ended"][chosen])
            rows.append(
                {"segment": segment.segment, "measure": measure, "stage": stage} | summary(curve, measure)
            )
    return pd.DataFrame(rows, columns=_COLUMNS)


def summary(curve: Survival, measure: str = "stage") -> dict[str, Any]:
    """Quartiles, interval of the median, restricted mean and a drawable curve; null where not reached."""
    median, low, high = curve.quantile(0.5)
    events = int(curve.events.sum())
    status = "ok" if math.isfinite(median) else "not_reached"
    if measure in BUYERS_ONLY:
        status = "buyers_only"
    if events < MIN_EVENTS:
        status = "few"
    return {
        "n": curve.n,
        "events": events,
        "censored": curve.n - events,
        "median_days": _finite(median),
        "p25_days": _finite(curve.quantile(0.25)[0]),
        "p75_days": _finite(curve.quantile(0.75)[0]),
        "ci_low": _finite(low) if math.isfinite(median) else None,
        "ci_high": _finite(high) if math.isfinite(median) else None,
        "rmst_30d": _finite(curve.restricted_mean(30.0)),
        "status": status,
        "curve": _drawable(curve),
    }


def _drawable(curve: Survival) -> str:
    """At most 60 points [days, share, low, high] of the curve, evenly spread over the share, so that steep
    parts keep their shape."""
    import numpy as np

    if not len(curve.times):
        return "[]"
    places = np.unique(
        np.searchsorted(-curve.survival, -np.linspace(1, curve.survival[-1], CURVE_POINTS)).clip(
            0, len(curve.times) - 1
        )
    )
    columns = (curve.times, curve.survival, curve.low, curve.high)
    return json.dumps(
        [[0.0, 1.0, 1.0, 1.0], *([round(float(column[i]), 4) for column in columns] for i in places)]
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


_COLUMNS = [
    "segment",
    "measure",
    "stage",
    "n",
    "events",
    "censored",
    "median_days",
    "p25_days",
    "p75_days",
    "ci_low",
    "ci_high",
    "rmst_30d",
    "status",
    "curve",
]
