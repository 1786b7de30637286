"""Channels of alerts: encrypted, bounded in time, no header from outside, and nothing secret in any log."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from cja_pipeline.alerts.channels import ChannelError, Mail, channels
from cja_pipeline.alerts.incidents import FILE, Condition
from cja_pipeline.alerts.service import tell
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.alerts.servers import MailServer, WebhookServer, certified, running
from cja_pipeline_tests.alerts.test_alerts import CANARY, odd


def test_redirects_are_not_followed_and_secrets_not_logged(
    alerted: Path, hook: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status, hook.location = 302, "http://169.254.169.254/latest/meta-data"
    with caplog.at_level(logging.DEBUG):  # of every library
        assert tell([odd()], ["stale"]) == []
    assert "302" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize("name", ["CJA_ALERT_TO", "CJA_ALERT_FROM"])
@pytest.mark.parametrize("end", ["\r\nBcc: thief@example.org", "\nSubject: other", "\x00"])
def test_an_address_begins_no_header_of_its_own(
    home: Path, post: MailServer, name: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChannelError, match="mail: ValueError"):  # the library's own rule stands behind ours
        Mail(post.url, "a@example.org\r\nBcc: thief@example.org", ("b@example.org",)).send("subject", [], [])
    settings = get_settings().model_copy(
        update={
            "alert_smtp": SecretStr(post.url),
            "alert_to": "a@example.org",
            name[4:].lower(): f"b@c.org{end}",
        }
    )
    with pytest.raises(ChannelError, match=name):
        channels(settings)
    assert post.received == []


def test_no_value_of_the_data_begins_a_header(
    home: Path, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An incident is named after a campaign or a page, whose name comes from outside."""
    monkeypatch.setenv("CJA_ALERT_SMTP", post.url)
    monkeypatch.setenv("CJA_ALERT_TO", "night@example.org")
    get_settings.cache_clear()
    hostile = f"Orders fell on /from/{CANARY}\r\nBcc: thief@example.org\n.\r\n\x1b]0;x\x07\u202e"
    assert tell([Condition("anomaly", f"anomaly/{CANARY}", hostile, "http://x/")], ["anomaly"])
    message = post.received[0]
    assert message["Bcc"] is None
    assert post.recipients == ["night@example.org"]
    assert "thief" not in message.get_content().partition("NEW")[0]
    assert message.get_content().count("NEW") == 1
    told = message.as_string() + (home / FILE).read_text()
    assert CANARY not in told
    assert "\x1b" not in told
    assert tell([Condition("anomaly", f"anomaly/{CANARY}", hostile, "http://x/")], ["anomaly"]) == []


def test_a_channel_that_answers_without_end_is_left(
    alerted: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cja_pipeline.alerts.channels.PATIENCE_SECONDS", 0.3)
    hook.pause = 0.02
    began = time.monotonic()
    assert tell([odd()], ["stale"]) == []
    assert time.monotonic() - began < 20
    hook.pause = 0.0
    assert tell([odd()], ["stale"]) == ["Something is odd"]


@pytest.mark.parametrize("implicit", [True, False], ids=["smtps", "starttls"])
@pytest.mark.parametrize("trusted", [True, False])
def test_mail_goes_to_another_machine_over_tls_that_somebody_vouches_for(
    tmp_path: Path, implicit: bool, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cja_pipeline.alerts.channels.LOOPBACK", set())  # so this is another machine
    server = MailServer(certified(tmp_path), implicit=implicit)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with running(server):
        mail = Mail(server.url.replace("://", "://user:pass@"), "a@example.org", ("b@example.org",))
        if trusted:
            mail.send("subject", [], [])
        else:
            with pytest.raises(ChannelError, match="SSLCertVerificationError"):
                mail.send("subject", [], [])
    assert server.encrypted == [True] * trusted
    assert [message["Subject"] for message in server.received] == ["subject"] * trusted


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CJA_ALERT_WEBHOOK", "ftp://x/y", "CJA_ALERT_WEBHOOK"),
        ("CJA_ALERT_WEBHOOK", "https://[::1", "CJA_ALERT_WEBHOOK"),
        ("CJA_ALERT_SMTP", "smtp://mail.example.org:many", "CJA_ALERT_SMTP"),
        ("CJA_ALERT_SMTP", "mail.example.org", "CJA_ALERT_SMTP"),
        ("CJA_ALERT_SMTP", "smtp://mail.example.org", "CJA_ALERT_TO"),
    ],
)
def test_wrong_settings_are_named(
    home: Path, name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    with pytest.raises(ChannelError, match=words):
        channels(get_settings())
    assert tell([odd()], ["stale"]) == []  # and the night goes on


def test_a_password_does_not_leave_the_machine_unencrypted(
    post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = post.url.replace("smtp://", "smtp://user:pass%40word@")
    Mail(url, "a@example.org", ("b@example.org",)).send("subject", [], [])
    assert len(post.logins) == 1  # to this machine itself
    monkeypatch.setattr("cja_pipeline.alerts.channels.LOOPBACK", set())
    with pytest.raises(ChannelError, match="password is not sent") as refused:
        Mail(url, "a@example.org", ("b@example.org",)).send("subject", [], [])
    assert "pass" not in str(refused.value).replace("password", "")
    assert len(post.logins) == 1
