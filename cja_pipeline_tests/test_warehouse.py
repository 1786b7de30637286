"""The store replaces windows as a whole, holds models to their declaration, and a failure leaves nothing."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from cja_pipeline import tables
from cja_pipeline.tables import TABLES, Column, Table
from cja_pipeline.warehouse import ModelError, Warehouse


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Table:
    TABLES.values()  # load the shipped ones first
    table = Table(
        schema_name="kpis",
        name="visits",
        description="Visits.",
        grain="day",
        key=["day"],
        columns={
            "day": Column(type="DATE", description="Day."),
            "visits": Column(type="BIGINT", description="Visits."),
        },
        published=False,
    )
    monkeypatch.setitem(TABLES, "kpis.visits", table)
    return table


def rows(*pairs: tuple[int, int]) -> str:
    values = ", ".join(f"(DATE '2026-03-{day:02}', {visits})" for day, visits in pairs)
    return f"SELECT * FROM (VALUES {values}) AS t (day, visits)"


def test_a_window_is_replaced_and_the_rest_stays(warehouse: Warehouse, visits: Table) -> None:
    warehouse.replace("kpis.visits", rows((1, 10), (2, 20), (3, 30)))
    days = [dt.date(2026, 3, 2), dt.date(2026, 3, 3)]
    for _ in range(2):  # again gives the same
        written = warehouse.replace_window("kpis.visits", rows((2, 21)), column="day", days=days)
        assert written == 1
        found = warehouse.sql("SELECT day, visits FROM kpis.visits ORDER BY day").fetchall()
        assert found == [(dt.date(2026, 3, 1), 10), (dt.date(2026, 3, 2), 21)]


def test_doubles_are_cut_where_the_order_of_a_sum_shows(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"rate": Column(type="DOUBLE", description="Rate.")}
    sums = Table(
        schema_name="kpis", name="sums", description="Sums.", grain="sum", key=["rate"], columns=columns
    )
    monkeypatch.setitem(TABLES, "kpis.sums", sums)
    warehouse.replace("kpis.sums", "SELECT (0.1::DOUBLE + 0.2::DOUBLE) + 0.3::DOUBLE AS rate")
    assert warehouse.scalar("SELECT rate FROM kpis.sums") == 0.6  # as added up it is 0.6000000000000001


def test_what_vendors_said_is_kept_to_the_last_digit(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {
        "_dt": Column(type="DATE", description="Day."),
        "rate": Column(type="DOUBLE", description="Rate."),
    }
    rates = Table(
        schema_name="kpis", name="rates", description="Rates.", grain="day", key=["_dt"], columns=columns
    )
    monkeypatch.setitem(TABLES, "kpis.rates", rates)
    day = dt.date(2026, 3, 1)
    warehouse.replace_window(
        "kpis.rates", f"SELECT 3.7812345678912e-05::DOUBLE AS rate, DATE '{day}' AS _dt", days=[day]
    )
    assert warehouse.scalar("SELECT rate FROM kpis.rates") == 3.7812345678912e-05


def test_a_failed_transaction_leaves_the_old_rows(warehouse: Warehouse, visits: Table) -> None:
    warehouse.replace("kpis.visits", rows((1, 10)))

    def replace_and_fail() -> None:
        with warehouse.transaction():
            warehouse.replace_window("kpis.visits", rows((1, 99)), column="day", days=[dt.date(2026, 3, 1)])
            warehouse.execute("SELECT CAST('x' AS INTEGER)")

    with pytest.raises(duckdb.ConversionException):
        replace_and_fail()
    assert warehouse.sql("SELECT visits FROM kpis.visits").fetchall() == [(10,)]


def test_an_undeclared_or_missing_column_is_named(warehouse: Warehouse, visits: Table) -> None:
    with pytest.raises(ModelError, match=r"lacks .*\['visits'\].* undeclared columns \['hits'\]"):
        warehouse.replace("kpis.visits", "SELECT DATE '2026-03-01' AS day, 1 AS hits")


def test_a_frame_is_written_in_declared_order_and_type(warehouse: Warehouse, visits: Table) -> None:
    frame = pd.DataFrame({"visits": [7.0], "day": [pd.Timestamp("2026-03-01")]})
    warehouse.write("kpis.visits", frame)
    assert warehouse.sql("SELECT * FROM kpis.visits").fetchall() == [(dt.date(2026, 3, 1), 7)]


def test_an_unknown_table_is_answered_with_the_known_ones(warehouse: Warehouse) -> None:
    with pytest.raises(KeyError, match="kpi_values"):
        warehouse.read("kpi_valeus")


def test_a_killed_writer_leaves_the_last_commit(tmp_path, visits: Table) -> None:
    path = tmp_path / "w.duckdb"
    with Warehouse(path) as store:
        store.replace("kpis.visits", rows((1, 10)))
    child = f"""
