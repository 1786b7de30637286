"""Groups of customers and audiences as data: ``config/segments.yml`` and ``config/audiences.yml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.kpis.kpi_sources import bind_expression, shadow
from cja_pipeline.settings import get_settings

FACTS = "kpis.customer_facts"
# what an audience may ask: the facts, and the groups made of them
GROUPED = (
    "(SELECT f.*, g.lifecycle, g.behaviour FROM kpis.customer_facts AS f "
    "INNER JOIN kpis.customer_segments AS g ON g.customer_id = f.customer_id)"
)


class Group(StrictModel):
    """One group of a family, with the condition that puts a customer into it."""

    segment: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    description: str
    where: str

    @field_validator("where")
    @classmethod
    def _binds(cls, value: str) -> str:
        bind_expression(value, FACTS, FACTS)
        return value


class SegmentsFile(StrictModel):
    """The families. Every customer is in exactly one group of each."""

    lifecycle: list[Group]
    behaviour: list[Group]

    @field_validator("lifecycle", "behaviour")
    @classmethod
    def _everybody(cls, groups: list[Group]) -> list[Group]:
        names = [group.segment for group in groups]
        if not groups or groups[-1].where.strip().lower() != "true":
            raise ValueError('the last group must have the condition "true", so that nobody is left out')
        if len(set(names)) < len(names):
            raise ValueError("expected distinct names of groups")
        return groups

    def family(self, name: str) -> list[Group]:
        """The groups of ``lifecycle`` or ``behaviour``, in order."""
        return list(getattr(self, name))


class Audience(StrictModel):
    """People to write to for one reason."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    purpose: Literal["marketing", "service"]
    where: str
    owner: str

    @field_validator("where")
    @classmethod
    def _binds(cls, value: str) -> str:
        bind_expression(value, GROUPED, "kpis.customer_facts and segments.yml")
        return value


class AudiencesFile(StrictModel):
    audiences: list[Audience]

    @field_validator("audiences")
    @classmethod
    def _distinct(cls, audiences: list[Audience]) -> list[Audience]:
        names = [audience.id for audience in audiences]
        if len(set(names)) < len(names):
            raise ValueError("expected distinct ids of audiences")
        return audiences


def load_segments() -> SegmentsFile:
    """The families in use (``config/segments.yml`` or its override)."""
    return _segments(get_settings().config)


def load_audiences() -> list[Audience]:
    """The audiences in use (``config/audiences.yml`` or its override)."""
    return _audiences(get_settings().config)


@lru_cache(maxsize=4)
def _segments(override: Path | None) -> SegmentsFile:
    shadow()  # first, so that a fault in a table declaration is reported once and not by every group
    return load_config("segments.yml", SegmentsFile)


@lru_cache(maxsize=4)
def _audiences(override: Path | None) -> list[Audience]:
    shadow()
    return load_config("audiences.yml", AudiencesFile).audiences
