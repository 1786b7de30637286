"""A rebuild from the landed files ends in the tables that the nights made, whatever the nights were."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from cja_pipeline import keyed
from cja_pipeline.cli import main
from cja_pipeline.customers.identity.unlink import decide
from cja_pipeline.orchestration.jobs import REBUILD
from cja_pipeline.orchestration.nightly import run_nights
from cja_pipeline.rebuild import NothingLandedError, rebuild
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.validated import suites
from cja_pipeline.warehouse import Warehouse
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


def test_any_order_of_runs_ends_in_the_tables_of_a_rebuild(
    home: Path, small_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "MOST", 1.0)  # key by key, however many keys are touched
    home.mkdir()
    use_home(home)
    shutil.copytree(small_world, home / "world")
    # the newer half first, a backfill, a night, a customer split by a person, an old day again
    for first, last in [(3, 5), (0, 2), (6, 6), (4, 4)]:
        if first == 4:
            split_a_customer(home)
        assert run_nights(START + dt.timedelta(days=first), START + dt.timedelta(days=last), reason="test")
    before, inside = undated(tables(home)), view()
    assert rebuild(get_settings(), from_landings)
    assert_same(before, undated(tables(home)))
    for name, frame in view().items():
        pd.testing.assert_frame_equal(inside[name], frame, obj=name)


def split_a_customer(home: Path) -> None:
    """Declare a contact and a mail profile of one customer two people."""
    with Warehouse(get_settings().warehouse_path) as store:
        contact, profile = store.sql(
            "SELECT c.record_key, p.record_key FROM customers.identity_links c "
            "JOIN customers.identity_links p USING (customer_id) "
            "WHERE c.kind = 'contact' AND p.kind = 'profile' ORDER BY 1, 2 LIMIT 1"
        ).fetchall()[0]
    now = dt.datetime(2026, 4, 1)  # noqa: DTZ001  warehouse times are naive UTC
    decide(home / "decisions", contact, profile, unlinked=True, reason="two people", at=now)


def view() -> dict[str, pd.DataFrame]:
    """The customer view and the purchase attempts as the warehouse holds them, whether published or not."""
    with Warehouse(get_settings().warehouse_path) as store:
        names = [name for name in TABLES if name.startswith("customers.") and store.exists(name)]
        names = [name for name in names if not name.startswith("customers.identity_")]  # these are dated
        names += ["kpis.journey_keys", "kpis.journey_touches", "kpis.journeys"]
        names += ["kpis.journey_moves", "kpis.funnel_chains"]
        found = {name: store.read(name) for name in names}
    chains = "kpis.funnel_chains"  # its lists can be neither sorted nor compared
    found[chains] = found[chains].astype({"entry": str, "took": str})
    return {name: frame.sort_values(list(frame.columns), ignore_index=True) for name, frame in found.items()}


def undated(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Without the run that first saw a piece of evidence: after a rebuild, that is the rebuild."""
    return {**found, "identity_evidence": found["identity_evidence"].drop(columns="since")}


def test_a_rebuild_that_fails_leaves_the_old_warehouse(night_copy: Path) -> None:
    path = get_settings().warehouse_path
    before = path.read_bytes()
    assert not rebuild(get_settings(), lambda first, last: False)
    assert path.read_bytes() == before
    assert not list(night_copy.glob("*.rebuilding*"))


def test_what_stopped_a_rebuild_is_told_by_the_warehouse_that_stays(
    night_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(night_copy)
    limits = yaml.safe_load((suites.FOLDER / "suites/validated.tickets.yml").read_text())
    limits["expectations"].append(
        {"code": "many_tickets", "type": "expect_table_row_count_to_be_between", "severity": "critical",
         "action": "block", "kwargs": {"min_value": 10**9}, "description": "Many.",
         "advice": "Write more tickets."}
    )  # fmt: skip
    (night_copy / "config/suites").mkdir(parents=True)
    (night_copy / "config/suites/validated.tickets.yml").write_text(yaml.safe_dump(limits))
    monkeypatch.setenv("CJA_CONFIG", str(night_copy / "config"))
    get_settings.cache_clear()
    suites.load_suite.cache_clear()
    answer = CliRunner().invoke(main, ["rebuild"])
    assert answer.exit_code == 1
    assert "stay as they were" in answer.output
    assert_same(before, tables(night_copy))
    told = CliRunner().invoke(main, ["quality"]).output
    assert "many_tickets" in told
    assert "Write more tickets." in told
    assert "do: cja rebuild" in CliRunner().invoke(main, ["doctor"]).output
    suites.load_suite.cache_clear()


def test_without_landings_the_cure_is_named(home: Path) -> None:
    with pytest.raises(NothingLandedError, match="cja run"):
        rebuild(get_settings(), from_landings)
