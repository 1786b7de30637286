"""Files that are cut, flipped, growing, rewritten or poisoned: whole days or nothing, and every record
accounted for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from cja_pipeline.sources import ga4_store, pull
from cja_pipeline.sources.errors import PullError
from cja_pipeline.sources.window import Window
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

    with path.open("wb") as file:  # another process is half way through it
        file.write(data[: len(data) // 2])
        file.flush()
        with pytest.raises(PullError, match="still being written") as caught:
            pull(config, Window(DAY, DAY), AS_OF, landing, time_zone=ZONE)
        file.write(data[len(data) // 2 :])
    assert caught.value.passing
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
