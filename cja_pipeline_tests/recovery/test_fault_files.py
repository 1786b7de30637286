"""Files that are cut, flipped, growing, rewritten or poisoned: whole days or nothing, and every record
accounted for."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cja_pipeline.sources import ga4_store, pull
from cja_pipeline.sources.errors import PullError
from cja_pipeline.sources.window import Window
from cja_pipeline.validated import lines as lines_module
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import LoadReport, load
from cja_pipeline.validated.views import create_views
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.sources.helpers import AS_OF, DAY, ZONE, source
from cja_pipeline_tests.validated import vendors as v

ROWS = 160
EVENTS = [v.as_export_json(v.ga4(number)) for number in range(ROWS)]
ALL = "SELECT * EXCLUDE (_source_file, _source_row) FROM validated.web_events ORDER BY event_id"


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landing"


def conserved(warehouse: Warehouse, report: LoadReport, offered: int) -> None:
    assert report.offered == offered
    assert (
        report.offered == report.valid + report.quarantined + report.duplicate + report.late + report.rejected
    )
    assert unbalanced_days(warehouse, f"validated.{report.table.removeprefix('validated.')}") == []


def test_a_file_cut_anywhere_gives_whole_rows_and_counts_the_rest(
    warehouse: Warehouse, landing: Path
) -> None:
    """Sixteenths of a gzip file: what is read is a sound beginning, what is missing is rejected."""
    for cut in range(0, 16, 3):
        folder = v.land_lines(landing, "ga4/events", EVENTS)
        part = folder / "part-000.jsonl.gz"
        whole = part.read_bytes()
        part.write_bytes(whole[: len(whole) * cut // 16])
        report = load(warehouse, "web_events", landing, [v.DAY], f"cut {cut}")
        conserved(warehouse, report, ROWS)
        assert report.rejected > 0
        rows = warehouse.scalar("SELECT max(_source_row) FROM validated.web_events")
        assert (rows or 0) <= report.valid  # a beginning without holes


def test_parquet_cut_anywhere_is_rejected_as_a_whole(
    warehouse: Warehouse, landing: Path, tmp_path: Path
) -> None:
    for cut in range(0, 16, 3):
        folder = v.land_parquet(landing, [v.ga4(number) for number in range(20)], tmp_path)
        part = folder / "part-000.parquet"
        whole = part.read_bytes()
        part.write_bytes(whole[: len(whole) * cut // 16])
        report = load(warehouse, "web_events", landing, [v.DAY], f"cut {cut}")
        conserved(warehouse, report, 20)
        assert (report.valid, report.rejected) == (0, 20)


@pytest.mark.parametrize("eighth", range(1, 8))
def test_one_flipped_bit_lets_no_altered_value_in(warehouse: Warehouse, landing: Path, eighth: int) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS)
    part = folder / "part-000.jsonl.gz"
    data = bytearray(part.read_bytes())
    data[len(data) * eighth // 8] ^= 1 << (eighth % 8)
    part.write_bytes(bytes(data))
    report = load(warehouse, "web_events", landing, None, "run")
    conserved(warehouse, report, ROWS)
    assert (report.valid, report.rejected) == (0, ROWS)
    assert warehouse.sql("SELECT rules, records FROM quality.quarantine").fetchall() == [
        ("unreadable_file", ROWS)
    ]


def test_a_flipped_landed_file_is_fetched_again(tmp_path: Path) -> None:
    """The vendor's file has not changed, ours has: the next pull notices, whatever its size says."""
    exports, landing = tmp_path / "files" / "exports", tmp_path / "landing"
    exports.mkdir(parents=True)
    (exports / f"events_{DAY:%Y%m%d}.jsonl.gz").write_bytes(v.jsonl(EVENTS))
    config = source("ga4", f"file://{exports.parent}")
    pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
    part = landing / "ga4" / "events" / f"dt={DAY}" / "part-000.jsonl.gz"
    good = part.read_bytes()
    part.write_bytes(good[:-20] + bytes([good[-20] ^ 1]) + good[-19:])
    pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
    assert part.read_bytes() == good


