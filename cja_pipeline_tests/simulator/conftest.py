"""One small world for all tests of the simulator."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cja_pipeline.simulator.build import build_world
from cja_pipeline.simulator.world import World

START, DAYS, HORIZON = dt.date(2026, 10, 5), 24, 6  # the clock change of 25 October is inside
SIZE = {"customers": 700, "days": DAYS, "horizon_days": HORIZON, "start": START, "seed": 11}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulator") / "world"
    build_world(path, **SIZE)
    return path


@pytest.fixture(scope="session")
def world(folder: Path) -> World:
    return World.open(folder)


@pytest.fixture(scope="session")
def night() -> dt.datetime:
    """Logical time of the nightly run for the last day of history."""
    local = dt.datetime.combine(START + dt.timedelta(days=DAYS), dt.time(4), tzinfo=ZoneInfo("Europe/Berlin"))
    return local.astimezone(dt.UTC)


@pytest.fixture(scope="session")
def last_night(night: dt.datetime) -> dt.datetime:
    """A moment when everything has arrived."""
    return night + dt.timedelta(days=HORIZON + 40)
