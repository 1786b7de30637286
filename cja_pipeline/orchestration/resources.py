"""The store and the landing, as Dagster hands them to assets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from cja_pipeline.attempts import Attempt, claim
from cja_pipeline.night_lock import Holder, night_lock
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.store import open_warehouse
from cja_pipeline.warehouse import Warehouse

ATTEMPT_TAG = "cja/attempt"  # of a run that has held the lock: without it now, it is dead


class Store(dg.ConfigurableResource):
    """Opens the warehouse for one step. One writer at a time: steps run one after the other.

    For as long as a run lasts it holds the night's lock, so that a second run waits, and the attempt that
    every commit is checked against, so that a run that was given up cannot write into its successor's work.
    """

    _attempt: Attempt | None = PrivateAttr(default=None)

    @property
    def settings(self) -> Settings:
        return get_settings().prepare()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Store]:
        run_id = context.run.run_id if context.run else "outside of a run"

        def given_up(holder: Holder) -> bool:
            run = context.instance.get_run_by_id(holder.run_id) if context.instance else None
            return run is not None and run.is_finished

        with night_lock(self.settings.home, run_id, given_up=given_up):
            with self._opened() as warehouse:
                self._attempt = claim(warehouse, run_id)
            if context.instance and context.run:
                context.instance.add_run_tags(run_id, {ATTEMPT_TAG: str(self._attempt.number)})
            yield self

    @contextmanager
    def open(self) -> Iterator[Warehouse]:
        """The warehouse for one step; SupersededError if another run has claimed it since this one began."""
        with self._opened() as warehouse:
            if self._attempt is not None:
                self._attempt.guard(warehouse)
            yield warehouse

    @contextmanager
    def _opened(self) -> Iterator[Warehouse]:
        with open_warehouse(self.settings) as warehouse:
            yield warehouse
