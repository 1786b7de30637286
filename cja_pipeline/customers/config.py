"""The customer room's configuration: channels, touchpoints, stages and identity, validated when loaded."""

from __future__ import annotations

import csv
import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from cja_pipeline.config import ConfigError, StrictModel, config_path, load_config

if TYPE_CHECKING:
    from cja_pipeline.warehouse import Warehouse

STAGES = ("awareness", "consideration", "purchase", "retention", "advocacy")
State = Literal["new", "considering", "customer"]
Category = Literal["search", "shopping", "social", "video"]


class Traffic(StrictModel):
    """Source and medium that a click id stands for."""

    source: str
    medium: str


class Condition(StrictModel):
    """One alternative of a channel rule; all its conditions must hold."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    category: Category | None = None
    missing: list[Literal["source", "medium", "campaign"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not (self.source or self.medium or self.campaign or self.category or self.missing):
            raise ValueError("expected at least one condition")
        return self


class ChannelRule(StrictModel):
    channel: str
    when: list[Condition] = Field(min_length=1)


class Channels(StrictModel):
    """``channels.yml``: ordered channel rules and what to do with untagged traffic."""

    patterns: dict[str, str] = Field(default_factory=dict)
    rules: list[ChannelRule] = Field(min_length=1)
    unassigned: str
    click_ids: dict[str, Traffic] = Field(default_factory=dict)
    own_hosts: list[str] = Field(default_factory=list)
    ignored_referrers: list[str] = Field(default_factory=list)
    assistant_referrers: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _patterns_compile(self) -> Channels:
        for rule in self.rules:
            for condition in rule.when:
                for pattern in (condition.source, condition.medium, condition.campaign):
                    if pattern is not None:
                        self.compiled(pattern)
        return self

    def compiled(self, pattern: str) -> re.Pattern[str]:
        """A rule's pattern with its named parts filled in; raises ValueError if it is no expression."""
        for name, text in self.patterns.items():
            pattern = pattern.replace("{" + name + "}", text)
        try:
            return re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {pattern!r}: {error}") from error


class SessionRules(StrictModel):
    """How page hits become visits."""

    timeout_minutes: int = Field(ge=1, le=24 * 60)
    cap_hours: int = Field(ge=1, le=24 * 7)
    rule_version: str
    engaged_seconds: float = Field(ge=0)
    engaged_page_views: int = Field(ge=1)
    bot_page_views: int = Field(ge=10)
    bot_events_per_minute: int = Field(ge=10)
    bot_silent_page_views: int = Field(ge=5)


class TouchpointType(StrictModel):
    source: Literal["web_analytics", "crm", "email", "social"]
    event: str
    department: str
    channel: str | None = None


class Touchpoints(StrictModel):
    """``touchpoints.yml``: session rules and the types of touchpoints."""

    sessions: SessionRules
    types: dict[str, TouchpointType]


class StageRule(StrictModel):
    """Puts touchpoints of some types, in some states of the customer, into a stage."""

    id: str
    types: list[str] = Field(min_length=1)
    states: list[State] = Field(min_length=1)
    stage: str
    min_count: int | None = Field(None, ge=1)
    min_score: float | None = None


class Windows(StrictModel):
    lookback_days: int = Field(ge=1)
    repeat_days: int = Field(ge=1)
    churn_days: int = Field(ge=1)


class Stages(StrictModel):
    """``stages.yml``: the stages, their rules and the windows that later rooms share."""

    stages: list[str]
    consideration_signals: dict[str, int]
    rules: list[StageRule] = Field(min_length=1)
    windows: Windows

    @field_validator("stages")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if tuple(value) != STAGES:
            raise ValueError(f"expected exactly {list(STAGES)}: the published tables rely on these names")
        return value

    @model_validator(mode="after")
    def _rules_name_stages(self) -> Stages:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError("expected every rule id once")
        for rule in self.rules:
            if rule.stage not in self.stages:
                raise ValueError(f"rule {rule.id!r}: expected one of {self.stages}, got {rule.stage!r}")
        return self


class IdentifierRule(StrictModel):
    verified: bool
    max_people: int = Field(ge=1)


class DeviceRules(StrictModel):
    dominance: float = Field(gt=0.5, le=1)
    max_customers: int = Field(ge=1)
    bot_logins_per_hour: int = Field(ge=2)
    bot_logins: int = Field(ge=2)


