"""A serving database of an older declaration becomes today's, and what people built on it stays."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from cja_pipeline.journey_maps.publish import PublishError, publish
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.tables import TABLES, Column, Table
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.test_publish import fill, notes, postgres, query, url

__all__ = ["notes", "postgres", "url"]
NEWER = "SELECT note_id, 5 AS more, written_at, 'x' AS day, amount FROM kpis.notes"


def declare(monkeypatch: pytest.MonkeyPatch, *tables: Table) -> None:
    monkeypatch.setattr(type(TABLES), "published", lambda self: {table.name: table for table in tables})
    for table in tables:
        monkeypatch.setitem(TABLES, table.full_name, table)


def run(url: str, *statements: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(autouse=True)
def clean(url: str) -> None:
    """The server is shared by all tests of this file."""
    cascade = "CASCADE" if url.startswith("postgresql") else ""
    names = ("v_scorecard", "v_journey_map") + (("mine",) if cascade else ())
    run(url, *(f"DROP VIEW IF EXISTS {name} {cascade}" for name in names))
    tables = ("visits", "people", "notes", "former", "scorecard", "kpi_catalogue", "publication")
    run(url, *(f"DROP TABLE IF EXISTS {name} {cascade}" for name in tables))


@pytest.fixture
def newer(notes: Table) -> Table:
    """The notes with a column more, one less, one of another type, one of another meaning, another index."""
    columns = {
        "note_id": notes.columns["note_id"],
        "more": Column(type="BIGINT", description="More."),
        "written_at": Column(type="TIMESTAMP", description="When it was written, UTC."),
        "day": Column(type="VARCHAR", description="Day."),
        "amount": notes.columns["amount"],
    }
    return notes.model_copy(update={"columns": columns, "index": [["more"]]})


def test_what_is_built_on_a_table_survives_its_change(
    warehouse: Warehouse, notes: Table, newer: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1.10", "2.20")
    publish(warehouse, url)
    run(url, "CREATE VIEW mine AS SELECT note_id, amount FROM notes", "CREATE INDEX mine_too ON notes (day)")
    postgres = url.startswith("postgresql")
    if postgres:
        run(
            url,
            "DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "GRANT SELECT ON notes TO analyst",
        )
    declare(monkeypatch, newer)
    warehouse.replace("kpis.notes", NEWER)
    for _ in range(2):
        assert publish(warehouse, url) == {"notes": 2}
        assert query(url, "SELECT note_id, more, day FROM notes ORDER BY note_id") == [
            ("000", 5, "x"),
            ("001", 5, "x"),
        ]
        assert [float(row[0]) for row in query(url, "SELECT amount FROM mine ORDER BY note_id")] == [1.1, 2.2]
    engine = open_engine(url)
    inspector = sa.inspect(engine)
    assert {column["name"] for column in inspector.get_columns("notes")} == set(newer.columns)
    indexes = {index["name"] for index in inspector.get_indexes("notes")}
    if postgres:
        assert query(url, "SELECT has_table_privilege('analyst', 'notes', 'SELECT')") == [(True,)]
        comments = {column["name"]: column["comment"] for column in inspector.get_columns("notes")}
        assert comments == {name: column.description for name, column in newer.columns.items()}
        assert indexes == {"ix_notes_more", "mine_too"}
    else:
        assert indexes == {"ix_notes_more"}
    engine.dispose()


@pytest.mark.parametrize("url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_view_that_reads_what_changes_is_named(
    warehouse: Warehouse, notes: Table, newer: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1.10", "2.20")
    publish(warehouse, url)
    run(url, "CREATE VIEW mine AS SELECT day FROM notes")
    declare(monkeypatch, newer)
    warehouse.replace("kpis.notes", NEWER)
    with pytest.raises(PublishError, match=r"column day of notes .*read by public\.mine: drop") as caught:
        publish(warehouse, url)
    assert not caught.value.passing
    assert query(url, "SELECT count(good), min(day)::text FROM notes") == [(2, "2026-03-29")]
    run(url, "DROP VIEW mine")
    publish(warehouse, url)
    assert query(url, "SELECT DISTINCT day FROM notes") == [("x",)]


def test_a_table_that_is_declared_no_more_goes(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = notes.model_copy(update={"name": "former"})
    declare(monkeypatch, notes, former)
    fill(warehouse, "1")
    warehouse.replace("kpis.former", "FROM kpis.notes")
    publish(warehouse, url)
    run(url, "CREATE TABLE theirs (a INTEGER)")
    declare(monkeypatch, notes)
    if url.startswith("postgresql"):
        run(url, "CREATE VIEW mine AS SELECT amount FROM former")
        with pytest.raises(PublishError, match=r"former .*read by public\.mine"):
            publish(warehouse, url)
        run(url, "DROP VIEW mine")
    assert publish(warehouse, url) == {"notes": 1}
    engine = open_engine(url)
    present = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    run(url, "DROP TABLE theirs")
    assert {"notes", "theirs"} <= present
    assert "former" not in present
    assert query(url, "SELECT table_name FROM publication") == [("notes",)]


@pytest.mark.parametrize("key", [["note_id", "day"], ["day"]])
def test_another_key_makes_the_table_anew(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch, key: list[str]
) -> None:
    fill(warehouse, "1")
    publish(warehouse, url)
    declare(monkeypatch, notes.model_copy(update={"key": key}))
    assert publish(warehouse, url) == {"notes": 1}
    engine = open_engine(url)
    assert sa.inspect(engine).get_pk_constraint("notes")["constrained_columns"] == key
    engine.dispose()


def test_a_key_of_another_type_makes_the_table_anew(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1", "2")
    publish(warehouse, url)
    columns = notes.columns | {"note_id": Column(type="BIGINT", description="Note.")}
    declare(monkeypatch, notes.model_copy(update={"columns": columns}))
    warehouse.replace("kpis.notes", "SELECT * REPLACE (CAST(note_id AS BIGINT) AS note_id) FROM kpis.notes")
    publish(warehouse, url)
    assert query(url, "SELECT note_id FROM notes ORDER BY 1") == [(0,), (1,)]


def test_views_on_our_views_survive_the_nights(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [TABLES["journey_maps.scorecard"], TABLES["kpis.kpi_catalogue"]]
    declare(monkeypatch, *ours)
    publish(warehouse, url)
    run(url, "CREATE VIEW mine AS SELECT kpi, value_text FROM v_scorecard")
    publish(warehouse, url)
    declare(monkeypatch, *ours, notes)
    fill(warehouse, "1")
    publish(warehouse, url)
    assert query(url, "SELECT * FROM mine") == []
    if url.startswith("postgresql"):
        changed = {**ours[0].columns, "label": Column(type="BIGINT", description="Label.")}
        declare(monkeypatch, ours[0].model_copy(update={"columns": changed}), ours[1], notes)
        with pytest.raises(PublishError, match=r"v_scorecard .*read by public\.mine"):
            publish(warehouse, url)


def test_columns_of_references_are_indexed(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = Table(
        schema_name="kpis",
        name="people",
        description="People.",
        grain="person",
        key=["day"],
        columns={"day": Column(type="DATE", description="Day.")},
        published=True,
    )
    declare(monkeypatch, people, notes.model_copy(update={"index": [], "references": {"day": "people"}}))
    publish(warehouse, url)
    engine = open_engine(url)
    assert [index["column_names"] for index in sa.inspect(engine).get_indexes("notes")] == [["day"]]
    engine.dispose()
