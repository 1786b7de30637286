"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cja_pipeline.crashpoints import crashpoint


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a temporary file beside it, flushed to disk, renamed over it. It is its
    owner's alone, wherever it is written."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        # made anew: a link that somebody laid there in a shared folder is not followed
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
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
