"""Tokens are found where they are kept, and never shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.sources.credentials import guard_logs, read_token, redact, without_secrets


def test_tokens_come_from_environment_dotenv_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_TOKEN", " abc ")
    assert read_token("env:A_TOKEN", "sources.yml: crm.token") == "abc"
    (tmp_path / ".env").write_text("B_TOKEN=from-file\n")
    assert read_token("env:B_TOKEN", "x") == "from-file"
    (tmp_path / "token").write_text("mounted\n")
    assert read_token(f"file:{tmp_path / 'token'}", "x") == "mounted"
    with pytest.raises(
        ConfigError, match=r"sources\.yml: crm\.token: the environment variable C_TOKEN is not"
    ):
        read_token("env:C_TOKEN", "sources.yml: crm.token")
    with pytest.raises(ConfigError, match="does not exist"):
        read_token("file:/nowhere/token", "x")


def test_redaction() -> None:
    text = redact(
        "GET /x?access_token=EAAB123&limit=5 Authorization: Bearer pat-eu1-1234567 ann@example.org SEKRET",
        ("SEKRET",),
    )
    for secret in ("EAAB123", "pat-eu1", "ann@example.org", "SEKRET"):
        assert secret not in text
    assert "limit=5" in text


def test_links_without_credentials() -> None:
    assert without_secrets("https://h/p?a=1&access_token=x&b=2") == "https://h/p?a=1&b=2"
    assert without_secrets("https://h/p?filter=and(a,b)") == "https://h/p?filter=and(a,b)"


def test_the_http_library_logs_no_tokens(caplog: pytest.LogCaptureFixture) -> None:
    guard_logs()
    guard_logs()
    with caplog.at_level(logging.INFO, "httpx"):
        logging.getLogger("httpx").info("HTTP Request: GET %s", "https://h/p?access_token=EAAB123&limit=1")
    assert "EAAB123" not in caplog.text
    assert "limit=1" in caplog.text
