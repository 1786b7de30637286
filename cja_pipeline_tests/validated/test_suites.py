"""Suites as data: all load, mistakes are named with file and line, definitions import nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.validated import suites as module
from cja_pipeline.validated.load import rules_hash
from cja_pipeline.validated.load_checks import load_checks
from cja_pipeline.validated.rules import broken
from cja_pipeline.validated.streams import load_streams, model_sql, stream_of, tree_of
from cja_pipeline.validated.suites import KNOWN_TYPES, VOLUME, load_suite, suite_checks, suites

OTHERS = [
    "customers.customers", "customers.feedback", "customers.identity_links", "customers.identity_quality",
    "customers.media", "customers.orders", "customers.sessions", "customers.silo_report",
    "customers.stage_spells", "customers.touchpoints", "kpis.attribution", "kpis.customer_value",
    "kpis.kpi_values",
]  # fmt: skip
ENTRY = """
  - code: some_rows
    type: expect_table_row_count_to_be_between
    kwargs: {min_value: 1}
    description: There are rows.
    advice: Look.
"""


def test_every_validated_and_every_central_table_has_a_suite() -> None:
    assert suites() == sorted([*OTHERS, *(f"validated.{name}" for name in load_streams())])


@pytest.mark.parametrize("table", suites())
def test_suite(table: str) -> None:
    suite = load_suite(table)
    assert suite is not None
    assert table in TABLES
    assert any(entry.type == VOLUME for entry in suite.expectations)
    for entry in suite.expectations:
        assert entry.description.endswith(".")
        assert entry.advice.endswith(".")
        if entry.action in ("quarantine", "late"):
            assert broken(entry)


@pytest.mark.parametrize("table", [f"validated.{name}" for name in load_streams()])
def test_declared_columns_that_cannot_be_null_are_guarded(table: str) -> None:
    """A column declared as never null is computed never null, or a row rule keeps such rows out."""
    suite = load_suite(table)
    guarded = {
        entry.kwargs["column"]
        for entry in suite.row_rules  # type: ignore[union-attr]
        if entry.type == "expect_column_values_to_not_be_null"
    }
    # computed from others (order_id falls back to the key, amounts to zero) or set by the loader
    computed = {
        "event_id", "order_id", "archived", "is_test", "is_canceled", "gross_revenue", "discount", "refund",
        "_dt", "_source_file", "_source_row", "_landed_at",
    }  # fmt: skip
    if table == "validated.email_events":
        computed.remove("event_id")
    needed = {name for name, column in TABLES[table].columns.items() if not column.nullable}
    assert needed <= guarded | computed


def test_types_are_those_of_great_expectations() -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    import cja_pipeline.validated.gx as gx

    gx._great_expectations()
    assert set(list_registered_expectation_implementations()) >= KNOWN_TYPES


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "suites").mkdir(exist_ok=True)
    (tmp_path / "suites/validated.tickets.yml").write_text(text)
    monkeypatch.setattr(get_settings(), "config", tmp_path)
    module.load_suite.cache_clear()


@pytest.fixture(autouse=True)
def fresh_suites():  # type: ignore[no-untyped-def]
    yield
    module.load_suite.cache_clear()


@pytest.mark.parametrize(
    ("entry", "line", "message"),
    [
        (
            "{code: abc, type: expect_magic, description: d., advice: a.}",
            8,
            "unknown expectation type 'expect_magic'",
        ),
        (
            "{code: abc, type: expect_column_values_to_not_be_null, advice: a.}",
            8,
            "description: this key is required",
        ),
        (
            "{code: abc, type: expect_column_max_to_be_between, kwargs: {column: body}, action: quarantine, "
            "severity: critical, description: d., advice: a.}",
            8,
            "says nothing about single rows",
        ),
        (
            "{code: abc, type: expect_column_values_to_not_be_null, kwargs: {column: body}, action: block, "
            "description: d., advice: a.}",
            8,
            "action block needs severity critical",
        ),
        (
            "{code: abc, type: expect_column_values_to_not_be_null, description: d., advice: a., "
            "kwargs: {column: body, row_condition: [body, ~, x]}}",
            8,
            "row_condition: expected",
        ),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, line: int, message: str
) -> None:
    written(tmp_path, monkeypatch, f"table: validated.tickets\nexpectations:{ENTRY}  - {entry}\n")
    with pytest.raises(ConfigError) as error:
        load_suite("validated.tickets")
    assert message in str(error.value)
    assert f"validated.tickets.yml, line {line}" in str(error.value)


def test_unknown_column_twice_used_code_and_missing_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = (
        "  - {code: abc, type: expect_column_values_to_not_be_null, kwargs: {column: %s}, "
        "description: d., advice: a.}\n"
    )
    head = "table: validated.tickets\nexpectations:"
    written(tmp_path, monkeypatch, head + ENTRY + entry % "bodi")
    with pytest.raises(ConfigError, match=r"abc: bodi: no such column in validated\.tickets"):
        load_suite("validated.tickets")
    written(tmp_path, monkeypatch, head + ENTRY + entry % "body" + entry % "body")
    with pytest.raises(ConfigError, match="used twice: abc"):
        load_suite("validated.tickets")
    written(tmp_path, monkeypatch, head + "\n" + entry % "body")
    with pytest.raises(ConfigError, match="a suite needs expect_table_row_count_to_be_between"):
        load_suite("validated.tickets")


def test_an_installation_brings_its_own_rules_and_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = rules_hash("validated.tickets")
    written(tmp_path, monkeypatch, f"table: validated.tickets\nexpectations:{ENTRY}")
    assert suite_checks("validated.tickets")[0]["check_id"] == "some_rows"
    assert rules_hash("validated.tickets") != shipped
    (tmp_path / "parse").mkdir()
    (tmp_path / "parse/tickets.sql").write_text("SELECT 1")
    assert model_sql("tickets") == "SELECT 1"
    assert model_sql("contacts") != "SELECT 1"


def test_checks_for_the_definitions() -> None:
    checks = suite_checks("validated.web_events")
    ids = [check["check_id"] for check in checks]
    assert len(ids) == len(set(ids))
    loading = [check.check_id for check in load_checks(load_suite("validated.web_events"))]  # type: ignore[arg-type]
    assert ids[-len(loading) :] == loading
    assert {"check_id", "description", "severity", "action", "advice"} == set(checks[0])
    assert "conservation" not in [check["check_id"] for check in suite_checks("customers.orders")]
    assert suite_checks("kpis.cohorts") == []


def test_listing_checks_loads_nothing_heavy() -> None:
    code = (
        "import sys; from cja_pipeline.validated.suites import suite_checks; "
        "suite_checks('validated.web_events'); "
        "import cja_pipeline.validated.load, cja_pipeline.validated.runner; "
        "print([m for m in ('great_expectations', 'sqlalchemy', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_streams_and_mappings() -> None:
    assert tree_of(["a", "b.c", "d[].e", "d[].f.g"]) == {
        "a": None, "b": {"c": None}, "d": {"[]": {"e": None, "f": {"g": None}}},
    }  # fmt: skip
    for name in load_streams():
        table, _ = stream_of(name)
        assert table.full_name == f"validated.{name}"
        assert model_sql(name).upper().startswith(("--", "SELECT", "WITH"))
