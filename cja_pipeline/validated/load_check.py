"""What a check of loading is: looked up in the books and the drift findings, without a pass over the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cja_pipeline.validated.suites import Suite
from cja_pipeline.warehouse import Warehouse

NAMES_TOLD = 6


@dataclass
class Finding:
    """Whether a check passed, and what it saw."""

    passed: bool
    observed: str
    rows_checked: int | None = None
    rows_failed: int | None = None


@dataclass(frozen=True)
class LoadCheck:
    """A check of every loaded table; `evaluate` gets the warehouse, the suite and the days of the run."""

    check_id: str
    description: str
    expected: str
    advice: str
    evaluate: Callable[[Warehouse, Suite, Sequence[dt.date]], Finding]
    blocking: bool = False
    applies: Callable[[Suite], bool] = lambda suite: True

    @property
    def severity(self) -> str:
        return "critical" if self.blocking else "warning"

    @property
    def action(self) -> str:
        return "block" if self.blocking else "warn"

    def entry(self) -> dict[str, str]:
        """The check as the definitions need it."""
        names = ("check_id", "description", "severity", "action", "advice")
        return {name: getattr(self, name) for name in names}


def named(days: Sequence[dt.date]) -> str:
    """The first of some days in brackets, nothing if there are none."""
    if not days:
        return ""
    told = ", ".join(day.isoformat() for day in days[:NAMES_TOLD])
    return f" ({told}{', …' if len(days) > NAMES_TOLD else ''})"