def test_a_file_that_is_still_being_written_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports, landing = tmp_path / "files" / "exports", tmp_path / "landing"
    exports.mkdir(parents=True)
    path, data = exports / f"events_{DAY:%Y%m%d}.jsonl.gz", v.jsonl(EVENTS * 20)
    config = source("ga4", f"file://{exports.parent}")

    def write_slowly() -> None:
        with path.open("wb") as file:
            for start in range(0, len(data), 1 + len(data) // 10):
                file.write(data[start : start + 1 + len(data) // 10])
                file.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    time.sleep(0.12)
    with pytest.raises(PullError, match=r"still being written|changed while it was copied") as caught:
        pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
    assert caught.value.passing
    writer.join()
    assert not list(landing.glob("ga4/events/dt=*"))
    (report,) = pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
    assert (report.rows, report.rejected_rows) == (ROWS * 20, 0)
    # once nobody has touched it for a while, a damaged file is a damaged file
    path.write_bytes(data[:500])
    monkeypatch.setattr(ga4_store, "SETTLED_SECONDS", -1)
    config = config.model_copy(update={"allow_shrink": True})
    (report,) = pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
    assert (report.rows, report.rejected_rows) == (0, 1)


def test_a_landed_file_that_was_rewritten_is_refused(warehouse: Warehouse, landing: Path) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS)
    load(warehouse, "web_events", landing, None, "run")
    (folder / "part-000.jsonl.gz").write_bytes(v.jsonl([*EVENTS[:-1], {"event_name": "another"}]))
    report = load(warehouse, "web_events", landing, [v.DAY], "again")
    conserved(warehouse, report, ROWS)
    assert report.rejected == ROWS


def test_the_order_of_columns_and_keys_changes_nothing(
    warehouse: Warehouse, landing: Path, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    v.parquet([v.ga4(number) for number in range(20)], tmp_path / "made.parquet")
    table = pq.read_table(tmp_path / "made.parquet")
    for names in (table.column_names, table.column_names[::-1]):
        pq.write_table(pa.table({name: table[name] for name in names}), tmp_path / "turned.parquet")
        data = (tmp_path / "turned.parquet").read_bytes()
        v.land(landing, "ga4/events", {"part-000.parquet": data}, {"part-000.parquet": 20})
        load(warehouse, "web_events", landing, None, "run")
        found.append(warehouse.sql(ALL).fetchall())
    for turn in (list, lambda pairs: list(pairs)[::-1]):
        records = [dict(turn(event.items())) for event in EVENTS[:20]]
        v.land(landing, "ga4/events", {"part-000.jsonl.gz": v.jsonl(records)}, {"part-000.jsonl.gz": 20})
        load(warehouse, "web_events", landing, None, "run")
        found.append(warehouse.sql(ALL).fetchall())
    assert all(len(rows) == 20 for rows in found)
    assert found.count(found[0]) == 4


def test_a_value_that_is_new_in_a_list_of_values_becomes_other(warehouse: Warehouse, landing: Path) -> None:
    orders = [v.order("1"), v.order("2", sales_channel="metaverse"), v.order("3", sales_channel="store")]
    v.land_lines(landing, "hubspot/orders", orders, run="run=20260303T030000Z")
    report = load(warehouse, "crm_orders", landing, None, "run")
    conserved(warehouse, report, 3)
    found = warehouse.sql("SELECT sales_channel FROM validated.crm_orders ORDER BY crm_order_id").fetchall()
    assert found == [("web",), ("other",), ("store",)]
    told = warehouse.sql("SELECT field, records FROM quality.drift WHERE kind = 'value'").fetchall()
    assert len(told) == 1
    assert told[0][1] == 1


# --- poison, size, characters ---------------------------------------------------------------------------
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


# --- memory, versions ---------------------------------------------------------------------------------------
def test_too_little_memory_fails_the_load_alone(tmp_path: Path, landing: Path) -> None:
    path = tmp_path / "w.duckdb"
    v.land_lines(landing, "ga4/events", EVENTS)
    with Warehouse(path) as warehouse:
        load(warehouse, "web_events", landing, None, "first")
    later = v.DAY + dt.timedelta(days=1)
    many = [v.as_export_json(v.ga4(n, event_timestamp=v.NOON + 86_400_000_000 + n)) for n in range(8_000)]
    v.land_lines(landing, "ga4/events", many, day=later, as_of=v.AS_OF + dt.timedelta(days=1))
    with (
        Warehouse(path, memory_limit="8MB", threads=1) as warehouse,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        load(warehouse, "web_events", landing, None, "second")
    with Warehouse(path) as warehouse:
        assert warehouse.count("validated.web_events") == ROWS
        assert unbalanced_days(warehouse, "validated.web_events") == []
        assert load(warehouse, "web_events", landing, None, "third").valid == 8_000


def test_a_warehouse_of_an_older_version_is_adapted_and_filled(tmp_path: Path, landing: Path) -> None:
    """Columns that came later, went, changed type and place: the landed days are read again."""
    path = tmp_path / "w.duckdb"
    v.land_lines(landing, "hubspot/contacts", [v.contact("1"), v.contact("2")], run="run=20260303T030000Z")
    with Warehouse(path) as warehouse:
        load(warehouse, "contacts", landing, None, "old version")
        now = warehouse.sql("SELECT * FROM validated.contacts_current ORDER BY contact_id").fetchall()
        for change in (
            "ALTER TABLE validated.contacts DROP COLUMN loyalty_id",
            "ALTER TABLE validated.contacts ADD COLUMN fax VARCHAR",
            "ALTER TABLE validated.contacts ALTER COLUMN archived SET DATA TYPE VARCHAR",
            "ALTER TABLE quality.ledger DROP COLUMN as_of",
            "ALTER TABLE quality.quarantine DROP COLUMN records",
            "UPDATE quality.ledger SET rules_hash = 'of the old version'",
        ):
            warehouse.execute(change)
    with Warehouse(path) as warehouse:
        report = load(warehouse, "contacts", landing, None, "new version")
        assert (report.days, report.valid) == ([v.DAY], 2)
        assert unbalanced_days(warehouse, "validated.contacts") == []
        create_views(warehouse, "contacts")
        assert warehouse.sql("SELECT * FROM validated.contacts_current ORDER BY contact_id").fetchall() == now
