"""Which run may write: every run is an attempt with a number, and only the newest attempt may commit.

Dagster can give a run up (it took too long, its machine was thought dead) while its process lives on. The
next attempt then claims the warehouse, and whatever the old process still tries to commit is refused: the
claim is checked inside each of its transactions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.crashpoints import crashpoint

if TYPE_CHECKING:
    from cja_pipeline.warehouse import Warehouse

TABLE = "quality.attempts"
KEPT = 200


class SupersededError(RuntimeError):
    """A newer run has claimed the warehouse; this one may not write any more. Nothing is broken."""


@dataclass(frozen=True)
class Attempt:
    """The right of one run to write, until a newer run claims it."""

    number: int
    run_id: str

    def verify(self, warehouse: Warehouse) -> None:
        """Raise SupersededError if a newer attempt has claimed the warehouse."""
        newest = warehouse.scalar(f"SELECT max_by(run_id, attempt) FROM {TABLE}")
        if newest != self.run_id:
            raise SupersededError(
                f"Run {self.run_id} was superseded by run {newest}, which does its work: "
                "this run commits nothing more. No action is needed."
            )

    def guard(self, warehouse: Warehouse) -> None:
        """Check now and before every commit of this open warehouse."""
        self.verify(warehouse)
        warehouse.before_commit = self.verify


def claim(warehouse: Warehouse, run_id: str) -> Attempt:
    """Make `run_id` the run that may write; every earlier one is refused from now on."""
    with warehouse.transaction():
        warehouse.ensure(TABLE)
        number = 1 + int(warehouse.scalar(f"SELECT coalesce(max(attempt), 0) FROM {TABLE}"))
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        warehouse.execute(f"INSERT INTO {TABLE} (attempt, run_id, claimed_at) VALUES (?, ?, ?)",
                          [number, run_id, now])  # fmt: skip
        warehouse.execute(f"DELETE FROM {TABLE} WHERE attempt <= ?", [number - KEPT])
    crashpoint("night:claimed")
    return Attempt(number, run_id)
