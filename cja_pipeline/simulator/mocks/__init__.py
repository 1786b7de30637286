"""The vendors' mocks: plain functions over a world, mounted in this process or served over HTTP.

In this process a base address ``mock://hubspot?faults=429:0.02,trunc:0.01`` stands for the vendor; over
HTTP the first segment of the path does (``http://127.0.0.1:8765/hubspot/crm/objects/...``), and the header
``X-Mock-Now`` carries the logical time (ISO, UTC; without it, the real time).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from cja_pipeline.simulator.faults import Faults, parse_faults
from cja_pipeline.simulator.world import World

from . import ga4, hubspot, klaviyo, meta

SILENCE = 90.0  # seconds without an answer, for the fault `timeout` over HTTP
Handler = Callable[[httpx.Request, World, dt.datetime], httpx.Response]
VENDORS: dict[str, Handler] = {
    "ga4": ga4.handle,
    "hubspot": hubspot.handle,
    "klaviyo": klaviyo.handle,
    "meta": meta.handle,
}


def transport(url: str, folder: Path, now: dt.datetime) -> httpx.MockTransport:
    """The vendor of a ``mock://`` address over the world in `folder`, as it is at `now` (aware).

    Options in the address: ``faults`` and ``now`` (ISO; replaces `now`). Raises ValueError for an unknown
    vendor or option, FileNotFoundError without a world.
    """
    parts = urlsplit(url)
    vendor = parts.hostname or ""
    if parts.scheme != "mock" or vendor not in VENDORS:
        raise ValueError(f"{url!r}: expected mock:// and one of {', '.join(VENDORS)}")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    unknown = set(options) - {"faults", "now"}
    if unknown:
        raise ValueError(f"{url!r}: unknown option {sorted(unknown)[0]!r}; known are faults and now")
    moment = parse_now(options["now"]) if "now" in options else now
    if moment.tzinfo is None:
        raise ValueError("the mock's time must have a time zone")
    world, faults, handler = (
        World.open(folder),
        Faults(parse_faults(options.get("faults")), vendor),
        VENDORS[vendor],
    )

    def serve(request: httpx.Request) -> httpx.Response:
        return faults.apply(faults.choose(request), request, handler(request, world, moment))

    return httpx.MockTransport(serve)


def parse_now(text: str) -> dt.datetime:
    """An ISO time; without a zone it is UTC. ValueError otherwise."""
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def app(folder: Path, faults: str | None = None) -> Callable[..., Awaitable[None]]:
    """An ASGI application that serves all vendors over the world in `folder`."""
    World.open(folder)
    shares = parse_faults(faults)
    by_vendor = {vendor: Faults(shares, vendor) for vendor in VENDORS}

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            response = _dispatch(scope, body, folder, by_vendor)
        except httpx.TransportError as error:
            # an answer that never completes: the server closes the connection
            if isinstance(error, httpx.TimeoutException):
                await asyncio.sleep(SILENCE)
            headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"', "more_body": True})
            return
        kept = [(k.lower(), v) for k, v in response.headers.raw if k.lower() != b"transfer-encoding"]
        await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": response.content})

    return serve


def _dispatch(scope: dict[str, Any], body: bytes, folder: Path, faults: dict[str, Faults]) -> httpx.Response:
    raw = scope.get("raw_path") or scope["path"].encode()
    _, vendor, rest = (raw.split(b"?")[0] + b"/").split(b"/", 2)
    name = vendor.decode("latin-1")
    if name not in VENDORS:
        return httpx.Response(404, json={"vendors": [f"/{known}" for known in VENDORS]})
    headers = [(k, v) for k, v in scope["headers"] if k != b"host"]
    given = dict(scope["headers"])
    host = given.get(b"host", b"127.0.0.1").decode("latin-1")
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    try:
        now = (
            parse_now(given[b"x-mock-now"].decode("latin-1"))
            if b"x-mock-now" in given
            else dt.datetime.now(dt.UTC)
        )
    except ValueError:
        return httpx.Response(400, json={"message": "X-Mock-Now is not an ISO time"})
    url = f"{scope.get('scheme', 'http')}://{host}/" + (rest.rstrip(b"/") + query).decode("latin-1")
    request = httpx.Request(
        scope["method"], url, headers=headers, content=body, extensions={"root": f"/{name}"}
    )
    return faults[name].apply(
        faults[name].choose(request), request, VENDORS[name](request, World.open(folder), now)
    )


__all__ = ["VENDORS", "app", "parse_now", "transport"]