import os, signal
from cja_pipeline.warehouse import Warehouse
store = Warehouse({str(path)!r})
store.execute("BEGIN TRANSACTION")
store.execute("DELETE FROM kpis.visits")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", child], check=False).returncode == -9
    with Warehouse(path) as store:
        assert store.count("kpis.visits") == 1


def test_what_a_killed_process_spilled_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    held = "CREATE TEMP TABLE held AS SELECT i, md5(CAST(i AS VARCHAR)) AS text FROM range(3000000) AS t(i)"
    program = f"""
import os, signal, sys
from cja_pipeline.warehouse import Warehouse
wh = Warehouse(sys.argv[1], memory_limit="60MB", threads=1)
wh.execute({held!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    left = tmp_path / "warehouse.duckdb.tmp"
    assert sum(file.stat().st_size for file in left.iterdir()) > 10_000_000
    with Warehouse(path, memory_limit="60MB", threads=1) as wh:
        assert not left.exists()
        wh.execute(held)
        assert wh.scalar("SELECT count(DISTINCT text) FROM held") == 3_000_000
    assert not left.exists()


def test_every_declared_table_is_complete() -> None:
    for table in tables.load_tables().values():
        assert table.description.strip(), table.full_name
        assert len(table.description.split(". ")[0]) <= 60, f"{table.full_name}: first sentence too long"
        assert table.columns, table.full_name
        for name, column in table.columns.items():
            assert column.description.strip(), f"{table.full_name}.{name}"


def test_no_published_column_is_personal() -> None:
    for name, table in TABLES.published().items():
        assert not table.pii_columns, f"{name} would publish {table.pii_columns}"


def test_a_table_exists_or_not_also_inside_a_transaction(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "customers.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    warehouse.execute("CREATE TABLE customers.here (x INTEGER)")
    warehouse.execute("CREATE VIEW customers.seen AS SELECT x FROM customers.here")
    warehouse.ensure("customers.orders")

    def found() -> list[str]:
        there = ("customers.here", "customers.seen", "customers.orders")
        not_there = ("customers.sessions", "customers.csv", "no.t", "config.params", "..", "x; DROP TABLE y")
        return [name for name in (*there, *not_there) if warehouse.exists(name)]

    assert found() == ["customers.here", "customers.seen", "customers.orders"]
    with warehouse.transaction():
        warehouse.ensure("customers.feedback")
        assert found() == ["customers.here", "customers.seen", "customers.orders"]
        assert warehouse.exists("customers.feedback")
    assert warehouse.exists("customers.feedback")


@pytest.mark.usefixtures("visits")
def test_a_renewed_table_is_the_replaced_one_and_equal_rows_stay_where_they_are() -> None:
    warehouse = Warehouse(":memory:")
    warehouse.renew("kpis.visits", rows((1, 5), (2, 6), (3, 7)))

    def places() -> dict[tuple[dt.date, int | None], int]:
        found = warehouse.sql("SELECT day, visits, rowid FROM kpis.visits").fetchall()
        return {(day, visits): place for day, visits, place in found}

    before = places()
    with_null = f"{rows((1, 5), (2, 9), (4, 1))} UNION ALL SELECT NULL, 3"
    for _ in range(2):  # once more changes nothing
        assert warehouse.renew("kpis.visits", with_null) == 4
        after = places()
        assert before.items() & after.items() == {((dt.date(2026, 3, 1), 5), before[dt.date(2026, 3, 1), 5])}
        assert after.keys() == {
            (dt.date(2026, 3, 1), 5), (dt.date(2026, 3, 2), 9), (dt.date(2026, 3, 4), 1), (None, 3)
        }  # fmt: skip