class EmailRules(StrictModel):
    ignore_dots: list[str]
    ignore_plus: list[str]
    same_domain: dict[str, str]
    misspelt: dict[str, str]
    misspelt_endings: dict[str, str]
    role_names: list[str]
    junk_domains: list[str]
    own_domains: list[str]
    junk_values: list[str]


class PhoneRules(StrictModel):
    default_region: str = Field(pattern="^[A-Z]{2}$")
    own_numbers: list[str]
    junk_digits: list[str]


class NameRules(StrictModel):
    junk: list[str]
    titles: list[str]
    slip_share: float = Field(ge=0, le=1)
    nicknames: list[list[str]]


class BirthDateRules(StrictModel):
    placeholders: list[str]
    earliest_year: int
    most_share: float = Field(0.005, gt=0, le=1)


class CandidateRules(StrictModel):
    """How many pairs of records may be compared."""

    pairs_per_record: float = Field(gt=0)
    pairs_at_least: int = Field(ge=1)


class ScoringRules(StrictModel):
    """Weights are in bits: 0 is even odds, every bit doubles them."""

    threshold_bits: float
    kept_bits: float

    @model_validator(mode="after")
    def _keeps_what_it_uses(self) -> ScoringRules:
        if self.kept_bits > self.threshold_bits:
            raise ValueError("expected kept_bits <= threshold_bits: pairs in use must be kept")
        return self


class TrainingRules(StrictModel):
    """When the data are no longer those that the model was learnt from."""

    precision_change: float = Field(gt=0, le=1)
    names_change: float = Field(gt=0, le=1)
    filled_change: float = Field(gt=0, le=1)
    records_factor: float = Field(gt=1)
    records_at_least: int = Field(ge=1)


class ConsentRules(StrictModel):
    """Whose refusal keeps records of a person from being joined with others."""

    linking: Literal["none", "consent_analytics", "consent_marketing"] = "none"


class Identity(StrictModel):
    """``identity.yml``: identifiers, junk values and guard rails."""

    identifiers: dict[Literal["crm_id", "login_id", "loyalty_id", "email", "phone"], IdentifierRule]
    most_records: int = Field(ge=2)
    candidates: CandidateRules
    scoring: ScoringRules
    training: TrainingRules
    crm_duplicates: Literal["never", "same_name"] = "never"
    consent: ConsentRules = Field(default_factory=ConsentRules)
    devices: DeviceRules
    email: EmailRules
    phone: PhoneRules
    junk_ids: list[str]
    names: NameRules
    birth_dates: BirthDateRules


@lru_cache(maxsize=1)
def channels() -> Channels:
    return load_config("channels.yml", Channels)


@lru_cache(maxsize=1)
def touchpoints() -> Touchpoints:
    return load_config("touchpoints.yml", Touchpoints)


@lru_cache(maxsize=1)
def stages() -> Stages:
    found = load_config("stages.yml", Stages)
    known = touchpoints().types
    for rule in found.rules:
        unknown = sorted(set(rule.types) - set(known))
        if unknown:
            raise ConfigError(
                f"{config_path('stages.yml')}: rules.{rule.id}.types: {unknown} are not in touchpoints.yml"
            )
    return found


@lru_cache(maxsize=1)
def identity() -> Identity:
    return load_config("identity.yml", Identity)


@lru_cache(maxsize=1)
def source_categories() -> dict[str, str]:
    """Category (search, shopping, social, video) of every known traffic source, by its lower-case name."""
    path = config_path("ga4_source_categories.csv")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = csv.DictReader(handle)
            if not {"source", "source_category"} <= set(rows.fieldnames or ()):
                raise ConfigError(f"{path}, line 1: expected the columns source and source_category")
            return {
                row["source"].lower(): row["source_category"].removeprefix("SOURCE_CATEGORY_").lower()
                for row in rows
            }
    except (OSError, UnicodeError, AttributeError, csv.Error) as error:  # AttributeError: a row is too short
        raise ConfigError(f"{path}: not a CSV file in UTF-8 ({type(error).__name__})") from error


def config_tables(wh: Warehouse, as_of: dt.datetime | None = None) -> None:
    """Write the configuration as small tables that models join; see `parameters.write`."""
    from cja_pipeline.customers.parameters import write

    write(wh, as_of)
