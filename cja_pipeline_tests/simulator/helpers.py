"""Talk to a mock as a client would."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from cja_pipeline.simulator.mocks import transport

HEADERS = {
    "ga4": {"Authorization": "Bearer x"},
    "hubspot": {"Authorization": "Bearer x"},
    "klaviyo": {"Authorization": "Klaviyo-API-Key x", "revision": "2026-07-15"},
    "meta": {"Authorization": "Bearer x"},
}


def client(folder: Path, vendor: str, now: dt.datetime, options: str = "") -> httpx.Client:
    """An in-process client of one vendor."""
    mount = transport(f"mock://{vendor}{options}", folder, now)
    return httpx.Client(transport=mount, base_url=f"mock://{vendor}", headers=HEADERS[vendor])


def linked(http: httpx.Client, path: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Pages that follow one another by an absolute link (Klaviyo, Graph)."""
    answer = http.get(path, params=params).raise_for_status().json()
    while True:
        yield answer
        link = (answer.get("links") or answer.get("paging") or {}).get("next")
        if not link:
            return
        answer = http.get(link).raise_for_status().json()


def searched(http: httpx.Client, kind: str, body: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """All results of a CRM search."""
    results: list[dict[str, Any]] = []
    body = {"limit": 200, "filterGroups": [], "sorts": [], "properties": [], **(body or {})}
    while True:
        answer = http.post(f"/crm/objects/2026-09/{kind}/search", json=body).raise_for_status().json()
        results += answer["results"]
        if "paging" not in answer:
            return results
        body["after"] = answer["paging"]["next"]["after"]


def tree_hash(folder: Path) -> str:
    """Hash of all files below a folder, names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "cache" not in path.relative_to(folder).parts:
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()
