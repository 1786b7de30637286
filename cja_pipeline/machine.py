"""What a piece of work cost on this machine: wall seconds, CPU seconds, peak memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of this process and its ended children; peak resident memory in megabytes."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class Meter:
    """Measures from its creation. On Linux the memory peak is that of the measured time alone; elsewhere
    it is the process's peak so far, because only Linux can reset it."""

    def __init__(self) -> None:
        if CLEAR_REFS.exists():
            # not permitted in some containers: the peak is then the process's own
            with contextlib.suppress(OSError):
                CLEAR_REFS.write_text("5")  # resets the peak of the resident set
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def read(self) -> Cost:
        return Cost(time.perf_counter() - self._wall, _cpu_seconds() - self._cpu, peak_mb())


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a fresh process, so that memory is measured for this part alone; returns what it returns."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_mb() -> float:
    """Peak resident memory of this process in megabytes."""
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1e6 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
