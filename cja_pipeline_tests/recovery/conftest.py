"""Homes in which nights die: a parent that forks them, and a shop before and after one undisturbed night."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cja_pipeline_tests.recovery.nights import Nights
from cja_pipeline_tests.recovery.state import state

START = dt.date(2026, 3, 20)
HISTORY = 9
NIGHT = START + dt.timedelta(days=HISTORY)  # 29 March: the clocks change


@dataclass(frozen=True)
class Shop:
    """A home with nine days of history, what an undisturbed tenth night makes of it, and the golden home."""

    base: Path
    undisturbed: Path
    before: dict[str, str]
    after: dict[str, str]

    def copy(self, folder: Path) -> Path:
        home = folder / "home"
        shutil.copytree(self.base, home)
        return home


@pytest.fixture(scope="session")
def nights() -> Iterator[Nights]:
    """A parent that forks nights."""
    with Nights() as parent:
        yield parent


@pytest.fixture(scope="session")
def shop(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A tiny shop before and after an undisturbed night; do not write to its homes."""
    folder = tmp_path_factory.mktemp("shop")
    base, home = folder / "base", folder / "undisturbed"
    base.mkdir()
    nights.build_world(base / "world", customers=120, days=HISTORY + 3, seed=7, start=START)
    end = nights.run(base, START, NIGHT - dt.timedelta(days=1), light=True)
    assert end.ok, end.log
    shutil.copytree(base, home)
    end = nights.run(home, NIGHT, light=True)
    assert end.ok, end.log
    return Shop(base, home, state(base), state(home))
