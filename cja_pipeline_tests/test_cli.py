"""The command line answers, fails with a sentence, and shows no personal data unasked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from rich.text import Text

from cja_pipeline.cli import main
from cja_pipeline.console import print_table, wide_console
from cja_pipeline.demo import print_summary
from cja_pipeline.kpis import explain as explain_module
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import fill
from cja_pipeline_tests.validated import vendors as v


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


def test_a_wrong_file_is_told_before_anything_runs(night_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (night_copy / "config/kpis").mkdir(parents=True)
    (night_copy / "config/kpis/own.yml").write_text("stage: purchase\nowner: team:a\nkpis: [{id: own}]\n")
    monkeypatch.setenv("CJA_CONFIG", str(night_copy / "config"))
    get_settings.cache_clear()
    monkeypatch.setattr("cja_pipeline.orchestration.nightly.run_nights", lambda *_, **__: pytest.fail("ran"))
    for command in ("run", "rebuild"):
        answer = CliRunner().invoke(main, [command])
        assert (answer.exit_code, "own.yml, line 3: kpis.0.label" in answer.output) == (1, True), (
            answer.output
        )


def test_a_range_that_ends_before_it_begins_is_refused(home: Path) -> None:
    answer = CliRunner().invoke(main, ["run", "--from", "2026-03-07", "--to", "2026-03-01"])
    assert (answer.exit_code, "swap them" in answer.output) == (1, True)


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


def test_a_kpi_is_defined_with_its_targets(home: Path) -> None:
    told = cja("kpis", "conversion_rate").output
    assert "target       2.50 % at every grain, from 2025-01-01 (team:ecommerce: " in told
    assert "target       2.50 % at every grain, device mobile, from 2025-01-01 (" in told
    assert "100,000.00 EUR per rolling_28d, from 2025-01-01" in cja("kpis", "net_revenue").output
    assert "target  " not in cja("kpis", "impressions").output
    whole, phones = json.loads(cja("kpis", "conversion_rate", "--json").stdout)["targets"]
    assert (whole["target"], whole["owner"]) == (0.025, "team:ecommerce")
    assert phones["dimension_value"] == "mobile"


@pytest.mark.parametrize("width", [80, 20])
def test_ids_are_whole_on_a_narrow_terminal(width: int) -> None:
    """What is described folds between words; an id can be copied even if the line gets too long."""
    out = io.StringIO()
    ids = ["engagement_rate_social_by_reach", "team:customer-insight"]
    rows = [[ids[0], "consideration", "Social engagement per person reached", ids[1]], ["x", "", None, 1]]
    print_table(Console(file=out, width=width), ["kpi", "stage", "label", "owner"], rows)
    told = out.getvalue()
    first = next(line for line in told.splitlines() if ids[0] in line)
    assert ids[1] in first
    assert "person reached" not in first
    assert {"Social", "engagement", "per", "person", "reached"} <= set(told.split())
    assert width < 80 or max(map(len, told.splitlines())) <= width + 1


def test_the_tables_of_kpis_fit_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    monkeypatch.setattr("cja_pipeline.console.wide_console", lambda: console)
    assert cja("kpis").exit_code == 0
    lines = Text.from_ansi(console.file.getvalue()).plain.splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    assert "engagement_rate_social_by_reach" in {line.split(" ")[0] for line in lines}


def test_a_terminal_is_as_wide_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert wide_console().width == 110  # a file or a pipe
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert wide_console().width == 80


def test_a_rule_that_keeps_nothing_out_is_said_so(home: Path) -> None:
    settings = get_settings().prepare()
    v.land_lines(settings.landing_dir, "ga4/events", ["{no JSON"])
    with Warehouse(settings.warehouse_path) as warehouse:
        load(warehouse, "web_events", settings.landing_dir, None, "run")
    told = cja("quarantine", "show", "web_events", "--rule", "nosuch")
    assert told.exit_code == 0
    assert "rule 'nosuch' keeps no row out. Rules that do: malformed_line (1)." in told.output
    assert "nosuch" not in cja("quarantine", "show", "web_events", "--rule", "malformed_line").output
    assert "validated.surveys: no row is kept out." in cja("quarantine", "show", "surveys").output
    told = cja("quarantine", "show", "surveys", "--json")
    assert json.loads(told.stdout) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, "100 % [mine]/published.db"),
        ("postgresql://cja:secret@db.example/shop", "postgresql://cja:***@db.example/shop"),
    ],
)
def test_the_database_is_shown_as_other_tools_want_it(tmp_path: Path, url: str | None, shown: str) -> None:
    settings = Settings(home=tmp_path / "100 % [mine]", database_url=url)
    settings.home.mkdir()
    out = io.StringIO()
    print_summary(settings, Console(file=out, width=80))
    told = out.getvalue()
    place = next(line for line in told.splitlines() if "Database" in line).split(None, 1)[1]
    assert place == (shown if url else str(tmp_path / shown))
    assert "secret" not in told


@pytest.fixture
def answering(home: Path) -> Path:
    """A home whose warehouse holds KPIs, for commands."""
    settings = get_settings().prepare()
    with Warehouse(settings.warehouse_path) as wh:
        fill(wh, customers=60, days=30)
        build_kpi_values(wh)
    return home


def test_the_command_prints_nothing_of_a_number_that_is_withheld(answering: Path) -> None:
    with Warehouse(get_settings().warehouse_path) as wh:
        day, device = wh.sql(
            "SELECT period_start, dimension_value FROM kpis.kpi_values WHERE kpi_id = 'conversion_rate' AND "
            "grain = 'day' AND dimension = 'device' AND null_reason = 'suppressed_small_n' AND numerator > 0"
        ).fetchall()[0]
    command = [
        "explain",
        "kpi",
        "conversion_rate",
        "--day",
        str(day),
        "--slice",
        f"device={device}",
        "--json",
    ]
    told = json.loads(cja(*command).output)
    assert told["published"]["numerator"] is None
    assert (told["rows"], told["row_count"]) == ([], None)


@pytest.mark.parametrize(
    ("slice_", "message"),
    [
        ("nonsense", "'nonsense' is no slice: expected a dimension and its value such as device=mobile"),
        ("colour=red", "conversion_rate is not split by 'colour'; it is split by channel, campaign, device"),
        ("device=fridge", "Values of device there: "),
    ],
)
def test_a_slice_that_is_none_is_answered_with_those_there_are(
    answering: Path, slice_: str, message: str
) -> None:
    answer = cja("explain", "kpi", "conversion_rate", "--slice", slice_)
    assert answer.exit_code == 1
    assert message in answer.output
    assert slice_ != "device=fridge" or "mobile" in answer.output


def test_a_vendors_words_in_an_answer_steer_no_terminal(answering: Path) -> None:
    with Warehouse(get_settings().warehouse_path) as wh:
        wh.execute(
            "UPDATE kpis.kpi_values SET dimension_value = chr(27) || '[2Jspring' WHERE dimension = 'device'"
            " AND dimension_value = 'desktop'"
        )
    told = cja("explain", "kpi", "conversion_rate", "--slice", "device=fridge").output
    assert "\\x1b[2Jspring" in told
    assert "\x1b[2J" not in told


def test_rows_that_cannot_be_written_are_refused_before_the_work(
    answering: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["explain", "kpi", "conversion_rate", "--grain", "rolling_28d", "--rows"]
    assert cja(*command, str(tmp_path / "rows.csv")).exit_code == 0
    assert len(pd.read_csv(tmp_path / "rows.csv"))
    monkeypatch.setattr(explain_module, "explain_kpi", None)
    answer = cja(*command, "/nonexistent/x.csv")
    assert answer.exit_code == 1
    assert "/nonexistent/x.csv cannot be written: " in answer.output
    assert "Name a file in a folder that is there" in answer.output


def test_a_change_is_told_in_the_unit_of_the_kpi(answering: Path) -> None:
    with Warehouse(get_settings().warehouse_path) as wh:
        wh.ensure("kpis.restatements")
        day, withheld = wh.sql(
            "SELECT max(period_start), max(period_start) - 1 FROM kpis.kpi_values "
            "WHERE kpi_id = 'conversion_rate' AND grain = 'day'"
        ).fetchall()[0]
        change = (
            "INSERT INTO kpis.restatements BY NAME SELECT 'conversion_rate' AS kpi_id, 'day' AS grain, "
            "? AS period_start, timestamp '2026-02-03 03:00:00' AS restated_at, "
            "timestamp '2026-02-02 03:00:00' AS counted_before, 0 AS rows, 0 AS customers, "
            "0.0123 AS value_before, ? AS reason, ? AS part, ? AS value_now"
        )
        wh.execute(change, [day, "late", 0.0200456, 0.0323])
        wh.execute(change, [day, "refund", -0.0000456, 0.0323])
        wh.execute(change, [withheld, "withheld", None, None])
    told = cja_change(day)
    assert "1.2300 % until the night of 2026-02-02, 3.2300 % since that of 2026-02-03: +2.0000 pt" in told
    assert "+2.0046 pt  late" in told
    assert "-0.0046 pt  refund" in told  # not shown as nothing
    assert "0.0123" not in told
    told = cja_change(withheld)
    assert "1.23 % until the night of 2026-02-02, no value since that of 2026-02-03\n" in told


def cja_change(day: object) -> str:
    answer = cja("explain", "change", "conversion_rate", "--day", str(day))
    assert answer.exit_code == 0, answer.output
    return answer.output


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
