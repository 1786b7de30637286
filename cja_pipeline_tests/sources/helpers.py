"""Shared by the tests of the sources: reading landings, building clients and configurations."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cja_pipeline.sources.client import Limits, VendorClient
from cja_pipeline.sources.registry import MODELS, SourceConfig

AS_OF = dt.datetime(2026, 3, 11, 3, 0, tzinfo=dt.UTC)  # 04:00 in Berlin
DAY = dt.date(2026, 3, 10)
ZONE = "Europe/Berlin"
QUICK = Limits(attempts=4, attempt_seconds=1.0, download_seconds=2.0, request_seconds=20.0, max_wait=30.0)


def client(url: str, **options: Any) -> VendorClient:
    """A client without waiting between attempts, with a secret token."""
    options = {"limits": QUICK, "sleep": lambda _: None, "token": lambda: "s3cret-token"} | options
    return VendorClient(
        url, name="crm (hubspot)", auth=lambda token: {"Authorization": f"Bearer {token}"}, **options
    )


def answering(handler: Callable[[httpx.Request], Any]) -> httpx.MockTransport:
    """A transport that turns plain values into JSON answers."""

    def handle(request: httpx.Request) -> httpx.Response:
        value = handler(request)
        return value if isinstance(value, httpx.Response) else httpx.Response(200, json=value)

    return httpx.MockTransport(handle)


def source(kind: str, base_url: str, **settings: Any) -> SourceConfig:
    """A source's configuration with the ids it needs."""
    ids = {"ga4": {"bucket": "exports"}, "meta": {"account": "act_7", "page": "9"}}.get(kind, {})
    return MODELS[kind](kind=kind, base_url=base_url, name="the_source", **(ids | settings))


def lines(folder: Path) -> list[Any]:
    """The records of a landed folder, in order."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("part-*.jsonl.gz"))
        for line in gzip.open(path, "rt", encoding="utf-8")
    ]


def rejects(folder: Path) -> list[dict[str, str]]:
    """The records put aside in a landed folder."""
    path = folder / "rejected" / "records.jsonl.gz"
    return [json.loads(line) for line in gzip.open(path, "rt")] if path.exists() else []


def contents(landing: Path) -> dict[str, bytes]:
    """Every landed file by its path, without locks."""
    return {
        path.relative_to(landing).as_posix(): path.read_bytes()
        for path in sorted(landing.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
