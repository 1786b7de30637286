"""Exported files: CSV that no spreadsheet runs, Parquet that is what was published."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.journey_maps import export as export_module
from cja_pipeline.journey_maps.export import export_tables
from cja_pipeline.journey_maps.publish import publish
from cja_pipeline.settings import get_settings
from cja_pipeline.spreadsheet import csv_bytes, neutral, parquet_bytes
from cja_pipeline.warehouse import Warehouse


@pytest.mark.parametrize(
    "text", ["=1+1", "+49", "-2", "@sum", "\tx", "\rx", "  =cmd|'/c calc'!A1", "\nx", '=HYPERLINK("x")']
)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["shop;=1+1", "\n=1", "a\n=1+1", "a\t@sum", "a; +cmd|'/c calc'!A1;b", "a\r\n-2"]
)
def test_a_spreadsheet_that_separates_by_semicolons_runs_nothing_either(text: str) -> None:
    """German Excel splits our lines at semicolons and line breaks, whatever is quoted."""
    line = csv_bytes(pd.DataFrame({"n": [1], "text": [text], "more": ["x"]})).decode().partition("\r\n")[2]
    cells = [cell.strip(' "') for cell in re.split(r"[;\t\r\n]", line)]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"}]


@pytest.mark.parametrize("value", ["", "a=1", "mail-7", "'=1", "2026-03-01", -2, 1.5, None, True])
def test_everything_else_is_left_alone(value: object) -> None:
    assert neutral(value) == value


def test_numbers_stay_numbers_and_texts_come_back() -> None:
    frame = pd.DataFrame(
        {
            "=name": ["=1+1", 'say "hi", now', None, "zwei\nZeilen"],
            "amount": [-1.5, 2.0, float("nan"), 0.1],
            "count": pd.array([1, None, -3, 4], dtype="Int64"),
            "at": pd.to_datetime(["2026-03-29 01:30:00", None, "2026-01-01 00:00:00", "2026-01-02 00:00:00"]),
        }
    )
    rows = list(csv.DictReader(io.StringIO(csv_bytes(frame).decode(), newline="")))
    assert [row["'=name"] for row in rows] == ["'=1+1", 'say "hi", now', "", "zwei\nZeilen"]
    assert [row["amount"] for row in rows] == ["-1.5", "2.0", "", "0.1"]
    assert [row["count"] for row in rows] == ["1", "", "-3", "4"]
    assert rows[0]["at"] == "2026-03-29 01:30:00"
    assert pd.read_parquet(io.BytesIO(parquet_bytes(frame)))["=name"][0] == "=1+1"


@pytest.fixture
def published(warehouse: Warehouse, home: Path) -> Path:
    settings = get_settings().prepare()
    publish(warehouse, settings.published_url)
    return settings.home


def test_published_tables_are_written(published: Path, tmp_path: Path) -> None:
    found = export_tables(tmp_path / "out", ["data_dictionary", "orders"], "csv")
    assert [one.table for one in found] == ["data_dictionary", "orders"]
    assert found[0].rows > 300
    assert found[1].rows == 0
    text = found[0].path.read_text(encoding="utf-8")
    assert text.startswith("table_name,column_name,")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data_dictionary.csv", "orders.csv"]


def test_files_are_their_owners_alone_and_follow_no_link(published: Path, tmp_path: Path) -> None:
    """A folder that others may write to, where somebody laid a link under the name of the temporary file."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".orders.csv.tmp").symlink_to(victim)
    before = os.umask(0o000)
    try:
        written = export_tables(folder, ["orders"], "csv")[0].path
    finally:
        os.umask(before)
    assert victim.read_text() == "untouched"
    assert not written.is_symlink()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_the_command_says_what_it_wrote(published: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["export", "--table", "scorecard", "-o", str(tmp_path / "x"), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.output)[0]["table"] == "scorecard"
    assert (tmp_path / "x" / "scorecard.parquet").exists()
    wrong = CliRunner().invoke(main, ["export", "--table", "nothing", "-o", str(tmp_path / "x")])
    assert wrong.exit_code == 1
    assert "touchpoints" in wrong.output


def test_a_folder_that_cannot_be_written_is_named_before_the_work(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(name: str) -> pd.DataFrame:
        raise AssertionError(f"{name} was read")

    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(export_module, "read_published", unread)
    for folder in ("/proc/x", str(tmp_path / "file" / "x")):
        run = CliRunner().invoke(main, ["export", "-o", folder])
        assert run.exit_code == 1
        assert f"{folder} cannot be written: " in run.output
        assert "Name a folder" in run.output


def test_a_failed_export_leaves_no_empty_folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run = CliRunner().invoke(main, ["export", "-o", str(tmp_path / "mine" / "new" / "x")])
    assert run.exit_code == 1
    assert "Nothing is published yet" in run.output
    assert list((tmp_path / "mine").iterdir()) == []
    assert CliRunner().invoke(main, ["export", "-o", str(tmp_path / "mine")]).exit_code == 1
    assert (tmp_path / "mine").is_dir()  # it was there before
