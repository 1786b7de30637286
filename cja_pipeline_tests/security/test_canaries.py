"""Every known address, number, login and token is a canary: none sings outside the restricted rooms."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cja_pipeline.config import config_path
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.conftest import DAYS, START
from cja_pipeline_tests.privacy.residue import places

RESTRICTED = ("world", "landing", "warehouse.duckdb", "identity")
OF_EACH_KIND = 60
TOKENS = {
    "HUBSPOT_TOKEN": "canary-pat-eu1-8d3f",
    "KLAVIYO_KEY": "canary-pk-77ab",
    "META_TOKEN": "canary-EAAB-91",
}


def canaries(home: Path) -> list[str]:
    """What only a person could have given or been given, some of each kind, and the tokens."""
    known = pd.read_parquet(home / "world" / "truth" / "identifiers.parquet").drop_duplicates("value")
    kinds = ["email", "phone", "login", "loyalty", "profile", "contact", "cookie"]
    some = known[known["kind"].isin(kinds)].groupby("kind").head(OF_EACH_KIND)
    return [*some["value"], *TOKENS.values()]


def test_a_night_leaves_no_personal_data_outside_the_restricted_rooms(night: Path) -> None:
    """Pages, JSON, published database, run history, event log, captured output: searched byte by byte, plain,
    URL-encoded and hashed. The landing and the warehouse are where personal data may be."""
    found = canaries(night)
    assert len(found) > 5 * OF_EACH_KIND
    assert places(night / "landing", found[:50]) != {}, "the canaries are in the data"
    assert places(night, found, skip=RESTRICTED) == {}


@pytest.mark.slow
def test_faults_and_secrets_leave_no_trace(
    night_copy: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night in which vendors answer with errors and broken pages, and one of them fails for good."""
    from cja_pipeline.orchestration.nightly import run_nights

    sources = yaml.safe_load(config_path("sources.yml").read_text())
    faults = "429:0.05,500:0.1,trunc:0.1,html:0.05,reset:0.05"
    for name, token, broken in (
        ("crm", "HUBSPOT_TOKEN", faults),
        ("email", "KLAVIYO_KEY", "html:0.5,trunc:0.45"),
        ("social", "META_TOKEN", "500:1.0"),
    ):
        sources[name]["base_url"] += f"?faults={broken}"
        sources[name]["token"] = f"env:{token}"
        monkeypatch.setenv(token, TOKENS[token])
    folder = night_copy / "settings"
    folder.mkdir()
    (folder / "sources.yml").write_text(yaml.safe_dump(sources))
    monkeypatch.setenv("CJA_CONFIG", str(folder))
    get_settings.cache_clear()
    caplog.set_level(logging.DEBUG)
    day = START + dt.timedelta(days=DAYS)
    assert not run_nights(day, day, reason="faults")
    found = canaries(night_copy)
    assert places(night_copy, found, skip=(*RESTRICTED, "settings")) == {}
    text = caplog.text
    assert text
    assert not [value for value in found if value in text]


def test_files_are_their_owners_alone(night: Path) -> None:
    open_to_others = [
        str(path.relative_to(night))
        for path in night.rglob("*")
        if path.relative_to(night).parts[0] != "world" and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


@pytest.mark.slow
def test_a_whole_night_needs_no_network(tmp_path: Path) -> None:
    """In a network namespace without any device, not even loopback: nothing calls, nothing phones home."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    command = [
        "unshare",
        "-n",
        sys.executable,
        "-m",
        "cja_pipeline.cli",
        "demo",
        "--customers",
        "300",
        "--days",
        "7",
    ]
    environment = {**os.environ, "CJA_HOME": str(tmp_path / "home"), "CJA_SECRET_KEY": "no network"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "home" / "reports" / "latest" / "journey_map.html").exists()
    settings = yaml.safe_load((tmp_path / "home" / "dagster" / "dagster.yaml").read_text())
    assert settings["telemetry"] == {"enabled": False}
    assert settings["nux"] == {"enabled": False}
