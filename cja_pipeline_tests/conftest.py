"""Shared fixtures: an empty home folder, a small simulated world, and a home in which the nightly job ran."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse

START = dt.date(2026, 3, 9)  # a Monday; the clock change of 29 March lies inside
CUSTOMERS, DAYS = 400, 28

# A background job of a shell has SIGINT ignored, Dagster treats SIGTERM like it, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# a slow or busy machine is no fault of the code
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def use_home(path: Path) -> None:
    """Point this process at a home folder of its own."""
    os.environ["CJA_HOME"] = str(path)
    os.environ["CJA_SECRET_KEY"] = "key-of-the-tests"
    for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL", "CONFIG", "WAREHOUSE", "LAKE"):
        os.environ.pop(f"CJA_{name}", None)
    os.environ.pop("DAGSTER_HOME", None)
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _mask_for_files() -> Iterator[None]:
    """The pipeline makes files for their owner only; tests with users of their own go on as before."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


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


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated world that the end-to-end tests share; read-only."""
    from cja_pipeline.simulator.ensure import ensure_world

    folder = tmp_path_factory.mktemp("world") / "world"
    ensure_world(folder, customers=CUSTOMERS, days=DAYS, seed=7, start=START)
    return folder


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory, small_world: Path) -> Path:
    """A home in which the nightly job ran over the whole history, in one run; do not write to it."""
    from cja_pipeline.orchestration.nightly import run_nights

    before = dict(os.environ)
    home = tmp_path_factory.mktemp("night") / "home"
    use_home(home)
    home.mkdir()
    shutil.copytree(small_world, home / "world")
    assert run_nights(START, START + dt.timedelta(days=DAYS - 1), reason="test")
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
    return home


@pytest.fixture
def night_copy(night: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of that home, in use by this process, free to be changed."""
    before = dict(os.environ)
    home = tmp_path / "home"
    shutil.copytree(night, home)
    use_home(home)
    yield home
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
