"""Settings of journey measurement (``config/journeys.yml``) and the parameter tables that models join to."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cja_pipeline.config import StrictModel, config_path, load_file

STAGES = ("awareness", "consideration", "purchase", "retention", "advocacy")
Stage = Literal["awareness", "consideration", "purchase", "retention", "advocacy"]
Model = Literal[
    "first",
    "last",
    "last_non_direct",
    "linear",
    "position",
    "time_decay",
    "markov_1",
    "markov_2",
    "markov_3",
    "shapley",
]

VisitTrait = Literal[
    "device", "browser", "os", "landing_page", "landing_kind", "product_page", "channel", "country", "visitor"
]


class Segment(StrictModel):
    """A group of customers; without conditions it is everyone."""

    segment: str
    bought_before: bool | None = None
    device: str | None = None


class Step(StrictModel):
    """One step of the shop funnel, in words, with the team that can change it."""

    step_name: str
    label: str
    stage: Stage
    owner: str


class Journey(StrictModel):
    """What a purchase attempt is made of and when it ends."""

    idle_days: int = Field(ge=1)
    path_touches: list[str]
    path_steps: int = Field(ge=2, le=50)
    top_paths: int = Field(ge=1)
    min_customers: int = Field(ge=1)


class Attribution(StrictModel):
    """Which touches earn credit for which orders, and by which models."""

    touches: list[str]
    direct: str
    half_life_days: float = Field(gt=0)
    period_days: int = Field(ge=1)
    models: list[Model]
    bootstrap: int = Field(ge=20)
    min_new_customers: int = Field(ge=1)


class Cost(StrictModel):
    """A cost of winning customers that no source delivers, spread evenly over the days of each month."""

    name: str
    per_month: float = Field(ge=0)
    first_day: dt.date
    last_day: dt.date | None = None
    channel: str = "(all)"
    campaign: str | None = None


class Value(StrictModel):
    """Assumptions of customer value, and the history below which none is given."""

    margin: float = Field(gt=0, le=1)
    discount_rate: float = Field(ge=0, lt=1)
    horizon_months: int = Field(ge=1, le=36)
    model: Literal["mbg_nbd", "bg_nbd"]
    min_customers: int = Field(ge=50)
    min_repeaters: int = Field(ge=20)
    min_history_days: int = Field(ge=14)
    draws: int = Field(ge=20)


class Friction(StrictModel):
    """Where losses are looked for, and what counts as comparable."""

    window_days: int = Field(ge=1)
    incident_window_days: int = Field(ge=7)
    incident_max_days: int = Field(ge=1)
    dimensions: list[VisitTrait]
    within: list[VisitTrait]
    min_sessions: int = Field(ge=20)
    incident_min_sessions: int = Field(ge=5)
    min_gap: float = Field(ge=0)
    max_q: float = Field(gt=0, lt=1)
    incident_max_q: float = Field(gt=0, lt=1)
    keep: int = Field(ge=1)

    @property
    def days(self) -> int:
        """How many days any of it looks at."""
        return max(self.window_days, self.incident_window_days)


class Anomalies(StrictModel):
    """How unusual a day must be, against which past."""

    weeks: int = Field(ge=3)
    threshold: float = Field(gt=0)
    min_history_days: int = Field(ge=21)
    min_customers: int = Field(ge=1)
    report_days: int = Field(ge=1)
    slices: list[str]


class Insights(StrictModel):
    """Windows of feature and outcome, how many outcome windows and customers count, what is worth telling."""

    feature_days: int = Field(ge=1)
    outcome_days: int = Field(ge=1)
    moments: int = Field(ge=1)
    customers: int = Field(ge=1000)
    min_exposed: int = Field(ge=20)
    min_lift: float = Field(ge=0)
    max_q: float = Field(gt=0, lt=1)


class Experiments(StrictModel):
    """How randomised experiments are read; `control` and `planned` shares by the experiment's id."""

    outcome_days: int = Field(ge=1)
    min_customers: int = Field(ge=20)
    max_split_p: float = Field(gt=0, lt=0.05)
    max_q: float = Field(gt=0, lt=1)
    owner: str
    control: dict[str, str] = Field(default_factory=dict)
    planned: dict[str, dict[str, Annotated[float, Field(gt=0)]]] = Field(default_factory=dict)


class JourneyConfig(StrictModel):
    """All of ``config/journeys.yml``."""

    segments: list[Segment]
    steps: list[Step]
    funnel_windows_days: list[int]
    journey: Journey
    attribution: Attribution
    value: Value
    friction: Friction
    anomalies: Anomalies
    insights: Insights
    experiments: Experiments
    acquisition_costs: list[Cost] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> JourneyConfig:
        names = [segment.segment for segment in self.segments]
        if len(set(names)) < len(names) or "all" not in names:
            raise ValueError("segments: expected distinct names, one of them 'all'")
        if len(self.steps) < 2 or self.steps[-1].step_name != "purchase":
            raise ValueError("steps: expected two or more, the last one 'purchase'")
        if not self.funnel_windows_days or min(self.funnel_windows_days) < 1:
            raise ValueError("funnel_windows_days: expected one or more windows of at least a day")
        return self

    def owner(self, step_name: str) -> str:
        """The team that can change what happens after a step."""
        return next((step.owner for step in self.steps if step.step_name == step_name), "Analytics")


def journey_config() -> JourneyConfig:
    """The settings in use; read once per file in use."""
    path = config_path("journeys.yml")
    return _load(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(path: str, _changed: int) -> JourneyConfig:
    from pathlib import Path

    return load_file(Path(path), JourneyConfig)
