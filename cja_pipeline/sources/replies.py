"""What a vendor's answer means: usable, worth another try, or final.

One table for all vendors. Sources: HubSpot usage guidelines (429 with ``policyName``), Graph API error
handling (throttling arrives as HTTP 400 or 403 with a code), Google Cloud Storage JSON API (403 with a
``reason``), Klaviyo and RFC 9110 (``Retry-After`` in seconds or as a date).
"""

from __future__ import annotations

import datetime as dt
import json
import math
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from cja_pipeline.sources.credentials import redact
from cja_pipeline.sources.errors import AuthError, QuotaExhausted, Transient, VendorError

PASSING_STATUS = frozenset({408, 425, 429})
META_THROTTLED = frozenset({4, 17, 32, 613, *range(80000, 80015)})
META_PASSING = frozenset({1, 2})
META_TOKEN = frozenset({102, 190})
GOOGLE_THROTTLED = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError"})
GOOGLE_QUOTA = frozenset({"quotaExceeded", "dailyLimitExceeded"})


def fault_of(response: httpx.Response, body: bytes, max_wait: float) -> Exception:
    """The exception that an answer outside 2xx stands for.

    Transient for what may pass by itself, QuotaExhausted for used-up daily budgets and waits longer than
    `max_wait` seconds, AuthError for refused tokens, VendorError for the rest.
    """
    status = response.status_code
    detail = _payload(body)
    text = f"HTTP {status}{_message(detail)}"
    if 300 <= status < 400:
        host = httpx.URL(response.headers.get("location", "")).host or "the same host"
        return VendorError(f"HTTP {status}: a redirect to {host} was not followed")
    code, reason = _graph_code(detail), _google_reason(detail)
    if status == 401 or code in META_TOKEN:
        return AuthError(text)
    if reason in GOOGLE_QUOTA or str(detail.get("policyName", "")).upper() == "DAILY":
        return QuotaExhausted(f"{text}: the daily quota is used up")
    wait = retry_after(response.headers)
    passing = status in PASSING_STATUS or status >= 500
    throttled = code in META_THROTTLED or reason in GOOGLE_THROTTLED
    if passing or throttled or code in META_PASSING or _graph(detail).get("is_transient") is True:
        if wait is not None and wait > max_wait:
            return QuotaExhausted(f"{text}: the vendor asks to wait {wait:.0f} s, at most {max_wait:.0f} s")
        return Transient(text, wait)
    return VendorError(text)


def parse_json(response: httpx.Response, body: bytes) -> Any:
    """The JSON value of a 2xx answer; Transient if it is a web page, empty or cut off.

    Maintenance pages arrive with status 200, and a proxy may cut a body without an error: both are asked
    for again. Raises VendorError for nesting too deep to read.
    """
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") or body.lstrip()[:1] == b"<":
        raise Transient(f"HTTP {response.status_code} with a web page instead of JSON")
    try:
        return json.loads(body)
    except UnicodeDecodeError as error:
        raise Transient("the answer is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise Transient(f"JSON cut off or damaged at byte {error.pos} of {len(body)}") from None
    except RecursionError:
        raise VendorError("JSON nested too deeply to be read") from None


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait by ``Retry-After`` (a number or an HTTP date, measured against the vendor's clock)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else dt.datetime.now(dt.UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _payload(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _graph(payload: dict[str, Any]) -> dict[str, Any]:
    error = payload.get("error")
    return error if isinstance(error, dict) else {}


def _graph_code(payload: dict[str, Any]) -> int | None:
    error = _graph(payload)
    if "type" not in error and "fbtrace_id" not in error:
        return None
    code = error.get("code")
    return code if isinstance(code, int) else None


def _google_reason(payload: dict[str, Any]) -> str | None:
    errors = _graph(payload).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first.get("reason") if isinstance(first, dict) else None


def _message(payload: dict[str, Any]) -> str:
    """The vendor's own words, shortened and without tokens or addresses."""
    errors = payload.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    text = (
        _graph(payload).get("message")
        or payload.get("message")
        or first.get("detail")
        or first.get("title")
        or first.get("message")
    )
    policy = payload.get("policyName")
    parts = [str(part) for part in (text, policy and f"policy {policy}") if part]
    return f": {redact('; '.join(parts))[:200]}" if parts else ""
