"""Alerts: once per incident, over when it is over, to real local servers, without personal data."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cja_pipeline.alerts import BusyError, after_run, check_data, check_publication
from cja_pipeline.alerts.incidents import FILE, Book, Condition
from cja_pipeline.alerts.service import tell
from cja_pipeline.cli import main
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.alerts.servers import MailServer, WebhookServer
from cja_pipeline_tests.journey_maps.small_shop import LAST, NOW, insert

CANARY = "petra.canary@example.com"


def odd(key: str = "a", title: str = "Something is odd") -> Condition:
    return Condition("stale", f"stale/{key}", title, "http://127.0.0.1:3000/reports/latest/quality.html")


def titles(hook: WebhookServer, part: str) -> list[list[str]]:
    return [[one["title"] for one in message[part]] for message in hook.received]


def test_an_incident_is_told_once_and_once_that_it_is_over(alerted: Path, hook: WebhookServer) -> None:
    assert tell([odd()], ["stale"]) == ["Something is odd"]
    assert tell([odd()], ["stale"]) == []
    assert tell([], ["check"]) == []  # nobody looked at that kind: it is not over
    assert tell([], ["stale"]) == ["Something is odd"]
    assert tell([], ["stale"]) == []
    assert titles(hook, "began") == [["Something is odd"], []]
    assert titles(hook, "over") == [[], ["Something is odd"]]
    assert json.loads((alerted / FILE).read_text()) == []
    assert tell([odd()], ["stale"]) == ["Something is odd"]  # it came back: a new incident
    assert hook.received[0]["began"][0]["link"].endswith("/reports/latest/quality.html")


def test_several_incidents_make_one_message(alerted: Path, hook: WebhookServer) -> None:
    tell([odd("a", "One"), odd("b", "Two"), odd("c", "Three")], ["stale"])
    assert len(hook.received) == 1
    assert hook.received[0]["text"].startswith("cja_pipeline: One (and 2 more)")


def test_a_channel_that_was_away_hears_it_later_and_the_other_not_twice(
    alerted: Path, hook: WebhookServer, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CJA_ALERT_SMTP", post.url)
    monkeypatch.setenv("CJA_ALERT_TO", "night@example.org, watch@example.org")
    monkeypatch.setenv("CJA_ALERT_FROM", "cja@example.org")
    get_settings.cache_clear()
    hook.status = 503
    assert tell([odd()], ["stale"]) == ["Something is odd"]
    assert len(post.received) == 1
    hook.status = 200
    assert tell([odd()], ["stale"]) == ["Something is odd"]
    assert len(post.received) == 1
    message = post.received[0]
    assert message["Subject"] == "cja_pipeline: Something is odd"
    assert message["From"] == "cja@example.org"
    assert post.recipients == ["night@example.org", "watch@example.org"]
    assert "http://127.0.0.1:3000/reports/latest/quality.html" in message.get_content()


def test_an_incident_nobody_heard_of_needs_no_all_clear(alerted: Path, hook: WebhookServer) -> None:
    hook.status = 500
    tell([odd()], ["stale"])
    hook.status = 200
    assert tell([], ["stale"]) == []
    assert titles(hook, "over") == [[]]  # the one attempt that was refused


def test_without_channels_nothing_is_written(home: Path) -> None:
    get_settings().prepare()
    assert tell([odd()], ["stale"]) == []
    assert not (home / FILE).exists()


def test_a_broken_book_does_not_stop_the_night(alerted: Path, hook: WebhookServer) -> None:
    (alerted / FILE).write_text("{broken", encoding="utf-8")
    assert tell([odd()], ["stale"]) == ["Something is odd"]
    assert Book(alerted / FILE).incidents["stale/a"].told == ["webhook"]
    assert (alerted / FILE).stat().st_mode & 0o077 == 0


def fill(path: Path, *, newest: dt.date = LAST, failed: bool = False, anomaly: bool = True) -> None:
    """A warehouse after a night: one source, one check, one anomaly."""
    counts = dict.fromkeys(("offered", "accepted", "valid", "written"), 100)
    counts |= dict.fromkeys(("quarantined", "duplicate", "rejected", "late"), 0)
    with Warehouse(path) as wh:
        for table in ("quality.ledger", "quality.results", "kpis.anomalies"):
            wh.execute(f"DROP TABLE IF EXISTS {table}")
        wh.execute("CREATE SCHEMA IF NOT EXISTS config")
        wh.execute(f"CREATE OR REPLACE TABLE config.params AS SELECT DATE '{LAST}' AS last_day")
        ledger = {"run_id": "r", "source": "crm", "stream": "s", "table_name": "validated.contacts"}
        ledger |= {"day": newest, "stage": "validated", "fingerprint": "f", "rules_hash": "h", "as_of": NOW}
        insert(wh, "quality.ledger", [ledger | counts])
        result = {"run_id": "r", "checked_at": NOW, "table_name": "validated.contacts", "action": "block"}
        result |= {"check_id": "volume", "severity": "critical", "passed": not failed, "error": CANARY}
        result |= {"description": "Rows per day are usual.", "observed": CANARY, "expected": "x"}
        insert(wh, "quality.results", [result])
        for table in ("kpis.anomalies", "quality.quarantine_summary"):
            wh.ensure(table)
        if anomaly:
            figures = dict.fromkeys(("value", "expected", "low", "high", "size", "score"), 1.0)
            row = {"kpi_id": "bounce_rate", "stage": "awareness", "day": LAST, "dimension": "all"}
            row |= {"dimension_value": "all", "direction": "up", "effect": "bad", "owner": "team:x"}
            row |= {"evidence": "Bounce rate was 60 % on Friday; 40 % is usual; 17 of 28"}
            insert(wh, "kpis.anomalies", [row | figures])


def test_anomalies_wait_until_the_data_are_complete(alerted: Path, hook: WebhookServer) -> None:
    path = get_settings().warehouse_path
    fill(path, newest=LAST - dt.timedelta(days=1))
    assert check_data() == ["crm is behind: newest day 2026-11-19, expected 2026-11-20"]
    fill(path, failed=True)
    assert check_data() == [
        "Blocking check failed on validated.contacts: Rows per day are usual.",
        "crm is behind: newest day 2026-11-19, expected 2026-11-20",  # over
    ]
    fill(path)
    assert "Bounce rate was 60 % on Friday; 40 % is usual" in check_data()
    fill(path, failed=True, anomaly=False)
    check_data()
    assert "Bounce rate" not in json.dumps(hook.received[-1]["over"])  # nobody could look
    fill(path, anomaly=False)
    assert "Bounce rate was 60 % on Friday; 40 % is usual" in check_data()
    assert CANARY not in json.dumps(hook.received)
    assert CANARY not in (alerted / FILE).read_text()


def test_a_warehouse_that_a_first_night_left_unfinished_is_no_error(alerted: Path) -> None:
    path = get_settings().warehouse_path
    fill(path, failed=True)
    with Warehouse(path) as wh:
        wh.execute("DROP TABLE quality.quarantine_summary")
    assert check_data() == []


def test_a_warehouse_in_use_is_left_alone(alerted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    fill(get_settings().warehouse_path)

    def locked(*_: object, **__: object) -> None:
        raise duckdb.IOException("Could not set lock on file")

    monkeypatch.setattr("cja_pipeline.warehouse.Warehouse.__init__", locked)
    with pytest.raises(BusyError):
        check_data()


def test_a_failed_night_is_told_with_its_run_and_is_over_with_the_next(
    alerted: Path, hook: WebhookServer
) -> None:
    run = "1f0c7d9e-0000-4000-8000-000000000000"
    assert after_run("nightly_refresh", run, ["web_events", "contacts"]) == [
        "nightly_refresh failed: web_events, contacts"
    ]
    assert hook.received[0]["began"][0]["link"] == f"http://127.0.0.1:3000/runs/{run}"
    assert after_run("nightly_refresh", "another", ["web_events"]) == []  # the same trouble, one incident
    assert after_run("nightly_refresh", "third", None) == ["nightly_refresh failed: web_events, contacts"]
    assert titles(hook, "over")[-1] == ["nightly_refresh failed: web_events, contacts"]


def test_links_lead_where_people_can_follow(
    alerted: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CJA_REPORT_BASE_URL", "https://cja.example.org/reports/")
    get_settings.cache_clear()
    fill(get_settings().warehouse_path, failed=True)
    after_run("nightly_refresh", "run-1", ["contacts"])
    links = [one["link"] for message in hook.received for one in message["began"]]
    assert links == [
        "https://cja.example.org/runs/run-1",
        "https://cja.example.org/reports/latest/quality.html",
    ]
    assert all(link in json.dumps([message["text"] for message in hook.received]) for link in links)


def test_a_page_that_nobody_renewed_is_told(alerted: Path, hook: WebhookServer) -> None:
    reports = get_settings().reports_dir
    assert check_publication(dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)) == []  # nothing was ever published
    (reports / "2026-11-20").mkdir(parents=True)
    (reports / "latest").mkdir()
    at_five, at_six = (dt.datetime(2026, 11, 22, hour, tzinfo=dt.UTC) for hour in (4, 5))  # Berlin: UTC + 1
    assert check_publication(at_five) == []
    assert check_publication(at_six) == [
        "The journey map is of 2026-11-20; 2026-11-21 should have been published"
    ]
    assert check_publication(at_six + dt.timedelta(hours=20)) == []
    (reports / "2026-11-22").mkdir()
    assert len(check_publication(at_six + dt.timedelta(days=1))) == 1
    assert titles(hook, "over")[-1] == [
        "The journey map is of 2026-11-20; 2026-11-21 should have been published"
    ]


def test_the_commands(alerted: Path, hook: WebhookServer, post: MailServer) -> None:
    runner = CliRunner()
    assert "webhook: delivered" in runner.invoke(main, ["alerts", "test"]).output
    assert hook.received[0]["began"][0]["title"] == "This is a test, nothing is wrong"
    assert "No incident is open" in runner.invoke(main, ["alerts", "list"]).output
    fill(get_settings().warehouse_path, failed=True)
    told = runner.invoke(main, ["alerts", "check"])
    assert told.exit_code == 0, told.output
    assert "Blocking check failed" in told.output
    listed = json.loads(runner.invoke(main, ["alerts", "list", "--json"]).output)
    assert [one["kind"] for one in listed] == ["check"]
    hook.status = 500
    assert runner.invoke(main, ["alerts", "test"]).exit_code == 1


def test_a_test_without_channels_says_which_settings_are_missing(home: Path) -> None:
    found = CliRunner().invoke(main, ["alerts", "test"])
    assert found.exit_code == 1
    assert "CJA_ALERT_WEBHOOK" in found.output
    for command in ("list", "check"):
        assert "CJA_ALERT_WEBHOOK" in CliRunner().invoke(main, ["alerts", command]).output
