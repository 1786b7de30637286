"""Served over HTTP, the mocks answer exactly as in the same process."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cja_pipeline.simulator.mocks import app

from .helpers import HEADERS, client

PATHS = [
    ("ga4", "/storage/v1/b/nordlicht/o?prefix=events_202610&maxResults=3"),
    ("ga4", "/storage/v1/b/nordlicht/o/events_20261007%2Fpart-000.parquet?alt=media"),
    ("hubspot", "/crm/objects/2026-09/contacts?limit=5&properties=email,firstname&archived=false"),
    ("hubspot", "/crm/objects/2026-09/contacts?limit=500"),
    ("klaviyo", "/api/events?page%5Bsize%5D=20&include=metric,profile"),
    ("meta", "/v25.0/2001/posts?fields=id,message,reactions.summary(true)&limit=2"),
    ("meta", "/v25.0/2001/nothing"),
]


def plain(vendor: str, response: httpx.Response) -> tuple[int, str | None, bytes]:
    """Status, content type and body with the place of the server taken out."""
    body = response.content.replace(b"mock://" + vendor.encode(), b"").replace(
        b"http://mocks/" + vendor.encode(), b""
    )
    return response.status_code, response.headers.get("content-type"), body


def test_asgi_equals_in_process(folder: Path, night: dt.datetime) -> None:
    async def ask(vendor: str, path: str) -> httpx.Response:
        mount = httpx.ASGITransport(app=app(folder))
        headers = HEADERS[vendor] | {"X-Mock-Now": night.isoformat()}
        async with httpx.AsyncClient(transport=mount, base_url="http://mocks", headers=headers) as http:
            return await http.get(f"/{vendor}{path}")

    for vendor, path in PATHS:
        served = asyncio.run(ask(vendor, path))
        with client(folder, vendor, night) as http:
            assert plain(vendor, served) == plain(vendor, http.get(path)), path


@contextmanager
def serving(folder: Path, faults: str | None = None) -> Iterator[str]:
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(app(folder, faults), port=port, log_level="critical"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)


def test_real_sockets(folder: Path, night: dt.datetime) -> None:
    with serving(folder) as server, httpx.Client() as http:
        check_server(server, http, folder, night)


def check_server(server: str, http: httpx.Client, folder: Path, night: dt.datetime) -> None:
    now = {"X-Mock-Now": night.isoformat()}
    page = http.get(f"{server}/klaviyo/api/events?page%5Bsize%5D=50", headers=HEADERS["klaviyo"] | now).json()
    assert page["links"]["next"].startswith(f"{server}/klaviyo/api/events?")
    second = http.get(page["links"]["next"], headers=HEADERS["klaviyo"] | now).json()
    assert {e["id"] for e in page["data"]}.isdisjoint(e["id"] for e in second["data"])
    body = {"limit": 3, "filterGroups": [], "sorts": [], "properties": ["email"]}
    found = http.post(
        f"{server}/hubspot/crm/objects/2026-09/contacts/search",
        json=body,
        headers=HEADERS["hubspot"] | now,
    )
    with client(folder, "hubspot", night) as inside:
        assert found.json() == inside.post("/crm/objects/2026-09/contacts/search", json=body).json()
    assert http.get(f"{server}/").status_code == 404
    assert (
        http.get(
            f"{server}/meta/v25.0/2001/posts", headers=HEADERS["meta"] | {"X-Mock-Now": "soon"}
        ).status_code
        == 400
    )
    early = now | {"X-Mock-Now": "2020-01-01T00:00:00Z"}
    assert "items" not in http.get(f"{server}/ga4/storage/v1/b/x/o", headers=HEADERS["ga4"] | early).json()


def test_a_dropped_connection_is_a_dropped_connection(folder: Path, night: dt.datetime) -> None:
    with serving(folder, "reset:1") as server, pytest.raises(httpx.TransportError):
        httpx.get(f"{server}/meta/v25.0/2001/posts", headers=HEADERS["meta"])
