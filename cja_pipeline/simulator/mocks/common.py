"""What all mocks share: cursors, addresses, JSON answers."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import httpx


def answer(body: Any, status: int = 200, content_type: str = "application/json") -> httpx.Response:
    """A JSON answer in compact UTF-8."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return httpx.Response(status, headers={"content-type": content_type}, content=text.encode())


def encode_cursor(value: Any) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decode_cursor(text: str) -> Any:
    """What `encode_cursor` was given; ValueError for anything else."""
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"cursor {text[:40]!r} is not one of ours") from error


def whole_number(text: str | None, default: int, low: int, high: int) -> int:
    """A query parameter as a number within limits; ValueError otherwise."""
    if text is None or text == "":
        return default
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"expected a number from {low} to {high}, got {text[:40]!r}")
    return int(text)


def own_address(request: httpx.Request) -> str:
    """Scheme, host and the prefix under which the vendor is served, as the client sees them."""
    root = request.extensions.get("root", "")
    return f"{request.url.scheme}://{request.url.netloc.decode()}{root}"


def bearer(request: httpx.Request, scheme: str = "Bearer") -> bool:
    """Whether the request carries a token in the right form; any token is good."""
    value = request.headers.get("authorization", "")
    return value.startswith(scheme + " ") and len(value) > len(scheme) + 1
