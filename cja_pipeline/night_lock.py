"""One night at a time: a lock that the operating system releases when its holder dies, however it dies.

So there is no stale lock to clean up. The file names the last holder (process, run, since when), which is how
`cja doctor` knows whether a run that Dagster believes alive has a living process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

progress = logging.getLogger("cja_pipeline.progress")
NAME = "night.lock"
PATIENCE_SECONDS = 3600.0
PAUSE_SECONDS = 0.5


class NightRunningError(RuntimeError):
    """Another run is writing and did not end within the time one may wait."""


@dataclass(frozen=True)
class Holder:
    """Who took the lock last."""

    pid: int
    run_id: str
    since: str

    def __str__(self) -> str:
        return f"run {self.run_id} (process {self.pid}, since {self.since} UTC)"


@contextlib.contextmanager
def night_lock(
    home: Path,
    run_id: str,
    *,
    patience: float = PATIENCE_SECONDS,
    given_up: Callable[[Holder], bool] = lambda _: False,
) -> Iterator[None]:
    """Hold the lock of `home` while the block runs; a second process waits for the first.

    `given_up` says whether the holder's run is known to be over although its process lives; then a new lock
    file takes the place of the old one, and the old process is kept from committing by its attempt number.

    Raises:
        NightRunningError: the other run did not end within `patience` seconds.
    """
    path = home / NAME
    descriptor = _acquire(path, patience, given_up)
    try:
        holder = Holder(os.getpid(), run_id, f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        yield
        with contextlib.suppress(OSError):  # a full disk cannot keep a finished night from being over
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def last_holder(home: Path) -> Holder | None:
    """Who took the lock last and did not give it back in order: running, or dead. None after a clean end."""
    try:
        return Holder(**json.loads((home / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_held(home: Path) -> bool:
    """Whether a living process holds the lock."""
    path = home / NAME
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def _acquire(path: Path, patience: float, given_up: Callable[[Holder], bool]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    until, told = time.monotonic() + patience, False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _try(descriptor) and _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)
        holder = last_holder(path.parent)
        if holder is not None and given_up(holder):
            path.unlink(missing_ok=True)
            continue
        if time.monotonic() > until:
            raise NightRunningError(
                f"{holder or 'another process'} is at work in {path.parent} and did not end within "
                f"{patience:.0f} s. One night runs at a time: wait for it, or see `cja doctor`."
            )
        if not told:
            progress.info("Waiting for %s, which is at work.", holder or "another process")
            told = True
        time.sleep(PAUSE_SECONDS)


def _try(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no fcntl; runs are one at a time there by Dagster's queue alone
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one that others will open, not one that was replaced meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
