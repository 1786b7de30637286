"""Shared fixtures: an empty home folder, a small simulated world, and a home in which the nightly job ran."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

START = dt.date(2026, 3, 9)  # a Monday; the clock change of 29 March lies inside
CUSTOMERS, DAYS = 400, 28


def use_home(path: Path) -> None:
    """Point this process at a home folder of its own."""
    os.environ["CJA_HOME"] = str(path)
    os.environ["CJA_SECRET_KEY"] = "key-of-the-tests"
    for name in ("CJA_DATABASE_URL", "CJA_CONFIG", "CJA_WAREHOUSE", "DAGSTER_HOME"):
        os.environ.pop(name, None)
    get_settings.cache_clear()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home folder; the environment is put back afterwards."""
    before = dict(os.environ)
    use_home(tmp_path / "home")
    yield tmp_path / "home"
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    """An empty warehouse in memory."""
    with Warehouse(":memory:") as opened:
        yield opened
