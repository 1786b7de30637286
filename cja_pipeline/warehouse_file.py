"""Opening the warehouse's file, which one process has at a time, and the folder it spills to."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any

import duckdb

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5
BEGAN = time.time()


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


def clear_spilled(folder: Path) -> None:
    """Remove what processes that were killed have left in the folder for what does not fit into memory.

    Call it while the warehouse is open: then nobody else spills there. What this process spilled itself has
    its number in the name and is not older than it.
    """
    own = f"duckdb_temp_{os.getpid()}_"
    for file in folder.glob("duckdb_temp_*"):
        if not file.name.startswith(own) or file.stat().st_mtime < BEGAN:
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none, or this process uses it
        folder.rmdir()
