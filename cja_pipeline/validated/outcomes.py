"""What a check found, as kept in ``quality.results``: counts and shares in words, never values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from cja_pipeline.warehouse import Warehouse

RESULTS = "quality.results"


@dataclass
class Outcome:
    """One check of one table in one run; the fields are the columns of ``quality.results``."""

    run_id: str
    checked_at: dt.datetime
    table_name: str
    check_id: str
    description: str
    severity: str
    action: str
    passed: bool
    observed: str
    expected: str
    rows_checked: int | None = None
    rows_failed: int | None = None
    share_failed: float | None = None
    error: str | None = None
    advice: str = ""
    night: dt.date | None = None

    @property
    def blocking(self) -> bool:
        """Whether its failure stops everything downstream."""
        return self.severity == "critical"


def own_outcome(
    run_id: str, asset: str, check_id: str, text: str, passed: bool, metadata: Mapping[str, Any]
) -> Outcome:
    """The outcome of a blocking check that an asset makes itself.

    Args:
        text: what must hold, then what to do after ``When red:``.
        metadata: what the check tells, as plain values or wrapped ones with a `value`.
    """
    description, _, advice = text.partition(" When red: ")
    told = {key: getattr(value, "value", value) for key, value in metadata.items()}
    observed = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items())
    return Outcome(
        run_id, now(), asset, check_id, description, "critical", "block", passed, observed,
        "as described", advice=advice or "Look at the run of this step.",
    )  # fmt: skip


def now() -> dt.datetime:
    """The moment of a check (naive UTC)."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)


def store(warehouse: Warehouse, table: str, run_id: str, outcomes: Sequence[Outcome]) -> None:
    """Replace the results of this table in this run, and note the night that they are about."""
    night = None
    if warehouse.exists("quality.ledger"):
        night = warehouse.scalar("SELECT max(day) FROM quality.ledger")
    with warehouse.transaction():
        warehouse.ensure(RESULTS)
        warehouse.execute(f"DELETE FROM {RESULTS} WHERE run_id = ? AND table_name = ?", [run_id, table])
        if outcomes:
            rows = [astuple(replace(outcome, night=night)) for outcome in outcomes]
            row = "(" + ", ".join("?" * len(rows[0])) + ")"
            warehouse.execute(
                f"INSERT INTO {RESULTS} VALUES {', '.join([row] * len(rows))}",
                [value for values in rows for value in values],
            )


def number(value: int | float | None) -> str:
    """A count with thousands separators, a fraction with up to four digits."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def share(part: int, whole: int) -> str:
    """``12 of 10,000 rows (0.12 %)``."""
    percent = 100 * part / whole if whole else 0.0
    return f"{part:,} of {whole:,} rows ({percent:.2f} %)"
