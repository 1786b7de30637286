"""Faults of vendors on request: which answer goes wrong is decided by a hash, so that retries are
reproducible.

Kinds: 429 (too many requests, with Retry-After), 500, 503, trunc (body cut off), html (an error page with
status 200), dup (the previous page once more), reset (connection dropped), timeout, daily (a quota that
does not recover).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from urllib.parse import parse_qsl

import httpx

KINDS = ("429", "500", "503", "trunc", "html", "dup", "reset", "timeout", "daily")
_HTML = (
    b"<!DOCTYPE html><html><head><title>Service unavailable</title></head>"
    b"<body><h1>We will be right back</h1></body></html>"
)


def parse_faults(text: str | None) -> dict[str, float]:
    """``429:0.02,trunc:0.01`` -> {kind: share of requests}; ValueError names what is wrong."""
    faults: dict[str, float] = {}
    for part in filter(None, (text or "").split(",")):
        kind, _, share = part.partition(":")
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(KINDS)}")
        try:
            faults[kind] = float(share or "nan")
        except ValueError:
            raise ValueError(f"fault {part!r}: expected kind:share with a share from 0 to 1") from None
        if not 0 <= faults[kind] <= 1:
            raise ValueError(f"fault {part!r}: expected kind:share with a share from 0 to 1")
    return faults


class Faults:
    """Decides per request; the same request is counted, and each attempt draws anew but reproducibly."""

    def __init__(self, shares: dict[str, float], vendor: str) -> None:
        self.shares, self.vendor = shares, vendor
        self._attempts: Counter[bytes] = Counter()
        self._previous: dict[str, httpx.Response] = {}

    def choose(self, request: httpx.Request) -> str | None:
        """The fault that this attempt meets, or None."""
        if not self.shares:
            return None
        query = sorted(pair for pair in parse_qsl(request.url.query.decode()) if pair[0] != "access_token")
        what = (
            f"{self.vendor} {request.method} {request.url.path.rsplit('//')[-1]} {query}".encode()
            + request.content
        )
        digest = hashlib.sha256(what).digest()
        attempt = self._attempts[digest]
        self._attempts[digest] += 1
        draw = int.from_bytes(hashlib.sha256(digest + attempt.to_bytes(4, "big")).digest()[:8], "big") / 2**64
        for kind, share in self.shares.items():
            if draw < share:
                return kind
            draw -= share
        return None

    def apply(self, kind: str | None, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        """The answer as it arrives; raises httpx transport errors for dropped connections."""
        place = f"{request.method} {request.url.path}"
        previous = self._previous.get(place)
        if response.status_code == 200 and "json" in response.headers.get("content-type", ""):
            self._previous[place] = response
        if kind is None or response.status_code >= 400:
            return response
        if kind == "reset":
            raise httpx.ReadError("connection reset by peer", request=request)
        if kind == "timeout":
            raise httpx.ReadTimeout("the server did not answer in time", request=request)
        if kind == "trunc":
            return httpx.Response(
                200,
                headers={"content-type": response.headers["content-type"]},
                content=response.content[: len(response.content) * 2 // 3],
            )
        if kind == "html":
            return httpx.Response(200, headers={"content-type": "text/html; charset=utf-8"}, content=_HTML)
        if kind == "dup":
            return previous if previous is not None else response
        if kind in ("500", "503"):
            return httpx.Response(
                int(kind), headers={"content-type": "text/plain"}, content=b"upstream error"
            )
        return too_many(self.vendor, daily=kind == "daily")


def too_many(vendor: str, daily: bool = False) -> httpx.Response:
    """The vendor's own way of saying that there were too many requests."""
    if vendor == "hubspot":
        policy = "DAILY" if daily else "TEN_SECONDLY_ROLLING"
        body: dict[str, object] = {
            "status": "error",
            "message": "You have reached your limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
            "policyName": policy,
        }
        return httpx.Response(429, headers={"Retry-After": "1"} if not daily else {}, json=body)
    if vendor == "meta":
        body = {
            "error": {
                "message": "(#17) User request limit reached",
                "type": "OAuthException",
                "is_transient": True,
                "code": 17,
                "error_subcode": 2446079,
                "fbtrace_id": "AFakeTrace17",
            }
        }
        return httpx.Response(400, json=body)
    if vendor == "klaviyo":
        body = {
            "errors": [
                {
                    "id": "throttled-1",
                    "status": 429,
                    "code": "throttled",
                    "title": "Request was throttled.",
                    "detail": "Request was throttled. Expected available in 1 second.",
                    "source": {"pointer": "/data/"},
                }
            ]
        }
        return httpx.Response(
            429, headers={"Retry-After": "1", "content-type": "application/vnd.api+json"}, json=body
        )
    body = {
        "error": {
            "code": 429,
            "message": "Rate limit exceeded",
            "errors": [
                {"domain": "usageLimits", "reason": "rateLimitExceeded", "message": "Rate limit exceeded"}
            ],
        }
    }
    return httpx.Response(429, headers={"Retry-After": "1"}, json=body)
