"""Reading answers within limits of time and size."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx

from cja_pipeline.sources.errors import Transient, VendorError

T = TypeVar("T")
CHUNK = 256 * 1024


def chunks(response: httpx.Response, until: float) -> Iterator[bytes]:
    """Decoded pieces of the body; Transient once the monotonic clock passes `until`."""
    for chunk in response.iter_bytes(CHUNK):
        if time.monotonic() > until:
            raise Transient("the answer was not complete within the time allowed")
        yield chunk


def limited(response: httpx.Response, most: int, until: float) -> bytes:
    """The whole decoded body; VendorError if it is larger than `most` bytes (bombs included)."""
    parts, length = [], 0
    for chunk in chunks(response, until):
        length += len(chunk)
        if length > most:
            raise VendorError(f"the answer is larger than {most // 1024} kB")
        parts.append(chunk)
    return b"".join(parts)


def bounded(work: Callable[[], T], seconds: float) -> T:
    """Run `work`, but wait for it `seconds` at most: the time limits of sockets apply to each read only,
    and name resolution has none. A late attempt is left behind; it ends at its own next time check."""
    box: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put((True, work()))
        except BaseException as error:
            box.put((False, error))

    threading.Thread(target=run, daemon=True, name="vendor-request").start()
    try:
        done, value = box.get(timeout=seconds)
    except queue.Empty:
        raise Transient(f"no complete answer within {seconds:.0f} s") from None
    if not done:
        raise value
    return value
