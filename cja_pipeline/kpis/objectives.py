"""Objectives with targets, and how a KPI stands against them: judged by its interval, not by its point.

``config/objectives.yml`` holds them. A KPI may have several targets over time and for slices; the newest
one in force at the end of a period counts.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.kpis.catalogue import Catalogue, load_catalogue
from cja_pipeline.kpis.kpi_entry import Grain
from cja_pipeline.settings import get_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Block

    Floats = NDArray[np.float64]

USUAL_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "rolling_28d": 28.0}


class Objective(StrictModel):
    """One target.

    The target of a total (orders, revenue) is for a period of `grain` and is scaled by days to other
    grains; the target of a rate or mean holds at every grain. A figure without interval is on target within
    `tolerance`.
    """

    objective: str
    kpi: str
    target: float
    owner: str
    effective_from: dt.date
    grain: Grain = "rolling_28d"
    dimension: str = "all"
    dimension_value: str = "all"
    tolerance: float = Field(0.05, ge=0, lt=1)

    @field_validator("kpi")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in load_catalogue().kpis:
            raise ValueError(f"there is no KPI {value!r}; there are: {', '.join(load_catalogue().kpis)}")
        return value

    @field_validator("dimension")
    @classmethod
    def _split(cls, value: str, info: ValidationInfo) -> str:
        kpi = load_catalogue().kpis.get(info.data.get("kpi") or "")
        if kpi is not None and value not in ("all", *load_catalogue().dimensions(kpi)):
            raise ValueError(f"{kpi.id} is split by {load_catalogue().dimensions(kpi)}, not by {value!r}")
        return value

    @model_validator(mode="after")
    def _direction(self) -> Objective:
        if load_catalogue()[self.kpi].better == "none":
            raise ValueError(f"{self.kpi} is neither better up nor down, so it cannot have a target")
        return self

    @property
    def is_whole(self) -> bool:
        return self.dimension == "all"


class ObjectivesFile(StrictModel):
    objectives: list[Objective]


def load_objectives() -> list[Objective]:
    """The objectives in use (``config/objectives.yml`` or its override)."""
    load_catalogue()  # first, so that a fault there is reported once
    return _load(get_settings().config)


@lru_cache(maxsize=4)
def _load(override: Path | None) -> list[Objective]:
    return load_config("objectives.yml", ObjectivesFile).objectives


def apply_objectives(values: Block, objectives: list[Objective], catalogue: Catalogue) -> Block:
    """`target` and `status` of KPI values; both stay null where there is no target in force."""
    import numpy as np

    rows = len(values["kpi_id"])
    target, tolerance, better = np.full(rows, np.nan), np.full(rows, np.nan), np.ones(rows)
    exact = np.zeros(rows, dtype=bool)
    days = (values["period_end"] - values["period_start"]).astype(float) + 1
    for item in sorted(objectives, key=lambda objective: objective.effective_from):
        kpi = catalogue[item.kpi]
        chosen = (
            (values["kpi_id"] == item.kpi)
            & (values["dimension"] == item.dimension)
            & (values["dimension_value"] == item.dimension_value)
            & (values["period_end"] >= np.datetime64(item.effective_from))
        )
        scale = np.ones(rows)
        same = values["grain"] == item.grain
        if kpi.additive:
            scale = np.where(same, 1.0, days / USUAL_DAYS[item.grain])
        elif kpi.kind == "distinct":
            # people of two weeks are not twice those of one: only the grain that the target names
            chosen &= same
        target[chosen] = item.target * scale[chosen]
        tolerance[chosen] = item.tolerance
        better[chosen] = 1.0 if kpi.better == "up" else -1.0
        exact[chosen] = catalogue.is_exact(kpi)
    return {"target": target, "status": _status(values, target, tolerance, better, exact)}


def _status(
    values: Block, target: Floats, tolerance: Floats, better: Floats, exact: NDArray[np.bool_]
) -> NDArray[np.object_]:
    """ahead if the whole interval is on the good side of the target, behind if all of it is on the other."""
    import numpy as np

    value = values["value"]
    low = np.where(exact, value - tolerance * np.abs(target), values["ci_low"])
    high = np.where(exact, value + tolerance * np.abs(target), values["ci_high"])
    worst, best = np.where(better > 0, low, -high), np.where(better > 0, high, -low)
    status = np.full(len(value), None, dtype=object)
    has = ~np.isnan(target)
    status[has] = "on"
    status[has & (worst > better * target)] = "ahead"
    status[has & (best < better * target)] = "behind"
    # half a month of orders says nothing about the month's target
    running = values["additive"].astype(bool) & ~values["is_complete"]
    status[has & (np.isnan(value) | np.isnan(low) | np.isnan(high) | running)] = "insufficient_data"
    return status
