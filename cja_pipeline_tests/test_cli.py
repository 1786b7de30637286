"""The command line answers, fails with a sentence, and shows no personal data unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cja_pipeline.cli import main
from cja_pipeline.warehouse import Warehouse


def cja(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def every_command(group=main, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        nested = getattr(command, "commands", None)
        found += every_command(command, (*path, name)) if nested else [(*path, name)]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    answer = cja(*command, "--help")
    assert answer.exit_code == 0
    assert "Example: cja" in answer.output


def test_without_data_the_answer_says_what_to_run(home: Path) -> None:
    answer = cja("quality")
    assert answer.exit_code == 1
    assert "cja demo" in answer.output


def test_another_world_is_not_overwritten(home: Path, small_world: Path) -> None:
    (home / "world").mkdir(parents=True)
    (home / "world" / "manifest.json").write_text((small_world / "manifest.json").read_text())
    answer = cja("demo", "--customers", "999")
    assert answer.exit_code == 1
    assert "holds another simulated world" in answer.output
    assert "CJA_HOME" in answer.output


def test_days_outside_of_history_are_refused(home: Path) -> None:
    answer = cja("run", "--from", "2001-01-01")
    assert answer.exit_code == 1
    assert "expected complete business days" in answer.output


@pytest.mark.slow
def test_quality_tells_the_state(night_copy: Path) -> None:
    answer = cja("quality", "--json")
    assert answer.exit_code == 0
    state = json.loads(answer.stdout)
    assert state["checks"] > 150
    assert state["failures"] == 0
    assert "checks:" in cja("quality").output


@pytest.mark.slow
def test_a_model_is_learnt_from_the_last_night(night_copy: Path) -> None:
    with Warehouse(night_copy / "warehouse.duckdb") as wh:
        records = wh.count("customers.identity_records")
    done = CliRunner().invoke(main, ["identity", "train"])
    assert done.exit_code == 0, done.output
    assert f"from {records:,} records" in done.output
    assert len(list((night_copy / "identity").glob("model-*.json"))) == 1
    assert CliRunner().invoke(main, ["identity", "drift"]).exit_code == 0  # nothing is far from itself


def test_quarantine_lists_shows_and_replays(night_copy: Path) -> None:
    groups = json.loads(cja("quarantine", "list", "--json").stdout)
    events = [group for group in groups if group["table_name"] == "validated.web_events"]
    assert events
    shown = cja("quarantine", "show", "validated.web_events", "--limit", "3")
    assert shown.exit_code == 0
    assert "event_name" not in shown.output  # the row as received is shown on request only
    assert "event_name" in cja("quarantine", "show", "validated.web_events", "--payload").output
    replayed = cja("quarantine", "replay", "validated.web_events")
    assert replayed.exit_code == 0
    again = json.loads(cja("quarantine", "list", "--json").stdout)
    assert again == groups  # the rules are the same, so is the outcome


@pytest.mark.slow
def test_a_kpi_has_a_receipt_that_adds_up(night_copy: Path) -> None:
    answer = cja("explain", "kpi", "conversion_rate", "--grain", "rolling_28d", "--json")
    assert answer.exit_code == 0
    receipt = json.loads(answer.stdout)
    assert receipt["agrees"] is True
    assert receipt["row_count"] == receipt["published"]["denominator"]
    unknown = cja("explain", "kpi", "nope")
    assert unknown.exit_code == 1
    assert "no KPI 'nope'" in unknown.output
