"""Damaged and foreign input: the good rows go on, the rest is named by file, line and cause and counted."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.validated.landed import File
from cja_pipeline.validated.lines import read_lines, unpack
from cja_pipeline.validated.load import LoadReport, load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.validated import vendors as v

PART = "part-000.jsonl.gz"
EVENTS = [v.as_export_json(v.ga4(index)) for index in range(200)]


def kept_out(warehouse: Warehouse) -> list[tuple[str, int, str, int]]:
    return warehouse.sql(
        "SELECT rules, source_row, reason, records FROM quality.quarantine ORDER BY source_file, source_row"
    ).fetchall()


def check(report: LoadReport, offered: int, valid: int, rejected: int) -> None:
    assert report.conserved
    assert (report.offered, report.valid, report.rejected) == (offered, valid, rejected)


def test_malformed_lines(warehouse: Warehouse, landing: Path) -> None:
    lines = [EVENTS[0], '{"event_name": "page_vi', EVENTS[1], "[1, 2]", "", '"text"', EVENTS[2]]
    v.land_lines(landing, "ga4/events", lines, rows=6)
    report = load(warehouse, "web_events", landing, None, "run")
    check(report, offered=6, valid=3, rejected=3)
    found = kept_out(warehouse)
    assert [(rules, row) for rules, row, _, _ in found] == [("malformed_line", row) for row in (2, 4, 6)]
    assert found[0][2].startswith("not JSON: Unterminated string")
    assert found[1][2] == "not an object but list"
    assert report.problems[0].startswith(f"ga4/events/dt=2026-03-02/{PART}, line 2: not JSON")
    payload = warehouse.scalar("SELECT payload FROM quality.quarantine WHERE source_row = 2")
    assert payload == '{"event_name": "page_vi'


def test_problems_never_quote_values(
    warehouse: Warehouse, landing: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "ada.secret@example.com"
    v.land_lines(
        landing, "hubspot/contacts", ['{"id": "1", "email": "' + secret, v.contact(lastmodifieddate=secret)]
    )
    report = load(warehouse, "contacts", landing, None, "run")
    assert report.problems
    assert secret not in " ".join(report.problems) + caplog.text
    reasons = warehouse.sql("SELECT string_agg(reason) FROM quality.quarantine").fetchall()[0][0]
    assert secret not in reasons


def test_truncated_gzip_keeps_what_can_be_read(warehouse: Warehouse, landing: Path) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS)
    whole = (folder / PART).read_bytes()
    (folder / PART).write_bytes(whole[: len(whole) // 2])
    report = load(warehouse, "web_events", landing, None, "run")
    assert report.conserved
    assert report.offered == 200
    assert 20 < report.valid < 180
    assert report.valid + report.rejected == 200
    lost = next(row for row in kept_out(warehouse) if row[0] == "lost_rows")
    assert lost[1] == 0
    assert "cut off" in lost[2]


def test_damaged_gzip(warehouse: Warehouse, landing: Path) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS)
    data = bytearray((folder / PART).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / PART).write_bytes(bytes(data))
    report = load(warehouse, "web_events", landing, None, "run")
    assert report.conserved
    assert report.offered == 200
    assert report.rejected > 0


def test_empty_and_missing_file(warehouse: Warehouse, landing: Path) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS)
    (folder / PART).write_bytes(b"")
    check(load(warehouse, "web_events", landing, None, "run"), offered=200, valid=0, rejected=200)
    (folder / PART).unlink()
    check(load(warehouse, "web_events", landing, None, "run"), offered=200, valid=0, rejected=200)
    assert kept_out(warehouse)[0][0] == "missing_file"


def test_web_page_landed_by_mistake(warehouse: Warehouse, landing: Path) -> None:
    page = b"<!DOCTYPE html>\n<html><body>\n<h1>502 Bad Gateway</h1>\n</body></html>\n"
    v.land(landing, "klaviyo/events", {PART: page}, {PART: 12})
    report = load(warehouse, "email_events", landing, None, "run")
    check(report, offered=12, valid=0, rejected=12)
    assert len(kept_out(warehouse)) == 1
    assert report.problems == [
        f"klaviyo/events/dt=2026-03-02/{PART}: a web page (HTML or XML) instead of JSON lines (12 rows)"
    ]


def test_error_answer_landed_by_mistake(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "klaviyo/events", [v.email(), {"errors": [{"status": 429, "detail": "slow down"}]}])
    report = load(warehouse, "email_events", landing, None, "run")
    check(report, offered=2, valid=1, rejected=0)
    assert kept_out(warehouse)[0][0] == "missing_event_id;missing_time;missing_event_type"
    drift = warehouse.sql("SELECT field FROM quality.drift WHERE kind = 'unknown'").fetchall()
    assert drift == [("errors",)]


def test_line_that_is_not_utf8(warehouse: Warehouse, landing: Path) -> None:
    good = gzip.decompress(v.jsonl(EVENTS[:3]))
    data = gzip.compress(good + b'{"event_name": "caf\xe9"}\n' + gzip.decompress(v.jsonl(EVENTS[3:4])))
    v.land(landing, "ga4/events", {PART: data}, {PART: 5})
    check(load(warehouse, "web_events", landing, None, "run"), offered=5, valid=4, rejected=1)
    assert kept_out(warehouse)[0][1:3] == (4, "not UTF-8 text at byte 19")


def test_hostile_text_is_only_text(warehouse: Warehouse, landing: Path) -> None:
    texts = [
        "a\x00b", "\U0001f3d5 zelt", "x" * 3_000_000, "<script>", "'; DROP TABLE x; --", "\u202eabc", "=1+1",
    ]  # fmt: skip
    events = [v.as_export_json(v.ga4(i, params={"search_term": text})) for i, text in enumerate(texts)]
    v.land_lines(landing, "ga4/events", events)
    check(load(warehouse, "web_events", landing, None, "run"), offered=7, valid=7, rejected=0)
    found = warehouse.sql("SELECT search_term FROM validated.web_events ORDER BY _source_row").fetchall()
    assert found == [(text,) for text in texts]


def test_more_lines_than_the_manifest_says(warehouse: Warehouse, landing: Path) -> None:
    v.land_lines(landing, "ga4/events", EVENTS[:5], rows=3)
    check(load(warehouse, "web_events", landing, None, "run"), offered=5, valid=5, rejected=0)
    detail = warehouse.sql("SELECT detail FROM quality.drift WHERE kind = 'file'").fetchall()
    assert detail == [("2 more lines than the manifest says",)]


def test_plain_text_under_a_gzip_name(warehouse: Warehouse, landing: Path) -> None:
    v.land(landing, "ga4/events", {PART: gzip.decompress(v.jsonl(EVENTS[:5]))}, {PART: 5})
    check(load(warehouse, "web_events", landing, None, "run"), offered=5, valid=5, rejected=0)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["as it is", "gzip", "cut"]), st.integers(0, 5))
def test_no_bytes_at_all_can_stop_the_reader(data: bytes, form: str, rows: int) -> None:
    packed = data if form == "as it is" else gzip.compress(data, mtime=0)
    packed = packed[: len(packed) // 2] if form == "cut" else packed
    with TemporaryDirectory() as folder:
        path = Path(folder) / PART
        path.write_bytes(packed)
        digest = hashlib.sha256(packed).hexdigest()
        lines = read_lines(File(path, PART, v.DAY, rows, len(packed), digest, v.utc(2026, 3, 3)))
    assert lines.count == len(lines.numbers) == len(lines.text)
    assert lines.count + sum(one.records for one in lines.lost) >= rows
    text, cause = unpack(packed)
    if form == "gzip":
        assert (text, cause) == (data, "")


# --- Parquet ------------------------------------------------------------------------------------------
def test_parquet_without_a_required_column(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    renamed = [v.ga4(index, event_ts="1772452800000000") for index in range(3)]
    v.land_parquet(landing, renamed, tmp_path, without=["event_timestamp"])
    good = {"day": dt.date(2026, 3, 3), "as_of": dt.datetime(2026, 3, 4, 3, tzinfo=dt.UTC)}
    v.land_parquet(landing, [v.ga4(event_timestamp=v.NOON + 86_400_000_000)], tmp_path, **good)
    report = load(warehouse, "web_events", landing, None, "run")
    check(report, offered=4, valid=1, rejected=3)
    assert report.problems == [
        "ga4/events/dt=2026-03-02/part-000.parquet: missing column event_timestamp; "
        "unknown columns: event_ts (renamed?) (3 rows)"
    ]


def test_parquet_without_optional_columns(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    v.land_parquet(landing, [v.ga4()], tmp_path, without=["geo", "ecommerce", "batch_page_id", "device"])
    check(load(warehouse, "web_events", landing, None, "run"), offered=1, valid=1, rejected=0)
    row = warehouse.sql("SELECT country, device, source FROM validated.web_events").fetchall()
    assert row == [(None, "other", "google")]


@pytest.mark.parametrize("instead", [None, ["x"], [1.5], [[1]], [[{"key": 7, "value": "x"}]]], ids=str)
def test_parquet_without_named_values(
    warehouse: Warehouse, landing: Path, tmp_path: Path, instead: list[Any] | None
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = v.parquet([v.ga4(2)], tmp_path / "full.parquet")
    v.parquet([v.ga4(3)], tmp_path / "other.parquet")
    table = pq.read_table(tmp_path / "other.parquet").drop(["event_params"])
    if instead is not None:
        table = table.append_column("event_params", pa.array(instead))
    pq.write_table(table, tmp_path / "thin.parquet")
    files = {"part-000.parquet": (tmp_path / "thin.parquet").read_bytes(), "part-001.parquet": good}
    v.land(landing, "ga4/events", files, dict.fromkeys(files, 1))
    report = load(warehouse, "web_events", landing, None, "run")
    assert report.offered == report.valid + report.rejected + report.quarantined == 2
    kept = warehouse.sql("SELECT _source_file FROM validated.web_events").fetchall()
    assert any(name.endswith("part-001.parquet") for (name,) in kept), "the other file of the day is loaded"


def test_parquet_without_members_of_a_struct(warehouse: Warehouse, landing: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    v.parquet([v.ga4()], tmp_path / "full.parquet")
    table = pq.read_table(tmp_path / "full.parquet")
    device = pa.array([{"category": "desktop"}])
    params = pa.array([[{"key": "page_location", "value": {"string_value": "https://shop.example/cart"}}]])
    table = table.set_column(table.column_names.index("device"), "device", device)
    table = table.set_column(table.column_names.index("event_params"), "event_params", params)
    pq.write_table(table, tmp_path / "thin.parquet")
    data = (tmp_path / "thin.parquet").read_bytes()
    v.land(landing, "ga4/events", {"part-000.parquet": data}, {"part-000.parquet": 1})
    check(load(warehouse, "web_events", landing, None, "run"), offered=1, valid=1, rejected=0)
    row = warehouse.sql("SELECT device, os, page_type FROM validated.web_events").fetchall()
    assert row == [("desktop", None, "cart")]


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda data: data[:-40], "the content differs from its manifest"),
        (lambda data: b"<html>busy</html>", "the content differs from its manifest"),
        (lambda data: data[:100] + b"\x00" * 50 + data[150:], "the content differs from its manifest"),
    ],
)
def test_damaged_parquet(warehouse: Warehouse, landing: Path, tmp_path: Path, damage, cause: str) -> None:  # type: ignore[no-untyped-def]
    folder = v.land_parquet(landing, [v.ga4(index) for index in range(5)], tmp_path)
    path = folder / "part-000.parquet"
    path.write_bytes(damage(path.read_bytes()))
    check(load(warehouse, "web_events", landing, None, "run"), offered=5, valid=0, rejected=5)
    assert kept_out(warehouse)[0][2].startswith(cause)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"<html>busy</html>", "a web page (HTML or XML) instead of a Parquet file"),
        (b"PAR1 and nothing more", "the Parquet file is cut off"),
        (b"id;name\n1;x\n", "something else instead of a Parquet file"),
    ],
)
def test_no_parquet_at_all(warehouse: Warehouse, landing: Path, data: bytes, cause: str) -> None:
    v.land(landing, "ga4/events", {"part-000.parquet": data}, {"part-000.parquet": 7})
    check(load(warehouse, "web_events", landing, None, "run"), offered=7, valid=0, rejected=7)
    assert kept_out(warehouse)[0][2] == cause


def test_parquet_damaged_inside_leaves_its_neighbours(
    warehouse: Warehouse, landing: Path, tmp_path: Path
) -> None:
    bad = bytearray(v.parquet([v.ga4(index) for index in range(500)], tmp_path / "x.parquet"))
    for place in range(200, 1200):
        bad[place] = 0x5A
    good = v.parquet([v.ga4(600)], tmp_path / "y.parquet")
    v.land(
        landing,
        "ga4/events",
        {"part-000.parquet": bytes(bad), "part-001.parquet": good},
        {"part-000.parquet": 500, "part-001.parquet": 1},
    )
    check(load(warehouse, "web_events", landing, None, "run"), offered=501, valid=1, rejected=500)
    assert "damaged inside" in kept_out(warehouse)[0][2]


def test_unfinished_landing_is_left_alone(warehouse: Warehouse, landing: Path) -> None:
    folder = v.land_lines(landing, "ga4/events", EVENTS[:2])
    (folder / "_MANIFEST.json").unlink()
    report = load(warehouse, "web_events", landing, None, "run")
    assert (report.days, report.offered) == ([], 0)


def test_a_day_with_nothing(warehouse: Warehouse, landing: Path) -> None:
    v.land(landing, "ga4/events", {}, {})
    report = load(warehouse, "web_events", landing, None, "run")
    assert report.days == [v.DAY]
    assert report.conserved
    assert load(warehouse, "web_events", landing, None, "run").days == []


def test_no_landing_at_all(warehouse: Warehouse, landing: Path) -> None:
    assert load(warehouse, "web_events", landing, None, "run").days == []
    with pytest.raises(KeyError, match="no stream makes 'nothing'"):
        load(warehouse, "nothing", landing, None, "run")
