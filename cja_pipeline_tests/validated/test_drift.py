"""New, missing and retyped fields are found in a sample; unusual volumes and silent hours by the past."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cja_pipeline.validated.load import load
from cja_pipeline.validated.volume import Range, silent_hours, usual_ranges
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v


def drift(warehouse: Warehouse) -> list[tuple[str, str]]:
    return warehouse.sql("SELECT kind, field FROM quality.drift ORDER BY kind, field").fetchall()


def test_calm_on_declared_fields(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    v.land_lines(landing, "hubspot/contacts", [v.contact(str(i)) for i in range(100)])
    v.land_lines(landing, "klaviyo/events", [v.email(str(i)) for i in range(100)])
    v.land_lines(landing, "meta/posts", [v.post()])
    v.land_parquet(landing, [v.ga4(i) for i in range(5)], tmp_path)
    for table in ("contacts", "email_events", "social_posts", "web_events"):
        load(warehouse, table, landing, None, "run")
    assert drift(warehouse) == []


def test_renamed_new_and_retyped_fields(warehouse: Warehouse, landing: Path) -> None:
    people = []
    for index in range(50):
        person = v.contact(str(index), shoe_size="44", email=["a@b.example"])
        person["properties"]["phone_number"] = person["properties"].pop("phone")
        people.append(person)
    v.land_lines(landing, "hubspot/contacts", people)
    report = load(warehouse, "contacts", landing, None, "run")
    assert report.valid == 50
    assert drift(warehouse) == [
        ("missing", "properties.phone"),
        ("renamed", "properties.phone to phone_number"),
        ("retyped", "properties.email"),
        ("unknown", "properties.phone_number"),
        ("unknown", "properties.shoe_size"),
    ]
    hint = warehouse.scalar("SELECT detail FROM quality.drift WHERE kind = 'missing'")
    assert "unknown fields: properties.phone_number" in hint or "properties.shoe_size" in hint


HOSTILE_NAMES = [
    "petra.canary@example.com", "+49 170 5550123", "x\x1b]0;owned\x07", "<img src=x>", "a\nb", "\u202ea",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_could_be_of_a_person_is_not_told(
    name: str, warehouse: Warehouse, landing: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    v.land_lines(landing, "hubspot/contacts", [v.contact("1", **{name: "x"})])
    v.land_lines(landing, "ga4/events", [v.as_export_json(v.ga4(1, params={name: "x"})) | {name: 1}])
    v.land_parquet(landing, [v.ga4(1, params={name: "x"})], tmp_path, day=v.DAY + dt.timedelta(days=1))
    made = tmp_path / "made.parquet"
    pq.write_table(pq.read_table(made).append_column(name, pa.array([1])), made)
    v.land(
        landing, "ga4/events", {"part-000.parquet": made.read_bytes()}, {"part-000.parquet": 1},
        day=v.DAY + dt.timedelta(days=2),
    )  # fmt: skip
    told = [load(warehouse, table, landing, None, "run").problems for table in ("contacts", "web_events")]
    found = drift(warehouse)
    assert ("unknown", "properties.(a name that is not shown)") in found
    assert ("unknown", "(a name that is not shown)") in found
    assert ("unknown", "event_params.(a name that is not shown)") in found
    assert "petra" not in str(found)
    everything = warehouse.sql("SELECT * FROM quality.drift").fetchall()
    for text in (str(everything), str(told), caplog.text):
        assert name not in text
        assert repr(name)[1:-1] not in text


def test_missing_required_field_of_a_json_stream(warehouse: Warehouse, landing: Path) -> None:
    lines = [v.as_export_json(v.ga4(i)) for i in range(30)]
    for line in lines:
        line["event_ts"] = line.pop("event_timestamp")
    v.land_lines(landing, "ga4/events", lines)
    report = load(warehouse, "web_events", landing, None, "run")
    assert (report.valid, report.quarantined) == (0, 30)
    told = [problem for problem in report.problems if "missing event_timestamp" in problem]
    assert told == [
        "ga4/events 2026-03-02: missing event_timestamp: in none of 30 sampled rows; unknown fields: event_ts"
    ]


def test_new_column_of_a_parquet_file(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    v.land_parquet(landing, [v.ga4(0, loyalty_level="gold")], tmp_path)
    assert load(warehouse, "web_events", landing, None, "run").valid == 1
    assert drift(warehouse) == [("unknown", "loyalty_level")]


def test_values_of_another_type_become_null_and_are_counted(warehouse: Warehouse, landing: Path) -> None:
    records = [v.advert(str(i), reach="about 300" if i < 3 else "300") for i in range(10)]
    v.land_lines(landing, "meta/insights", records)
    report = load(warehouse, "ad_insights", landing, None, "run")
    assert (report.valid, report.quarantined) == (10, 0)
    found = warehouse.sql("SELECT kind, field, detail, records FROM quality.drift").fetchall()
    assert found == [("unreadable", "reach", "cannot be read as BIGINT and became null", 3)]
    assert warehouse.scalar("SELECT count(*) FROM validated.ad_insights WHERE reach IS NULL") == 3


@pytest.mark.parametrize("export", ["parquet", "json"])
def test_new_event_parameter(warehouse: Warehouse, landing: Path, tmp_path: Path, export: str) -> None:
    events = [v.ga4(0), v.ga4(1, params={"loyalty_level": "gold"})]
    if export == "parquet":
        v.land_parquet(landing, events, tmp_path)
    else:
        v.land_lines(landing, "ga4/events", [v.as_export_json(event) for event in events])
    assert load(warehouse, "web_events", landing, None, "run").valid == 2
    assert drift(warehouse) == [("unknown", "event_params.loyalty_level")]


# --- volume -------------------------------------------------------------------------------------------
def unusual_days(every: list[dt.date], rows: list[int], which: set[dt.date]) -> list[Range]:
    return [one for one in usual_ranges(every, rows, which) if one.unusual]


def days(count: int) -> list[dt.date]:
    return [dt.date(2026, 1, 5) + dt.timedelta(days=index) for index in range(count)]


def shop(rng: np.random.Generator, count: int, size: float) -> list[int]:
    week = rng.normal(0, 0.25, 7)
    level = np.cumsum(rng.normal(0, 0.02, count))
    return [int(rng.poisson(size * np.exp(week[index % 7] + level[index]))) for index in range(count)]


def test_volume_is_calm_on_ordinary_days_and_loud_on_outages() -> None:
    rng = np.random.default_rng(11)
    alarms = judged = caught = 0
    for _ in range(12):
        rows = shop(rng, 80, 5000)
        every = days(80)
        alarms += len(unusual_days(every, rows, set(every)))
        judged += 80 - 28
        broken = [*rows[:60], rows[60] // 3, *rows[61:]]
        caught += bool(unusual_days(every, broken, {every[60]}))
    assert alarms <= judged / 100
    assert caught == 12


@pytest.mark.parametrize("count", [0, 1, 27, 28])
def test_volume_needs_history(count: int) -> None:
    assert unusual_days(days(count), [0] * count, set(days(count))) == []


def test_only_the_past_is_used() -> None:
    rows = shop(np.random.default_rng(3), 60, 3000)
    at = days(60)[40]
    once = unusual_days(days(60), [*rows[:40], 10, *rows[41:]], {at})
    other = unusual_days(days(60), [*rows[:40], 10, *[7] * 19], {at})
    assert once == other
    assert once[0].rows == 10


def test_silent_hours_by_the_clock_of_the_shop(warehouse: Warehouse) -> None:
    """They come from 6 to 24 o'clock, also after the clocks change on 29 March; on 3 April six hours lack."""
    march = [dt.date(2026, 3, 5) + dt.timedelta(days=index) for index in range(32)]
    warehouse.ensure("validated.web_events")
    warehouse.execute(
        "INSERT INTO validated.web_events BY NAME SELECT _dt, md5(concat(_dt, n)) AS event_id, "
        "timezone('UTC', timezone('Europe/Berlin', CAST(_dt AS TIMESTAMP) + to_seconds(n * 12))) "
        "AS occurred_at "
        "FROM (SELECT unnest(?::DATE[]) AS _dt) AS d CROSS JOIN range(1800, 7200) AS r(n) "
        "WHERE NOT (_dt = DATE '2026-04-03' AND n * 12 / 3600 >= 9 AND n * 12 / 3600 < 15)",
        [march],
    )
    assert silent_hours(warehouse, "validated.web_events", march) == {dt.date(2026, 4, 3): 6}
    assert silent_hours(warehouse, "validated.ad_insights", march) == {}


