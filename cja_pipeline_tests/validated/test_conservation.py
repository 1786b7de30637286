"""Nothing is lost and nothing counted twice, whatever lands; loading again changes nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cja_pipeline.validated import load as load_module
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline.validated.suites import Suite, load_suite
from cja_pipeline.validated.summary import quarantine_groups, replay
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v

DAYS = [v.DAY, v.DAY + dt.timedelta(days=1)]
MICROS = 86_400_000_000


def line(kind: str, number: int) -> Any:
    """A line of a kind, with what becomes of it."""
    at = v.NOON + number * 1000
    return {
        "good": lambda: v.as_export_json(v.ga4(number, event_timestamp=at)),
        "anonymous": lambda: v.as_export_json(v.ga4(number, event_timestamp=at, user_pseudo_id=None)),
        "epoch": lambda: v.as_export_json(v.ga4(number, event_timestamp=0)),
        "late": lambda: v.as_export_json(v.ga4(number, event_timestamp=at - 9 * MICROS)),
        "broken": lambda: '{"event_name": ',
        "foreign": lambda: {"message": "try later"},
        "number": lambda: "17",
    }[kind]()


LINES = st.lists(
    st.tuples(
        st.sampled_from(["good", "good", "anonymous", "epoch", "late", "broken", "foreign", "number"]),
        st.integers(0, 12),
    ),
    max_size=25,
)
BOOKS = "SELECT * EXCLUDE (run_id) FROM quality.ledger ORDER BY table_name, day, stage"
ROWS = "SELECT * FROM validated.web_events ORDER BY _source_file, _source_row"
KEPT = "SELECT * EXCLUDE (run_id) FROM quality.quarantine ORDER BY source_file, source_row, rules"


def state(warehouse: Warehouse) -> list[Any]:
    return [warehouse.sql(query).fetchall() for query in (BOOKS, ROWS, KEPT)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=LINES, second=LINES, cut=st.integers(0, 400))
def test_books_balance_for_any_input(first: list[Any], second: list[Any], cut: int) -> None:
    with TemporaryDirectory() as folder, Warehouse(":memory:") as warehouse:
        landing = Path(folder)
        for day, kinds in zip(DAYS, (first, second), strict=True):
            as_of = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(3), tzinfo=dt.UTC)
            v.land_lines(landing, "ga4/events", [line(*kind) for kind in kinds], day=day, as_of=as_of)
        damaged = landing / "ga4/events" / f"dt={DAYS[1]}" / "part-000.jsonl.gz"
        left = damaged.read_bytes()[: max(0, damaged.stat().st_size - cut)]
        damaged.write_bytes(left)
        told = 1 if not second and not left else 0  # a file without rows that is gone counts as one record
        report = load(warehouse, "web_events", landing, None, "run-1")
        assert report.conserved
        assert report.offered == len(first) + len(second) + told
        distinct = {kind for kind in first if kind[0] in ("good", "anonymous")}
        day_one = warehouse.scalar("SELECT count(*) FROM validated.web_events WHERE _dt = ?", [DAYS[0]])
        assert day_one == len(distinct)
        before = state(warehouse)
        assert load(warehouse, "web_events", landing, None, "run-2").days == []
        again = load(warehouse, "web_events", landing, DAYS, "run-3")
        assert again.days == DAYS
        assert again.conserved
        assert state(warehouse) == before


def test_one_reload_touches_only_its_day(warehouse: Warehouse, landing: Path) -> None:
    for day in DAYS:
        as_of = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(3), tzinfo=dt.UTC)
        events = [v.as_export_json(v.ga4(i, event_timestamp=v.NOON + i)) for i in range(5)]
        v.land_lines(landing, "ga4/events", events, day=day, as_of=as_of)
    load(warehouse, "web_events", landing, None, "first")
    fresh = [v.as_export_json(v.ga4(i, event_timestamp=v.NOON + i)) for i in range(8)]
    v.land_lines(landing, "ga4/events", fresh, as_of=v.AS_OF + dt.timedelta(days=1))
    report = load(warehouse, "web_events", landing, None, "second")
    assert (report.days, report.valid) == ([v.DAY], 8)
    runs = warehouse.sql("SELECT DISTINCT day, run_id FROM quality.ledger ORDER BY day").fetchall()
    assert runs == [(DAYS[0], "second"), (DAYS[1], "first")]
    assert warehouse.count("validated.web_events") == 13


def test_a_crash_while_writing_leaves_the_day_as_it_was(
    warehouse: Warehouse, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(i)) for i in range(3)])
    load(warehouse, "web_events", landing, None, "first")
    before = state(warehouse)
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(i)) for i in range(9)])

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(load_module.Writing, "ledger", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            load(warehouse, "web_events", landing, None, "second")
    assert state(warehouse) == before
    assert load(warehouse, "web_events", landing, None, "third").valid == 9
    assert unbalanced_days(warehouse, "validated.web_events") == []


def test_lost_rows_are_noticed(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(i)) for i in range(3)])
    load(warehouse, "web_events", landing, None, "run")
    warehouse.execute("DELETE FROM validated.web_events WHERE _source_row = 2")
    assert unbalanced_days(warehouse, "validated.web_events") == [v.DAY]


def test_a_changed_rule_releases_exactly_its_rows(
    warehouse: Warehouse, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adverts = [v.advert(f"{i}") for i in range(5)]
    adverts += [v.advert(f"refund{i}", spend="-1.00") for i in range(3)]
    adverts += [v.advert("nameless", account_currency=None)]
    v.land_lines(landing, "meta/insights", adverts)
    first = load(warehouse, "ad_insights", landing, None, "first")
    assert (first.valid, first.quarantined) == (5, 4)
    assert [group["records"] for group in quarantine_groups(warehouse)] == [3, 1]

    suite = load_suite("validated.ad_insights")
    assert suite is not None
    kept = [entry for entry in suite.expectations if entry.code != "negative_number"]
    changed = Suite.model_construct(
        table=suite.table, scope=suite.scope, breaker=suite.breaker, expectations=kept
    )
    monkeypatch.setattr(load_module, "load_suite", lambda _: changed)
    second = load(warehouse, "ad_insights", landing, None, "second")
    assert (second.days, second.valid, second.quarantined) == ([v.DAY], 8, 1)
    released = warehouse.sql(
        "SELECT ad_id FROM validated.ad_insights WHERE spend < 0 ORDER BY ad_id"
    ).fetchall()
    assert released == [("refund0",), ("refund1",), ("refund2",)]


def test_replay_brings_repaired_rows_in_once(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "meta/insights", [v.advert("1"), v.advert("2", spend="x")])
    load(warehouse, "ad_insights", landing, None, "first")
    v.land_lines(landing, "meta/insights", [v.advert("1"), v.advert("2", spend="7.00")])
    for _ in range(2):
        report = replay(warehouse, "validated.ad_insights", landing, "again")
        assert report.conserved
    assert warehouse.sql("SELECT ad_id FROM validated.ad_insights ORDER BY ad_id").fetchall() == [
        ("1",),
        ("2",),
    ]
    assert quarantine_groups(warehouse) == []


def test_money_and_currency_in_the_ledger(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(
        landing, "hubspot/orders", [v.order("1"), v.order("2", hs_currency_code="CHF"), v.order("3")]
    )
    v.land_lines(landing, "meta/insights", [v.advert("1"), v.advert("2", spend="0.05")])
    load(warehouse, "crm_orders", landing, None, "run")
    load(warehouse, "ad_insights", landing, None, "run")
    totals = warehouse.sql(
        "SELECT table_name, CAST(money AS VARCHAR), currency FROM quality.ledger "
        "WHERE stage = 'validated' ORDER BY table_name"
    ).fetchall()
    assert totals == [
        ("validated.ad_insights", "54.0000", "EUR"),
        ("validated.crm_orders", "270.0000", "mixed"),
    ]


def test_landed_stage_tells_what_the_vendor_offered(warehouse: Warehouse, landing: Path) -> None:
    more = {"duplicate_rows": 2, "rejected_rows": 1, "errors": ["page 3 could not be read"]}
    v.land_lines(landing, "klaviyo/events", [v.email()], **more)
    load(warehouse, "email_events", landing, None, "run")
    stages = warehouse.sql(
        "SELECT stage, offered, accepted, rejected, valid, duplicate FROM quality.ledger ORDER BY stage"
    ).fetchall()
    assert stages == [("landed", 4, 3, 1, 1, 2), ("validated", 1, 1, 0, 1, 0)]
