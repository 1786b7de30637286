"""Which warehouse the settings name."""

from __future__ import annotations

from typing import Any

from cja_pipeline.settings import Settings
from cja_pipeline.warehouse import Warehouse


def open_warehouse(settings: Settings, patience: float | None = None) -> Warehouse:
    """The warehouse for writing: a DuckDB file, or one whose models run on Spark. Who only reads may open the
    file at ``settings.warehouse_path`` in either case."""
    options: dict[str, Any] = {
        "memory_limit": settings.memory_limit, "threads": settings.threads, "patience": patience,
    }  # fmt: skip
    if settings.spark_url is None:
        return Warehouse(settings.warehouse_path, **options)
    from cja_pipeline.spark.warehouse import SparkWarehouse

    return SparkWarehouse(settings.warehouse_path, url=settings.spark_url, lake=settings.lake_dir, **options)
