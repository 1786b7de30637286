"""Receivers of alerts, and a home whose alerts go to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cja_pipeline.settings import get_settings
from cja_pipeline_tests.alerts.servers import MailServer, WebhookServer, running


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with running(WebhookServer()) as server:
        yield server


@pytest.fixture
def post() -> Iterator[MailServer]:
    with running(MailServer()) as server:
        yield server


@pytest.fixture
def alerted(home: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose alerts go to the webhook."""
    monkeypatch.setenv("CJA_ALERT_WEBHOOK", hook.url)
    get_settings.cache_clear()
    get_settings().prepare()
    return home
