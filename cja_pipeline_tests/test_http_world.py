"""The same night against the vendors' mocks over real HTTP gives the same tables."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import uvicorn
import yaml

from cja_pipeline.config import SHIPPED
from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.settings import get_settings
from cja_pipeline.simulator.mocks import app
from cja_pipeline_tests.conftest import DAYS, START
from cja_pipeline_tests.test_nightly import assert_same, tables

pytestmark = pytest.mark.slow


@pytest.fixture
def vendors(small_world: Path) -> Iterator[str]:
    """The mocked vendors on a loopback port."""
    server = uvicorn.Server(uvicorn.Config(app(small_world), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


def measured_anywhere(home: Path) -> dict[str, pd.DataFrame]:
    """The tables of a night without what only a simulated shop can know: who is who in truth."""
    found = tables(home)
    quality = found["identity_quality"]
    found["identity_quality"] = quality[~quality["measure"].str.startswith("true_")].reset_index(drop=True)
    return found


def test_http_and_mock_give_the_same_tables(
    night: Path, home: Path, vendors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = yaml.safe_load((SHIPPED / "sources.yml").read_text())
    for entry in entries.values():
        entry["base_url"] = entry["base_url"].replace("mock://", f"{vendors}/")
        entry["headers"] = {"X-Mock-Now": "{as_of}"}
        entry["token"] = "env:VENDOR_TOKEN"
    config = tmp_path / "config"
    config.mkdir()
    (config / "sources.yml").write_text(yaml.safe_dump(entries))
    monkeypatch.setenv("CJA_CONFIG", str(config))
    monkeypatch.setenv("VENDOR_TOKEN", "token-of-the-tests")
    get_settings.cache_clear()
    home.mkdir(parents=True)
    # only the history's first day is read from the manifest; the data come over HTTP
    (home / "world").mkdir()
    shutil.copy(night / "world" / "manifest.json", home / "world" / "manifest.json")
    assert run_nights(START, START + dt.timedelta(days=DAYS - 1), reason="test")
    assert_same(measured_anywhere(night), measured_anywhere(home))
