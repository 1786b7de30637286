"""One entry of the KPI catalogue: what it may say, bound against the declared tables when it is read."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cja_pipeline.config import StrictModel
from cja_pipeline.kpis.kpi_sources import load_sources

Stage = Literal["awareness", "consideration", "purchase", "retention", "advocacy"]
Grain = Literal["day", "week", "month", "rolling_28d"]
GRAINS: tuple[Grain, ...] = ("day", "week", "month", "rolling_28d")
Kind = Literal[
    "count",
    "sum",
    "distinct",
    "proportion",
    "ratio",
    "mean",
    "per_unit",
    "nps",
    "quantile",
    "survival",
    "derived",
]
Format = Literal["count", "percent", "money", "number", "seconds", "days", "score"]
IntervalMethod = Literal["none", "poisson", "compound_poisson", "wilson", "delta", "bootstrap", "default"]
ADDITIVE = ("count", "sum")
# Below this many units a rate says more about chance (and about single people) than about the shop.
DEFAULT_MIN_N = {"count": 0, "sum": 0, "distinct": 0, "nps": 30, "derived": 0}


class Kpi(StrictModel):
    """One KPI.

    Kinds:
        count, sum: add up `numerator`; only these may be added up over days.
        distinct: units that have `numerator`, counted anew for every period and slice.
        proportion: of the units with `denominator`, the share that also have `numerator`.
        ratio, mean: sum of `numerator` per sum of `denominator`, interval clustered by unit.
        per_unit: sum of `numerator` per unit that has `denominator`.
        nps: net promoter score of answers 0-10 in `numerator`.
        quantile: the quantile `at` of `numerator`.
        survival: share with the event `numerator` within `at` days of `duration`, by Kaplan-Meier.
        derived: `scale` x one KPI / another + `offset`.

    Expressions are SQL over the columns of the source. ``:window`` stands for `window_days`, ``:age`` for the
    days between a row's day and the last day. With `dated: window_end` a row belongs to the day on which its
    window closes, so that every value is mature; `maturity_days` leaves out rows that are younger.
    `model_low` and `model_high` carry the uncertainty of a modelled `numerator`; what the value model says of
    the future is `foretold`. `complement` takes one minus the rate.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    description: str
    kind: Kind
    source: str | None = Field(None, validate_default=True)
    window_days: int | None = Field(None, ge=0)
    dated: Literal["start", "window_end"] = "start"
    maturity_days: int = Field(0, ge=0)
    where: str | None = None
    numerator: str | None = None
    denominator: str | None = None
    duration: str | None = None
    model_low: str | None = None
    model_high: str | None = None
    foretold: bool = False
    at: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    complement: bool = False
    dimensions: list[str] | None = None
    grains: tuple[Grain, ...] = GRAINS
    min_n: int | None = Field(None, ge=0)
    when_empty: Literal["zero_denominator", "immature", "not_applicable"] = "zero_denominator"
    interval: IntervalMethod = "default"
    format: Format
    better: Literal["up", "down", "none"]
    owner: str | None = None
    stage: Stage | None = None
    version: int = Field(1, ge=1)

    @field_validator("source")
    @classmethod
    def _source_exists(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "derived":
            if value is not None:
                raise ValueError("a derived KPI has no source of its own; its parts bring theirs")
        elif value not in load_sources():
            raise ValueError(f"expected one of the sources {sorted(load_sources())}, got {value!r}")
        return value

    @field_validator("where", "numerator", "denominator", "duration", "model_low", "model_high")
    @classmethod
    def _expression_binds(cls, value: str | None, info: ValidationInfo) -> str | None:
        source = load_sources().get(info.data.get("source") or "")
        if value is not None and source is not None:
            source.bind(fill(value, window=info.data.get("window_days") or 0))
            if ":window" in value and info.data.get("window_days") is None:
                raise ValueError("the expression uses :window, so window_days is required above it")
        return value

    @field_validator("dimensions")
    @classmethod
    def _dimensions_exist(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        source = load_sources().get(info.data.get("source") or "")
        unknown = sorted(set(value or []) - set(source.slices)) if source else []
        if source is not None and unknown:
            raise ValueError(
                f"source {info.data['source']!r} has the dimensions {source.slices}, not {unknown}"
            )
        return value

    @model_validator(mode="after")
    def _complete(self) -> Kpi:
        required = {
            "proportion": ["numerator", "denominator"],
            "ratio": ["numerator", "denominator"],
            "mean": ["numerator", "denominator"],
            "per_unit": ["numerator", "denominator"],
            "derived": ["numerator", "denominator"],
            "quantile": ["numerator", "at"],
            "survival": ["numerator", "duration", "at"],
        }.get(self.kind, ["numerator"])
        missing = [name for name in required if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a KPI of kind {self.kind} needs {', '.join(missing)}")
        if self.dated == "window_end" and self.window_days is None:
            raise ValueError("dated: window_end needs window_days")
        if self.kind == "distinct" and not load_sources()[str(self.source)].people:
            raise ValueError(f"source {self.source!r} does not know people, so they cannot be counted")
        return self

    # --- what follows from the entry ---------------------------------------------------------------
    @property
    def additive(self) -> bool:
        """Whether values of days may be added up. Distinct people, rates and quantiles may not."""
        return self.kind in ADDITIVE

    @property
    def needs_rows(self) -> bool:
        """Whether it is computed from the rows themselves, and not from sums over units."""
        return self.kind in ("quantile", "survival")

    @cached_property
    def is_counted(self) -> bool:
        """Whether the numerator counts (yes or no of each row, or how many), and is no amount."""
        kind = load_sources()[str(self.source)].bind(str(self.expression("numerator")))
        return kind == "BOOLEAN" or kind.endswith("INT") or kind == "INTEGER"

    @property
    def smallest_n(self) -> int:
        return self.min_n if self.min_n is not None else DEFAULT_MIN_N.get(self.kind, 20)

    @property
    def shift_days(self) -> int:
        """Days from a row's own day to the day it is reported on."""
        return (self.window_days or 0) if self.dated == "window_end" else 0

    def expression(self, name: str, age: str = "0") -> str | None:
        """An expression with its window filled in, and the SQL for a row's age in days."""
        text = getattr(self, name)
        return fill(text, window=self.window_days or 0, age=age) if text else None


def fill(text: str, *, window: int, age: str = "0") -> str:
    """Replace ``:window`` and ``:age`` (days from the row's day to the last day) in an expression."""
    return text.replace(":window", str(window)).replace(":age", age)


class KpiFile(StrictModel):
    """One file of the catalogue: a stage, who owns its numbers, and its KPIs."""

    stage: Stage
    owner: str
    kpis: list[Kpi]
