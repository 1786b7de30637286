"""Access: everything about the person, nothing about anybody else, as JSON and as an inert page."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.journey_maps.export import export_tables
from cja_pipeline.privacy.copies import Copy, note_copy, noted_copies
from cja_pipeline.privacy.finish import _clear_exports
from cja_pipeline.privacy.pages import Part, tables_page
from cja_pipeline.privacy.patterns import Scanner
from cja_pipeline_tests.privacy.conftest import Shop
from cja_pipeline_tests.privacy.test_erase import rich, true_identifiers

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_everything_of_the_person_and_nothing_else(people: Shop, tmp_path: Path) -> None:
    one = rich(people)
    answer = tmp_path / "answer"
    # given on standard input: neither the arguments nor the output hold the address
    done = CliRunner().invoke(
        main, ["privacy", "export", "-", "-o", str(answer), "--json"], input=f"{one['email']}\n"
    )
    assert done.exit_code == 0, done.output
    assert one["email"] not in done.output
    told = json.loads(done.output)
    text = (answer / "personal_data.json").read_text()
    found = json.loads(text)
    for value in true_identifiers(people, one["person_id"], ("contact", "email", "login")):
        assert value in text
    known = people.truth("identifiers")
    foreign = known[(known["person_id"] != one["person_id"]) & known["kind"].isin(["contact", "login"])]
    assert not [value for value in foreign["value"] if f'"{value}"' in text]
    landed = found["data"]["landing hubspot/orders"]
    with people.open() as wh:
        orders = wh.sql("SELECT crm_order_id FROM validated.crm_orders WHERE contact_id = ?", [one["value"]])
        assert {record["id"] for record in landed} >= {row[0] for row in orders.fetchall()}
    assert {"table validated.contacts", "table customers.touchpoints", "landing hubspot/contacts"} <= set(
        told["records"]
    )
    for path in answer.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    page = (answer / "personal_data.html").read_text()
    assert "<script" not in page
    assert "default-src" in page


def test_an_unknown_person_is_an_error_without_echo(people: Shop) -> None:
    done = CliRunner().invoke(main, ["privacy", "export", "-"], input="nobody@nowhere.example\n")
    assert done.exit_code == 1
    assert "nowhere" not in done.output


def test_a_dry_run_erases_nothing(people: Shop) -> None:
    one = rich(people)
    done = CliRunner().invoke(
        main, ["privacy", "erase", "-", "--dry-run", "--json"], input=f"{one['email']}\n"
    )
    assert done.exit_code == 0, done.output
    assert "1 contact" in json.loads(done.output)["records"]
    assert not people.settings.decisions_dir.exists()


def test_hostile_values_stay_text() -> None:
    page = tables_page(
        HOSTILE, HOSTILE, [Part(HOSTILE, [HOSTILE], [[HOSTILE, HOSTILE]], HOSTILE)], [(HOSTILE, "x")]
    )
    assert "<script>" not in page
    assert "<img" not in page


def test_copies_that_left_are_found_again(
    people: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an erasure: an export that names the person is written again, their own copy is removed."""
    before, after = ["c-erased", "c-kept"], ["c-kept"]
    frames = iter([pd.DataFrame({"customer_id": ids}) for ids in (before, after)])
    monkeypatch.setattr("cja_pipeline.journey_maps.export.read_published", lambda name: next(frames))
    (exported,) = export_tables(tmp_path / "out", ["touchpoints"], "csv")
    own, foreign = tmp_path / "personal_data.json", tmp_path / "other.json"
    own.write_text("c-erased")
    foreign.write_text("c-kept")
    for path in (own, foreign):
        note_copy(people.settings, Copy(path, None))
    _clear_exports(people.settings, Scanner(["c-erased"]))
    assert "c-erased" not in exported.path.read_text()
    assert "c-kept" in exported.path.read_text()
    assert not own.exists()
    assert foreign.exists()
    assert {copy.path.name for copy in noted_copies(people.settings)} == {"touchpoints.csv", "other.json"}
