"""The HTTP client against real sockets: every fault that passes is survived, every other one is told."""

from __future__ import annotations

import hashlib
import logging
import time
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from cja_pipeline.sources.client import Limits
from cja_pipeline.sources.errors import AuthError, QuotaExhausted, VendorError
from cja_pipeline_tests.sources.helpers import answering, client
from cja_pipeline_tests.sources.servers import Reply, Request, Vendor

GOOD = {"results": list(range(50))}
HTML = Reply(b"<html>We'll be back soon</html>", headers={"Content-Type": "text/html"})
PASSING = {
    "429": Reply({"message": "slow down", "policyName": "TEN_SECONDLY_ROLLING"}, 429),
    "408": Reply({}, 408),
    "425": Reply({}, 425),
    "500": Reply(b"oops", 500),
    "503 with a page": Reply(b"<html></html>", 503, {"Content-Type": "text/html"}),
    "HTML with 200": HTML,
    "HTML that says JSON": Reply(b"  <!doctype html>"),
    "empty body": Reply(b""),
    "cut body": Reply(GOOD, manner="cut"),
    "cut JSON of the right length": Reply(b'{"results": [1, 2'),
    "reset": Reply(manner="reset"),
    "not UTF-8": Reply(b'{"a": "\xff"}'),
    "damaged gzip": Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
    "Meta throttling": Reply({"error": {"message": "limit", "type": "OAuthException", "code": 17}}, 400),
    "Meta throttling 403": Reply({"error": {"message": "x", "type": "E", "code": 80004}}, 403),
    "Meta transient": Reply({"error": {"message": "x", "type": "E", "code": 99, "is_transient": True}}, 400),
    "Google rate limit": Reply({"error": {"code": 403, "errors": [{"reason": "rateLimitExceeded"}]}}, 403),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_survived(name: str) -> None:
    def script(request: Request) -> Reply:
        return PASSING[name] if request.number < 2 else Reply(GOOD)

    with Vendor(script) as vendor, client(vendor.url) as http:
        assert http.get("/crm/objects") == GOOD
        assert (http.calls, http.retries) == (3, 2)


FINAL = {
    "400": (Reply({"message": "bad filter"}, 400), VendorError, "bad filter"),
    "404": (Reply({}, 404), VendorError, "HTTP 404"),
    "missing scope": (Reply({"message": "no scope"}, 403), VendorError, "no scope"),
    "redirect": (
        Reply({}, 302, {"Location": "http://169.254.169.254/latest"}),
        VendorError,
        r"169\.254\.169\.254 was not followed",
    ),
    "daily quota": (
        Reply({"message": "out", "policyName": "DAILY"}, 429),
        QuotaExhausted,
        "daily quota",
    ),
    "Google quota": (
        Reply({"error": {"code": 403, "errors": [{"reason": "quotaExceeded"}]}}, 403),
        QuotaExhausted,
        "daily quota",
    ),
    "a wait of an hour": (Reply({}, 429, {"Retry-After": "3600"}), QuotaExhausted, "3600 s"),
    "Meta expired token": (
        Reply({"error": {"message": "Session expired", "type": "OAuthException", "code": 190}}, 400),
        AuthError,
        "does not accept the token",
    ),
}


@pytest.mark.parametrize("name", FINAL)
def test_a_final_fault_is_told_at_once(name: str) -> None:
    reply, kind, words = FINAL[name]
    with Vendor(lambda _: reply) as vendor, client(vendor.url) as http:
        with pytest.raises(kind, match=words) as caught:
            http.get("/x")
        assert "crm (hubspot): GET /x" in str(caught.value)
        assert len(vendor.requests) == 1


def test_a_lasting_fault_ends_after_the_attempts_allowed() -> None:
    with Vendor(lambda _: HTML) as vendor, client(vendor.url) as http:
        with pytest.raises(VendorError, match=r"gave up after 4 attempts.*web page instead of JSON"):
            http.get("/x")
        assert len(vendor.requests) == 4


@pytest.mark.parametrize("asked", ["3", "Wed, 11 Mar 2026 03:00:03 GMT"])
def test_retry_after_is_honoured_in_seconds_and_as_a_date(asked: str) -> None:
    slept: list[float] = []

    def script(request: Request) -> Reply:
        headers = {"Retry-After": asked, "Date": "Wed, 11 Mar 2026 03:00:00 GMT"}
        return Reply({}, 429, headers) if request.number == 0 else Reply(GOOD)

    # The server adds its own Date before ours, so the date form is checked without a socket.
    transport = None
    if not asked.isdigit():
        replies = iter(
            [httpx.Response(429, headers={"Retry-After": asked, "Date": "Wed, 11 Mar 2026 03:00:00 GMT"})]
        )
        transport = answering(lambda _: next(replies, GOOD))
    with Vendor(script) as vendor, client(vendor.url, sleep=slept.append, transport=transport) as http:
        assert http.get("/x") == GOOD
    assert slept == [3.0]


def test_a_refused_connection_is_told() -> None:
    with Vendor(lambda _: Reply(GOOD)) as vendor:
        url = vendor.url
    with client(url) as http, pytest.raises(VendorError, match="ConnectError"):
        http.get("/x")


@pytest.mark.parametrize("manner", ["drip", "drip-headers", "hang"])
def test_an_attempt_has_a_total_deadline(manner: str) -> None:
    def script(request: Request) -> Reply:
        return Reply(GOOD, manner=manner) if request.number == 0 else Reply(GOOD)

    limits = Limits(attempts=2, attempt_seconds=0.4)
    with Vendor(script) as vendor, client(vendor.url, limits=limits) as http:
        started = time.monotonic()
        assert http.get("/x") == GOOD
        assert time.monotonic() - started < 3
        assert http.retries == 1


def test_an_answer_that_is_too_large_is_refused_compressed_or_not() -> None:
    import gzip

    bomb = gzip.compress(b'{"a": "' + b"x" * 5_000_000 + b'"}')
    limits = Limits(json_bytes=1_000_000)
    for reply in (Reply(bomb, headers={"Content-Encoding": "gzip"}), Reply({"a": "x" * 2_000_000})):
        with (
            Vendor(lambda _, reply=reply: reply) as vendor,
            client(vendor.url, limits=limits) as http,
            pytest.raises(VendorError, match="larger than"),
        ):
            http.get("/x")


def test_one_refused_token_is_read_again_and_a_second_one_fails_without_showing_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = iter(["old-secret-1234", "new-secret-5678"])

    def script(request: Request) -> Reply:
        good = request.headers["authorization"] == "Bearer new-secret-5678"
        return Reply(GOOD) if good else Reply({"message": "token old-secret-1234 expired"}, 401)

    with Vendor(script) as vendor, client(vendor.url, token=lambda: next(tokens)) as http:
        assert http.get("/x") == GOOD
        assert len(vendor.requests) == 2
    with Vendor(lambda _: Reply({"message": "token=s3cret-token"}, 401)) as vendor:
        with client(vendor.url) as http, pytest.raises(AuthError) as caught:
            http.get("/x?access_token=s3cret-token")
        assert len(vendor.requests) == 1  # the token did not change, so asking again is pointless
    assert "s3cret" not in str(caught.value) + caplog.text
    assert "secret-1234" not in caplog.text


def test_next_links_stay_on_the_host_and_lose_their_token() -> None:
    def handler(request: httpx.Request) -> dict[str, str]:
        return {"url": str(request.url)}

    with client("https://graph.example/v25.0", transport=answering(handler)) as http:
        link = http.follow("https://graph.example/v25.0/1/posts?limit=5&access_token=abc&after=x%3D")
        assert link == "https://graph.example/v25.0/1/posts?limit=5&after=x%3D"
        assert http.get(link) == {"url": link}, "an absolute link keeps its query"
        assert http.follow("/api/events?page=2") == "https://graph.example/api/events?page=2"
        for foreign in ("https://evil.example/x", "http://graph.example/x", "https://graph.example:8443/x"):
            with pytest.raises(VendorError, match="another host"):
                http.follow(foreign)


def test_a_download_is_complete_and_unaltered_or_fails(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    md5 = b64encode(hashlib.md5(data).digest()).decode()
    bad = [Reply(data, manner="cut"), Reply(data[:-1] + b"!"), HTML, Reply(data + b"more")]

    def script(request: Request) -> Reply:
        return bad[request.number] if request.number < len(bad) else Reply(data)

    target = tmp_path / "file"
    limits = Limits(attempts=6, download_seconds=5)
    with Vendor(script) as vendor, client(vendor.url, limits=limits) as http:
        digest = http.download("/file", target, size=len(data), md5=md5)
        assert target.read_bytes() == data
        assert digest == hashlib.sha256(data).hexdigest()
        assert http.retries == 4
    with (
        Vendor(lambda _: Reply(data)) as vendor,
        client(vendor.url) as http,
        pytest.raises(VendorError, match="MD5"),
    ):
        http.download("/file", target, size=len(data), md5="AAAA")


def test_requests_are_spaced_out() -> None:
    with client("https://a.example", transport=answering(lambda _: GOOD), requests_per_second=50) as http:
        started = time.monotonic()
        for _ in range(6):
            http.get("/x")
        assert time.monotonic() - started >= 0.09


def test_nesting_without_measure_is_an_error_not_a_crash() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    with (
        client("https://a.example", transport=answering(lambda _: httpx.Response(200, content=deep))) as http,
        pytest.raises(VendorError, match="nested too deeply"),
    ):
        http.get("/x")
