"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cja_pipeline.crashpoints import crashpoint


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a temporary file beside it, flushed to disk, renamed over it."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        crashpoint("report:temporary")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    crashpoint("report:renamed")
    with contextlib.suppress(OSError):  # not every file system can flush a folder
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
