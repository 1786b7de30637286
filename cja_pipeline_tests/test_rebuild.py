"""A rebuild from the landed files ends in the tables that the nights made, whatever the nights were."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.orchestration.jobs import REBUILD
from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.rebuild import NothingLandedError, rebuild
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.conftest import START, use_home
from cja_pipeline_tests.test_nightly import assert_same, tables

pytestmark = pytest.mark.slow


def from_landings(first: dt.date, last: dt.date) -> bool:
    return run_nights(first, last, reason="test", job=REBUILD)


def test_a_rebuild_ends_in_the_same_tables(night_copy: Path) -> None:
    before = tables(night_copy)
    for path in (night_copy / "world").rglob("*.parquet"):  # no vendor could answer
        if path.parent.name != "truth":
            path.unlink()
    assert rebuild(get_settings(), from_landings)
    assert_same(before, tables(night_copy))
    assert not list(night_copy.glob("*.rebuilding*"))


def test_any_order_of_runs_ends_in_the_tables_of_a_rebuild(home: Path, small_world: Path) -> None:
    home.mkdir()
    use_home(home)
    shutil.copytree(small_world, home / "world")
    # the newer half first, a backfill, a night, an old day again
    for first, last in [(3, 5), (0, 2), (6, 6), (4, 4)]:
        assert run_nights(START + dt.timedelta(days=first), START + dt.timedelta(days=last), reason="test")
    before = undated(tables(home))
    assert rebuild(get_settings(), from_landings)
    assert_same(before, undated(tables(home)))


def undated(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Without the run that first saw a piece of evidence: after a rebuild, that is the rebuild."""
    return {**found, "identity_evidence": found["identity_evidence"].drop(columns="since")}


def test_a_rebuild_that_fails_leaves_the_old_warehouse(night_copy: Path) -> None:
    path = get_settings().warehouse_path
    before = path.read_bytes()
    assert not rebuild(get_settings(), lambda first, last: False)
    assert path.read_bytes() == before
    assert not list(night_copy.glob("*.rebuilding*"))


def test_without_landings_the_cure_is_named(home: Path) -> None:
    with pytest.raises(NothingLandedError, match="cja run"):
        rebuild(get_settings(), from_landings)
