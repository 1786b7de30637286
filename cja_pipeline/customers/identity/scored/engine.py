"""Splink on a database of its own, silent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from splink import Linker

THREADS = 2


def linker(records: pa.Table, settings: Any) -> Linker:
    """A linker over linkage rows (see ``linkage.SELECT``)."""
    import duckdb
    from splink import DuckDBAPI, Linker

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute("SET enable_progress_bar = false")
    # insertion order costs memory and means nothing here
    connection.execute("SET preserve_insertion_order = false")
    return Linker(DuckDBAPI(connection).register(records), settings, log_level=None, validate_settings=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Splink tells about every training step; only its errors matter here."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
