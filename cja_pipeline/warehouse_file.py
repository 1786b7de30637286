"""Opening the warehouse's file, which one process has at a time."""

from __future__ import annotations

import re
import time
from typing import Any

import duckdb

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5


class WarehouseBusyError(RuntimeError):
    """Another process holds the warehouse file."""


def connect(path: str, config: dict[str, Any], patience: float) -> duckdb.DuckDBPyConnection:
    """Open the file, waiting so many seconds for whoever has it.

    Raises:
        WarehouseBusyError: somebody still has it; the message names the process and what to do.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(path, config=config)
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            if time.monotonic() > deadline:
                owner = re.search(r"PID (\d+)", str(error))
                raise WarehouseBusyError(
                    f"{path} is held by process {owner[1] if owner else '(unknown)'}. It has one user at "
                    "a time: close the notebook or program that has it open, or wait for the run that "
                    "writes it. People and tools read the published tables instead."
                ) from error
            time.sleep(PAUSE_SECONDS)
