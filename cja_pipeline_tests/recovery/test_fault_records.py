"""Poison records, huge fields, odd characters, impossible and late times, and days that clocks make long."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.validated import lines as lines_module
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.recovery.test_fault_files import EVENTS, conserved, landing
from cja_pipeline_tests.validated import vendors as v

__all__ = ["landing"]


def deep(levels: int) -> str:
    return '{"event_name": "x", "items": ' + "[" * levels + "]" * levels + "}"


POISON = {
    "nested 300 deep": deep(300),
    "nested 200,000 deep": deep(200_000),
    "not a number": '{"event_name": "x", "event_timestamp": NaN}',
    "larger than any number": '{"event_name": "x", "event_timestamp": 1e400}',
    "a key twice": '{"event_name": "x", "event_name": "y"}',
    "a lone surrogate": '{"event_name": "\\ud800"}',
    "NUL": '{"event_name": "a\\u0000b"}',
    "a list": "[1, 2]",
    "nothing": "null",
    "half": '{"event_name": "x',
    "a million keys": "{" + ",".join(f'"k{n}": {n}' for n in range(10**6)) + "}",
}


@pytest.mark.parametrize("kind", POISON)
def test_a_poison_record_costs_itself_only(warehouse: Warehouse, landing: Path, kind: str) -> None:
    lines: list[Any] = [*EVENTS[:10], POISON[kind], *EVENTS[10:20]]
    v.land_lines(landing, "ga4/events", lines)
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, 21)
    assert report.valid == 20, report.problems


def test_a_field_of_fifty_megabytes_costs_its_record_only(warehouse: Warehouse, landing: Path) -> None:
    huge = v.as_export_json(v.ga4(999, params={"search_term": "x" * (50 << 20)}))
    v.land_lines(landing, "ga4/events", [*EVENTS[:5], huge, *EVENTS[5:9]])
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, 10)
    assert (report.valid, report.rejected) == (9, 1)
    (rule, payload) = warehouse.sql("SELECT rules, payload FROM quality.quarantine").fetchall()[0]
    assert rule == "oversized_line"
    assert len(payload) <= 200


def test_characters_of_all_kinds(warehouse: Warehouse, landing: Path) -> None:
    texts = [
        "\u202eabc\u202c",
        "e\u0301",
        "\u00e9",
        "\U0001f3d5\ufe0f",
        "\u0001",
        "a\u2028b",
        "\ufeffx",
        "\u0000",
    ]
    records = [
        v.as_export_json(v.ga4(number, params={"search_term": text})) for number, text in enumerate(texts)
    ]
    body = b"\xef\xbb\xbf" + gzip.decompress(v.jsonl(records))  # a byte order mark before the first record
    latin = json.dumps(EVENTS[0]).replace("page_view", "caf\u00e9")
    body += latin.encode("cp1252") + b"\n"
    v.land(
        landing,
        "ga4/events",
        {"part-000.jsonl.gz": gzip.compress(body)},
        {"part-000.jsonl.gz": len(texts) + 1},
    )
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, len(texts) + 1)
    assert (report.valid, report.rejected) == (len(texts), 1)  # the CP1252 line is kept aside, not guessed at
    found = warehouse.sql("SELECT search_term FROM validated.web_events ORDER BY _source_row").fetchall()
    assert [row[0] for row in found] == texts


def test_a_bomb_is_not_unpacked(warehouse: Warehouse, landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MIN_LIMIT", 1 << 20)
    bomb = gzip.compress(b" " * (40 << 20))
    v.land(landing, "ga4/events", {"part-000.jsonl.gz": bomb}, {"part-000.jsonl.gz": 3})
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, 3)
    assert "expands more than 250-fold" in report.problems[0]


# --- times ------------------------------------------------------------------------------------------------
def test_impossible_times_are_kept_aside_with_a_reason(warehouse: Warehouse, landing: Path) -> None:
    seconds = v.NOON // 1_000_000
    wrong = {
        "epoch 0": 0,
        "seconds": seconds,
        "milliseconds": seconds * 1000,
        "next year": v.NOON + 366 * 86_400_000_000,
    }
    lines = [EVENTS[0], *[v.as_export_json(v.ga4(9, event_timestamp=at)) for at in wrong.values()]]
    v.land_lines(landing, "ga4/events", lines)
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, 5)
    assert report.valid == 1
    reasons = warehouse.sql(
        "SELECT rules FROM quality.quarantine WHERE rules = '' OR rules IS NULL"
    ).fetchall()
    assert reasons == []


def test_late_rows_are_parked_and_counted(warehouse: Warehouse, landing: Path) -> None:
    day = 86_400_000_000
    lines = [EVENTS[0], v.as_export_json(v.ga4(1, event_timestamp=v.NOON - 9 * day))]
    v.land_lines(landing, "ga4/events", lines)
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, 2)
    assert (report.valid, report.late) == (1, 1)


@pytest.mark.parametrize(
    ("first", "days"),
    [("2026-03-28", 3), ("2026-10-24", 3), ("2028-02-28", 3), ("2026-12-30", 4)],
    ids=["the hour that is missing", "the hour that comes twice", "29 February", "the turn of the year"],
)
def test_every_quarter_of_an_hour_is_in_one_business_day(
    warehouse: Warehouse, landing: Path, first: str, days: int
) -> None:
    """Landed by the shop's days, loaded by day: nothing lost, nothing twice, whatever the clock does."""
    from cja_pipeline.config import shop
    from cja_pipeline.sources.window import midnight_utc

    start = dt.date.fromisoformat(first)
    total = 0
    for offset in range(days):
        day = start + dt.timedelta(days=offset)
        begin, end = midnight_utc(day, shop().zone), midnight_utc(day + dt.timedelta(days=1), shop().zone)
        moments = [
            begin + dt.timedelta(minutes=15 * n) for n in range(int((end - begin).total_seconds()) // 900)
        ]
        events = [
            v.as_export_json(v.ga4(n, event_timestamp=int(at.timestamp()) * 1_000_000))
            for n, at in enumerate(moments, total)
        ]
        total += len(events)
        as_of = (end + dt.timedelta(hours=4)).astimezone(dt.UTC)
        v.land_lines(landing, "ga4/events", events, day=day, as_of=as_of)
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, total)
    assert report.valid == total
    moments = warehouse.sql("SELECT occurred_at FROM validated.web_events ORDER BY 1").fetchall()
    gaps = {later[0] - earlier[0] for earlier, later in pairwise(moments)}
    assert gaps == {dt.timedelta(minutes=15)}
    hours = (
        midnight_utc(start + dt.timedelta(days=days), shop().zone) - midnight_utc(start, shop().zone)
    ).total_seconds() / 3600
    assert total == hours * 4
