"""Settings of the map (``config/journey_map.yml``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cja_pipeline.config import StrictModel, load_config

Stage = Literal["awareness", "consideration", "purchase", "retention", "advocacy"]


class ShownKpi(StrictModel):
    """A KPI of the strip, and what its base counts."""

    id: str
    base: str
    count: Literal["n", "numerator", "denominator"] = "n"


class MapConfig(StrictModel):
    """All of ``config/journey_map.yml``."""

    period_days: int = Field(ge=7)
    kpis: list[ShownKpi] = Field(min_length=1, max_length=12)
    touchpoints_per_stage: int = Field(ge=1, le=8)
    pains_per_stage: int = Field(ge=1, le=4)
    feelings_per_stage: int = Field(ge=1, le=6)
    channels: int = Field(ge=2, le=12)
    topics: list[str]
    feelings: dict[str, Stage]
    credit_model: str
    cost_model: str


def map_config() -> MapConfig:
    """The settings in use; read anew on every call, it is one small file."""
    return load_config("journey_map.yml", MapConfig)
