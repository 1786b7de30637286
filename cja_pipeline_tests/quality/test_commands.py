"""`cja quality` and `cja quarantine` as a person uses them: see, repair, replay exactly once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cja_pipeline.cli import main
from cja_pipeline.settings import get_settings
from cja_pipeline.validated import suites
from cja_pipeline.validated.load import load
from cja_pipeline.validated.outcomes import Outcome, store
from cja_pipeline.validated.runner import check
from cja_pipeline.validated.streams import FOLDER
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v

TABLE = "validated.ad_insights"


@pytest.fixture
def shop(home: Path) -> Path:
    settings = get_settings().prepare()
    v.land_lines(
        settings.landing_dir, "meta/insights", [v.advert("1"), v.advert("2", spend="-4"), v.advert("3")]
    )
    with Warehouse(settings.warehouse_path) as warehouse:
        load(warehouse, TABLE, settings.landing_dir, None, "night")
        check(warehouse, TABLE, "night")
    return home


def cja(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def rows() -> list[tuple[str]]:
    with Warehouse(get_settings().warehouse_path) as warehouse:
        return warehouse.sql(f"SELECT ad_id FROM {TABLE} ORDER BY ad_id").fetchall()


def test_list_and_show(shop: Path) -> None:
    groups = json.loads(cja("quarantine", "list", "--json").output)
    assert [(group["rules"], group["records"]) for group in groups] == [("negative_number", 1)]
    shown = cja("quarantine", "show", "ad_insights", "--rule", "negative_number")
    assert shown.exit_code == 0
    assert "part-000.jsonl.gz" in shown.output
    assert '"ad_id"' not in shown.output  # the row itself only when asked for
    assert '"ad_id": "2"' in cja("quarantine", "show", "ad_insights", "--payload").output
    assert cja("quarantine", "show", "no_such_table").exit_code == 1


def test_a_changed_rule_brings_rows_in_exactly_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = yaml.safe_load((FOLDER / f"suites/{TABLE}.yml").read_text())
    suite["expectations"] = [one for one in suite["expectations"] if one["code"] != "negative_number"]
    (tmp_path / "own" / "suites").mkdir(parents=True)
    (tmp_path / "own" / "suites" / f"{TABLE}.yml").write_text(yaml.safe_dump(suite))
    assert rows() == [("1",), ("3",)]
    monkeypatch.setenv("CJA_CONFIG", str(tmp_path / "own"))
    get_settings.cache_clear()
    suites.load_suite.cache_clear()
    try:
        first = cja("quarantine", "replay", "ad_insights")
        assert first.exit_code == 0, first.output
        assert "1 row came in" in first.output
        assert rows() == [("1",), ("2",), ("3",)]
        assert "0 rows came in" in cja("quarantine", "replay", TABLE).output
        assert rows() == [("1",), ("2",), ("3",)]
        assert json.loads(cja("quarantine", "list", "--json").output) == []
    finally:
        suites.load_suite.cache_clear()


def test_repaired_data_come_in_exactly_once(shop: Path) -> None:
    v.land_lines(get_settings().landing_dir, "meta/insights", [v.advert("1"), v.advert("2"), v.advert("3")])
    assert "1 row came in" in cja("quarantine", "replay", "ad_insights").output
    assert "0 rows came in" in cja("quarantine", "replay", "ad_insights").output
    assert rows() == [("1",), ("2",), ("3",)]


def test_quality_says_what_failed_and_how_it_ends(shop: Path) -> None:
    fine = cja("quality")
    assert fine.exit_code == 0
    assert "0 failed" in fine.output
    with Warehouse(get_settings().warehouse_path) as warehouse:
        bad = Outcome(
            "night", v.utc(2026, 3, 4), TABLE, "not_empty", "Adverts were shown.", "critical", "block", False,
            "0", "rows at least 1", advice="Look.",
        )  # fmt: skip
        store(warehouse, TABLE, "later", [bad])
    failed = cja("quality")
    assert failed.exit_code == 1
    assert "FAILED" in failed.output
    assert "to do:    Look." in failed.output
    assert json.loads(cja("quality", "--json").output)["failures"] == 1
