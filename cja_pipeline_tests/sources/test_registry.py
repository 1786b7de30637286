"""sources.yml: what is wrong is said with file, line, key and expectation."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.sources.registry import load_sources
from cja_pipeline_tests.sources.helpers import AS_OF, source


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Write a sources.yml and load it."""
    from cja_pipeline.settings import get_settings

    def load(text: str):  # type: ignore[no-untyped-def]
        (tmp_path / "sources.yml").write_text(text)
        return load_sources()

    monkeypatch.setenv("CJA_CONFIG", str(tmp_path))
    get_settings.cache_clear()
    yield load
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_shipped_file_names_four_kinds() -> None:
    kinds = {name: item.kind for name, item in load_sources().items()}
    assert kinds == {"web_analytics": "ga4", "crm": "hubspot", "email": "klaviyo", "social": "meta"}
    assert all(item.is_mock and item.name == name for name, item in load_sources().items())


CRM = "crm:\n  kind: hubspot\n  base_url: {url}\n"
FAULTS = {
    "no kind": ("crm:\n  base_url: mock://x\n", r"line 1: crm\.kind: this key is required"),
    "unknown kind": ("crm:\n  kind: sap\n  base_url: mock://x\n", r"line 2: crm\.kind: .*'hubspot'"),
    "no address": ("crm:\n  kind: hubspot\n", r"line 1: crm\.base_url: this key is required"),
    "plain http": (CRM.format(url="http://api.hubapi.com"), r"line 3: crm\.base_url: expected https"),
    "ftp": (CRM.format(url="ftp://x"), r"line 3: crm\.base_url: expected https"),
    "folder for an API": (CRM.format(url="file:///etc"), r"crm\.base_url: expected https"),
    "password": (CRM.format(url="https://u:p@h"), r"crm\.base_url: expected an address without user"),
    "no token": (CRM.format(url="https://api.hubapi.com"), r"crm\.token: expected env:NAME, because"),
    "literal token": (
        CRM.format(url="https://api.hubapi.com") + "  token: pat-eu1-SECRET\n",
        r"line 4: crm\.token: expected env:NAME or file:/path.*never the token",
    ),
    "misspelt": (CRM.format(url="mock://hubspot") + "  restated: 3\n", r"line 4: crm\.restated: unknown key"),
    "no bucket": ("web:\n  kind: ga4\n  base_url: mock://ga4\n", r"web\.bucket: this key is required"),
    "bad days": (CRM.format(url="mock://x") + "  restate_days: -1\n", r"line 4: crm\.restate_days: "),
    "bad header": (
        CRM.format(url="mock://x") + "  headers: {X: '{now}'}\n",
        r"line 4: crm\.headers: X: the only placeholder",
    ),
    "no entry": ("crm: hello\n", r"line 1: crm: "),
    "a list": ("- crm\n", r"line 1: \(whole file\)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str, written) -> None:  # type: ignore[no-untyped-def]
    text, message = FAULTS[name]
    with pytest.raises(ConfigError, match=message) as caught:
        written(text)
    assert "sources.yml" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_real_account_is_an_address_and_a_token(written, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    crm = written(CRM.format(url="https://api.hubapi.com/") + "  token: env:MY_CRM_TOKEN\n")["crm"]
    assert (crm.base_url, crm.is_local, crm.is_mock) == ("https://api.hubapi.com", False, False)
    with pytest.raises(ConfigError, match=r"sources\.yml: crm\.token: the environment variable MY_CRM_TOKEN"):
        crm.read_token()
    monkeypatch.setenv("MY_CRM_TOKEN", "abc")
    assert crm.read_token() == "abc"


def test_headers_and_confirmed_days() -> None:
    plain = source("hubspot", "http://127.0.0.1:8765/hubspot", headers={"X-Mock-Now": "{as_of}"})
    assert plain.request_headers(AS_OF) == {"X-Mock-Now": "2026-03-11T03:00:00Z"}
    assert plain.is_local
    assert plain.read_token() == "local"
    day = dt.date(2026, 3, 1)
    assert not plain.may_shrink(day)
    assert source("meta", "mock://meta", allow_shrink=True).may_shrink(day)
    confirmed = source("meta", "mock://meta", allow_shrink=["2026-03-01"])
    assert confirmed.may_shrink(day)
    assert not confirmed.may_shrink(dt.date(2026, 3, 2))
