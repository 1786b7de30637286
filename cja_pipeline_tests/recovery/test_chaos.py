"""A short version of the chaos run; the long one is a command (see `chaos.py`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cja_pipeline_tests.recovery.chaos import Tally, chaos

KILLS = 8


@pytest.mark.slow
def test_nights_killed_at_random_times(tmp_path: Path) -> None:
    tally = chaos(tmp_path, KILLS, seed=20, tally=Tally())
    assert tally.kills == KILLS
    assert tally.violations == []
