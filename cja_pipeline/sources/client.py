"""One HTTP client for all vendors: retries, deadlines, limits, and nothing secret in any message."""

from __future__ import annotations

import hashlib
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from cja_pipeline import __version__
from cja_pipeline.sources.addresses import require_public
from cja_pipeline.sources.bodies import bounded, chunks, limited
from cja_pipeline.sources.credentials import guard_logs, redact, without_secrets
from cja_pipeline.sources.errors import AuthError, Transient, UnavailableError, VendorError
from cja_pipeline.sources.replies import fault_of, parse_json

log = logging.getLogger(__name__)
progress = logging.getLogger("cja_pipeline.progress")
TOLD_SECONDS = 5.0
T = TypeVar("T")
Check = Callable[[Any], str | None]
PASSING_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError)


@dataclass(frozen=True)
class Limits:
    """How long and how large: seconds per attempt, per request with all its attempts and waits, bytes."""

    attempts: int = 7
    attempt_seconds: float = 60.0
    download_seconds: float = 1800.0
    request_seconds: float = 900.0
    max_wait: float = 300.0
    json_bytes: int = 64 * 1024 * 1024


class VendorClient:
    """Requests to one vendor's host, and to no other.

    `base_url` has no query; `auth` makes headers from the token that `token()` returns (read anew once after
    a 401). `transport` replaces the network (the simulator's mocks and tests); then no real waiting is done
    unless `sleep` says so. `requests_per_second` spaces the requests out. `public_only` refuses a host whose
    name leads to a private address. Counters `calls` and `retries` run over the client's life. Raises the
    errors of `errors.py`; close it, or use it as a context manager.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        token: Callable[[], str],
        auth: Callable[[str], Mapping[str, str]],
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        requests_per_second: float | None = None,
        public_only: bool = False,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        guard_logs()
        self.base_url = base_url.rstrip("/")
        self.name = name
        self.calls = 0
        self.retries = 0
        self._limits = limits or Limits()
        self._read_token, self._auth = token, auth
        self._token: str | None = None
        self._in_process = transport is not None
        self._public_only = public_only and not self._in_process
        self._sleep = sleep or ((lambda _: None) if self._in_process else time.sleep)
        self._gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next_at = 0.0
        self._http = httpx.Client(
            transport=transport,
            headers={
                "User-Agent": f"cja-pipeline/{__version__}",
                "Accept": "application/json",
                **(headers or {}),
            },
            timeout=httpx.Timeout(20.0, read=30.0),
            follow_redirects=False,
        )

    def __enter__(self) -> VendorClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, check: Check | None = None) -> Any:
        """GET `path` (or an absolute URL of the same host) and return its JSON value.

        `check` says what is wrong with the value, or None; a wrong one counts as a failed attempt.
        """
        return self._json("GET", path, params, None, check)

    def post(self, path: str, body: Any, check: Check | None = None) -> Any:
        """POST a JSON `body` to a reading endpoint and return the JSON value of the answer."""
        return self._json("POST", path, None, body, check)

    def download(
        self, path: str, target: Path, params: Mapping[str, Any] | None = None, *, size: int, md5: str | None
    ) -> str:
        """Fetch a file of exactly `size` bytes into `target`; return its SHA-256 in hexadecimal.

        A short, long or altered body (`md5` is the Base64 digest of the listing) counts as a failed attempt.
        """

        def read(response: httpx.Response, until: float) -> str:
            if response.headers.get("content-type", "").startswith("text/html"):
                raise Transient(f"HTTP {response.status_code} with a web page instead of a file")
            sha, digest, length = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
            with target.open("wb") as file:
                for chunk in chunks(response, until):
                    length += len(chunk)
                    if length > size:
                        raise Transient(f"the file is longer than the {size} bytes announced")
                    sha.update(chunk)
                    digest.update(chunk)
                    file.write(chunk)
            if length != size:
                raise Transient(f"the file ends after {length} of {size} bytes")
            if md5 and b64encode(digest.digest()).decode() != md5:
                raise Transient("the file's MD5 differs from the listing's")
            return sha.hexdigest()

        return self._request("GET", path, params, None, read, self._limits.download_seconds)

    def follow(self, link: str) -> str:
        """A vendor's `next` link, ready to be requested: same host only, credentials removed."""
        base = httpx.URL(self.base_url)
        url = base.join(link)
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise VendorError(f"{self.name}: the next page is on another host ({url.host}); not followed")
        return without_secrets(str(url))

    def _json(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: Any, check: Check | None
    ) -> Any:
        def read(response: httpx.Response, until: float) -> Any:
            value = parse_json(response, limited(response, self._limits.json_bytes, until))
            if check is not None and (wrong := check(value)):
                raise Transient(wrong)
            return value

        return self._request(method, path, params, body, read, self._limits.attempt_seconds)

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Any,
        read: Callable[[httpx.Response, float], T],
        seconds: float,
    ) -> T:
        url = path if "://" in path else f"{self.base_url}{path}"
        what = f"{self.name}: {method} {httpx.URL(url).path}"
        renewed = False
        while True:
            try:
                return self._with_retries(
                    what, lambda: self._attempt(method, url, params, body, read, seconds)
                )
            except AuthError as error:
                previous, self._token = self._token, None
                if renewed or self._current_token() == previous:
                    raise AuthError(
                        f"{what}: {error}. The vendor does not accept the token; renew it where it is kept."
                    ) from None
                renewed = True
            except VendorError as error:
                message = redact(f"{what}: {error}", (self._token or "",))
                raise type(error)(message) from None

    def _with_retries(self, what: str, attempt: Callable[[], T]) -> T:
        limits = self._limits
        backoff = wait_random_exponential(multiplier=1, max=30)

        def wait(state: RetryCallState) -> float:
            asked = getattr(state.outcome.exception() if state.outcome else None, "retry_after", None)
            return asked if asked is not None else backoff(state)

        def note(state: RetryCallState) -> None:
            self.retries += 1
            reason = state.outcome.exception() if state.outcome else None
            text = redact(str(reason), (self._token or "",))
            to = progress if state.upcoming_sleep >= TOLD_SECONDS else log  # a short wait is no news
            to.info("%s: attempt %d failed (%s); trying again", what, state.attempt_number, text)

        retrying = Retrying(
            stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.request_seconds),
            wait=wait,
            retry=retry_if_exception_type(Transient),
            before_sleep=note,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Transient as error:
            tried = retrying.statistics.get("attempt_number", 1)
            raise UnavailableError(f"gave up after {tried} attempts, last: {error}") from None

    def _attempt(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        body: Any,
        read: Callable[[httpx.Response, float], T],
        seconds: float,
    ) -> T:
        self._pace()
        if self._public_only:
            require_public(httpx.URL(url).host)
        self.calls += 1
        headers = self._auth(self._current_token())
        until = time.monotonic() + seconds

        def send() -> T:
            # params=None keeps the query of an absolute link; {} would wipe it.
            with self._http.stream(method, url, params=params, json=body, headers=headers) as response:
                if not response.is_success:
                    text = limited(response, 256 * 1024, until)
                    raise fault_of(response, text, self._limits.max_wait)
                return read(response, until)

        try:
            return send() if self._in_process else bounded(send, seconds)
        except PASSING_ERRORS as error:
            raise Transient(f"{type(error).__name__}: {redact(str(error))[:120]}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise VendorError(f"{type(error).__name__}: {redact(str(error))[:120]}") from None

    def _current_token(self) -> str:
        if self._token is None:
            self._token = self._read_token()
        return self._token

    def _pace(self) -> None:
        if self._gap:
            now = time.monotonic()
            if now < self._next_at:
                time.sleep(self._next_at - now)
            self._next_at = max(now, self._next_at) + self._gap
