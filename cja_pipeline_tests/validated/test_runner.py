"""Checks of any table: one outcome each, errors are failures, an empty table fails, no value is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.validated import gx, runner
from cja_pipeline.validated.load import load
from cja_pipeline.validated.outcomes import Outcome
from cja_pipeline.validated.runner import check
from cja_pipeline.validated.suites import Suite, load_suite, suite_checks
from cja_pipeline.validated.summary import quality_summary
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v
from cja_pipeline_tests.validated.vendors import utc


def by_id(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.check_id: outcome for outcome in outcomes}


def suite_of(monkeypatch: pytest.MonkeyPatch, table: str, *entries: dict[str, Any], **more: Any) -> None:
    """Replace a suite by a volume check and the given entries."""
    volume = {
        "code": "some_rows", "type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1},
        "severity": "critical", "action": "block",
    }  # fmt: skip
    words = {"description": "d.", "advice": "a."}
    suite = Suite.model_validate(
        {"table": table, "expectations": [words | entry for entry in (volume, *entries)]} | more
    )
    monkeypatch.setattr(runner, "load_suite", lambda _: suite)


@pytest.fixture
def events(warehouse: Warehouse, landing: Path) -> Warehouse:
    lines = [v.as_export_json(v.ga4(i)) for i in range(60)] + [v.as_export_json(v.purchase(70))]
    lines += [v.as_export_json(v.ga4(80, event_name="brand_new_event")), v.as_export_json(v.ga4(1))]
    lines += [v.as_export_json(v.ga4(90, event_timestamp=0))]
    v.land_lines(landing, "ga4/events", lines)
    load(warehouse, "validated.web_events", landing, None, "night")
    return warehouse


def test_one_outcome_per_declared_check(events: Warehouse) -> None:
    outcomes = check(events, "validated.web_events", "night")
    declared = suite_checks("validated.web_events")
    assert [outcome.check_id for outcome in outcomes] == [entry["check_id"] for entry in declared]
    failed = {outcome.check_id for outcome in outcomes if not outcome.passed}
    assert failed == {"known_values"}
    found = by_id(outcomes)
    unknown = found["known_values"]
    assert (unknown.rows_failed, unknown.severity, unknown.blocking) == (1, "warning", False)
    assert unknown.observed == "event_name: brand_new_event: 1 rows since 2026-03-02"
    assert found["implausible_time"].observed == "1 of 64 rows (1.56 %) in quarantine; 0 left in the table"
    assert found["unique_event"].observed.startswith("1 of 64 rows (1.56 %) dropped as repetitions")
    assert found["conservation"].observed == "64 offered rows accounted for"
    assert all(outcome.expected and outcome.observed and outcome.advice for outcome in outcomes)


def test_results_are_kept_once_per_run(events: Warehouse) -> None:
    first = check(events, "validated.web_events", "night")
    check(events, "validated.web_events", "night")
    assert events.count("quality.results") == len(first)
    check(events, "validated.web_events", "next")
    assert events.count("quality.results") == 2 * len(first)
    summary = quality_summary(events)
    assert (summary.checks, summary.failures, summary.warnings, summary.blocked) == (len(first), 0, 1, False)
    assert summary.failed[0]["check_id"] == "known_values"
    assert summary.kept_out[0]["rule"] == "implausible_time"
    assert summary.sources[0]["valid"] == 62


def test_no_value_of_the_data_in_any_result(
    warehouse: Warehouse, landing: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "Zzcanary"
    contacts = [
        v.contact(str(i), email=f"{canary}{i}", firstname=canary, country=canary, lifecyclestage=canary,
                  date_of_birth=canary, loyalty_id=canary)
        for i in range(30)
    ]  # fmt: skip
    contacts += [v.contact("77", lastmodifieddate=canary), v.contact("1", email=f"{canary}1")]
    v.land_lines(landing, "hubspot/contacts", [*contacts, '{"id": "' + canary])
    report = load(warehouse, "contacts", landing, None, "night")
    outcomes = check(warehouse, "validated.contacts", "night")
    assert by_id(outcomes)["email_form"].rows_failed == 30
    told = (
        warehouse.sql("SELECT string_agg(CAST(COLUMNS(*) AS VARCHAR)) FROM quality.results").fetchall()
        + warehouse.sql("SELECT string_agg(CAST(COLUMNS(*) AS VARCHAR)) FROM quality.drift").fetchall()
    )
    told += warehouse.sql(
        "SELECT string_agg(CAST(COLUMNS(*) AS VARCHAR)) FROM quality.quarantine_summary"
    ).fetchall()
    everything = str(told) + str(outcomes) + str(report) + caplog.text
    assert canary.lower() not in everything.lower()


def test_an_expectation_that_cannot_run_has_failed(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.execute("CREATE TABLE customers.sample AS SELECT 1 AS n")
    suite_of(
        monkeypatch,
        "customers.sample",
        {"code": "no_column", "type": "expect_column_values_to_not_be_null", "kwargs": {"column": "missing"}},
        {"code": "bad_query", "type": "unexpected_rows_expectation",
         "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE nothing = 1"}},
        {"code": "wrong_type", "type": "expect_column_values_to_match_regex",
         "kwargs": {"column": "n", "regex": "("}},
    )  # fmt: skip
    found = by_id(check(warehouse, "customers.sample", "night"))
    assert found["some_rows"].passed
    for code in ("no_column", "bad_query", "wrong_type"):
        assert not found[code].passed
        assert found[code].error is not None
        assert found[code].error.startswith("could not be evaluated")
        assert found[code].observed == "not evaluated"


def test_great_expectations_itself_failing(events: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise MemoryError("no memory for secret@example.com")

    monkeypatch.setattr(gx, "validate", explode)
    outcomes = check(events, "validated.web_events", "night")
    suite = load_suite("validated.web_events")
    assert suite is not None
    for outcome in outcomes[: len(suite.expectations)]:
        assert not outcome.passed
        assert outcome.error == "could not be evaluated: MemoryError"
    assert by_id(outcomes)["conservation"].passed


def test_a_result_that_never_came_has_failed(events: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gx, "validate", lambda *_, **__: {})
    found = by_id(check(events, "validated.web_events", "night"))
    assert not found["missing_time"].passed
    assert found["missing_time"].error == "could not be evaluated: no result came back"


def test_empty_table_fails(warehouse: Warehouse) -> None:
    warehouse.ensure("customers.customers")
    found = by_id(check(warehouse, "customers.customers", "night"))
    assert not found["not_empty"].passed
    assert found["not_empty"].blocking
    assert found["one_row_each"].observed == "no rows"


def test_missing_table_fails_everywhere(warehouse: Warehouse) -> None:
    outcomes = check(warehouse, "validated.tickets", "night")
    assert len(outcomes) == len(suite_checks("validated.tickets"))
    assert not any(outcome.passed for outcome in outcomes)
    assert outcomes[0].error == "could not be evaluated: the table does not exist"


def test_table_without_a_suite_has_no_outcomes(warehouse: Warehouse) -> None:
    assert check(warehouse, "kpis.cohorts", "night") == []


def test_flood_of_bad_rows_blocks_until_repaired(warehouse: Warehouse, landing: Path) -> None:
    good = [v.as_export_json(v.ga4(i)) for i in range(200)]
    bad = [v.as_export_json(v.ga4(i, event_timestamp=0)) for i in range(200, 270)]
    v.land_lines(landing, "ga4/events", good + bad)
    load(warehouse, "web_events", landing, None, "night")
    found = by_id(check(warehouse, "validated.web_events", "night"))
    for code in ("implausible_time", "quarantine_share"):
        assert not found[code].passed
        assert found[code].blocking
    assert "70 of 270 rows (25.93 %)" in found["quarantine_share"].observed

    # the next night is fine, but the flooded day stays open
    next_day = {"day": v.DAY + dt.timedelta(days=1), "as_of": v.AS_OF + dt.timedelta(days=1)}
    events = [v.as_export_json(v.ga4(i, event_timestamp=v.NOON + 86_400_000_000 + i)) for i in range(200)]
    v.land_lines(landing, "ga4/events", events, **next_day)
    load(warehouse, "web_events", landing, None, "next")
    found = by_id(check(warehouse, "validated.web_events", "next"))
    assert found["implausible_time"].passed
    assert not found["quarantine_share"].passed

    v.land_lines(landing, "ga4/events", good, as_of=v.AS_OF + dt.timedelta(days=2))
    load(warehouse, "web_events", landing, None, "repaired")
    assert by_id(check(warehouse, "validated.web_events", "repaired"))["quarantine_share"].passed


def test_a_waived_day_blocks_no_more(
    warehouse: Warehouse, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v.land_lines(landing, "meta/insights", [v.advert(str(i), spend="-1") for i in range(30)])
    load(warehouse, "ad_insights", landing, None, "night")
    assert not by_id(check(warehouse, "validated.ad_insights", "night"))["quarantine_share"].passed
    suite = load_suite("validated.ad_insights")
    assert suite is not None
    breaker = suite.breaker.model_copy(update={"waived": [v.DAY.isoformat()]})
    waived = suite.model_copy(update={"breaker": breaker})
    monkeypatch.setattr(runner, "load_suite", lambda _: waived)
    assert by_id(check(warehouse, "validated.ad_insights", "night"))["quarantine_share"].passed


def test_only_the_days_of_the_run_are_looked_at(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(1, event_name="brand_new_event"))])
    load(warehouse, "web_events", landing, None, "first")
    next_day = {"day": v.DAY + dt.timedelta(days=1), "as_of": v.AS_OF + dt.timedelta(days=1)}
    v.land_lines(
        landing,
        "ga4/events",
        [v.as_export_json(v.ga4(1, event_timestamp=v.NOON + 86_400_000_000))],
        **next_day,
    )
    load(warehouse, "web_events", landing, None, "second")
    assert by_id(check(warehouse, "validated.web_events", "second"))["known_values"].passed
    assert not by_id(check(warehouse, "validated.web_events", "x", {"days": [v.DAY]}))["known_values"].passed


def test_parameters_of_the_run(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.execute("CREATE TABLE customers.sample AS SELECT TIMESTAMP '2026-03-02' AS at_time")
    suite_of(
        monkeypatch,
        "customers.sample",
        {"code": "recent", "type": "expect_column_max_to_be_between",
         "kwargs": {"column": "at_time", "min_value": {"$PARAMETER": "since"}}},
    )  # fmt: skip
    for since, passed in ((utc(2026, 3, 1), True), (utc(2026, 3, 3), False)):
        found = by_id(check(warehouse, "customers.sample", "night", {"since": since}))
        assert found["recent"].passed is passed
        assert found["recent"].observed == "2026-03-02 00:00"


def test_no_network_no_folder_and_no_noise(
    events: Warehouse, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import socket
    import tempfile

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("no network and no temporary folder while checking")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert check(events, "validated.web_events", "night")[0].error is None
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Calculating" not in captured.err
