"""The store and the landing, as Dagster hands them to assets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.warehouse import Warehouse


class Store(dg.ConfigurableResource):
    """Opens the warehouse for one step. One writer at a time: steps run one after the other."""

    @property
    def settings(self) -> Settings:
        return get_settings().prepare()

    @contextmanager
    def open(self) -> Iterator[Warehouse]:
        settings = self.settings
        with Warehouse(
            settings.warehouse_path, memory_limit=settings.memory_limit, threads=settings.threads
        ) as warehouse:
            yield warehouse