def assert_loads_alike(warehouse: Warehouse, landing: Path, table: str) -> None:
    """Loaded again, into another warehouse, the landing gives the same rows and findings."""
    with Warehouse(":memory:") as other:
        load(other, table, landing, None, "run")
        for name in (f"validated.{table}", "quality.drift", "quality.quarantine", "quality.ledger"):
            found = [
                sorted(map(repr, one.sql(f"SELECT * FROM {name}").fetchall())) for one in (warehouse, other)
            ]
            assert found[0] == found[1]
            assert found[0]


def test_a_day_does_not_depend_on_the_days_loaded_with_it(
    warehouse: Warehouse, landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = set()
    for index in range(24):
        day, at = v.DAY + dt.timedelta(days=index), v.NOON + index * 86_400_000_000
        more = {"params": {"page_kind": "x"}} if index % 5 == 0 else {}
        events = [v.ga4(n, event_timestamp=at + n, **more) for n in range(3)]
        as_of = v.AS_OF + dt.timedelta(days=index)
        if index % 4 == 3:
            lines = [*map(v.as_export_json, events), v.as_export_json(events[0]), '{"event_name": "pa']
            v.land_lines(landing, "ga4/events", lines, day=day, as_of=as_of)
        else:
            v.land_parquet(landing, events, tmp_path, day=day, as_of=as_of)
        odd |= {day} if more else set()
    load(warehouse, "web_events", landing, None, "run")
    monkeypatch.setattr("cja_pipeline.validated.load.ROWS_PER_BATCH", 1)
    assert_loads_alike(warehouse, landing, "web_events")
    told = warehouse.sql("SELECT day FROM quality.drift WHERE field = 'event_params.page_kind'").fetchall()
    assert {day for (day,) in told} == odd
    assert warehouse.count("validated.web_events") == 24 * 3
    assert warehouse.count("quality.quarantine") == 6


def test_lines_are_the_same_however_many_are_read_at_once(
    warehouse: Warehouse, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(9):
        lines = [v.email(f"E{index}{n}") for n in range(4)] + ["{broken", "", "[1]"][: index % 4]
        v.land_lines(landing, "klaviyo/events", lines, day=v.DAY + dt.timedelta(days=index))
    load(warehouse, "email_events", landing, None, "run")
    monkeypatch.setattr("cja_pipeline.validated.stage.LINES_BYTES", 1)
    assert_loads_alike(warehouse, landing, "email_events")
    told = warehouse.sql(
        "SELECT day, count(*) FROM quality.quarantine WHERE rules = 'malformed_line' GROUP BY day"
    )
    assert {day: n for day, n in told.fetchall() if n} == {
        v.DAY + dt.timedelta(days=index): 2 if index % 4 == 3 else 1 for index in range(9) if index % 4
    }
