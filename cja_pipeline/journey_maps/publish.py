"""Publish the contract tables to the serving database: SQLite by default, PostgreSQL by URL.

Everything happens in one transaction, so a reader sees the last night or this one, never a mixture, and an
interrupted publish leaves the last night in place. Only rows that differ from the last night are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.journey_maps.publish_extras import add_keys, create_views, drop_keys, drop_views, references
from cja_pipeline.journey_maps.publish_rows import MOST, Fingerprint, Rows, batches, csv_blocks
from cja_pipeline.journey_maps.restricted import publish_restricted
from cja_pipeline.journey_maps.serving import (
    PUBLICATION,
    declared_tables,
    definition,
    open_engine,
)
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

DICTIONARY = "data_dictionary"
# the rows on their way to the serving database
_batches = batches
_blocks = csv_blocks


class PublishError(RuntimeError):
    """The serving database cannot be reached or refuses; the message never holds the URL's password.

    `passing` says whether the same may succeed later: the database was away, or two writers met.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def publish(warehouse: Warehouse, url: str) -> dict[str, int]:
    """Bring every published table in the database at `url` to tonight's state; returns rows by name.

    A published table that the warehouse does not hold yet is created empty. Columns tagged ``pii`` are
    never published. Money is DECIMAL on PostgreSQL; SQLite has no decimal type and keeps a REAL.

    Raises:
        PublishError: the database cannot be opened or written; the last published state is untouched.
    """
    published = TABLES.published()
    if DICTIONARY in published:
        from cja_pipeline.journey_maps.dictionary import build_dictionary

        build_dictionary(warehouse)
    engine = open_engine(url)
    counted: dict[str, int] = {}
    written: list[Rows] = []
    try:
        held = references(warehouse, published)
        keyed = declared_tables(published, held)
        # SQLite has foreign keys in CREATE TABLE only, PostgreSQL must have seen the table they point to
        targets = keyed if engine.dialect.name == "sqlite" else declared_tables(published)
        with engine.begin() as connection:
            drop_views(connection)
            known = _known(connection)
            renewed = any(
                known.get(name, (None, ""))[1] != definition(connection, targets[name]) for name in targets
            )
            drop_keys(connection, keyed, all_of_them=renewed)
            for name, table in published.items():
                columns = tuple(column for column, spec in table.columns.items() if not spec.pii)
                rows = Rows(warehouse, name, table, columns)
                counted[name] = _bring(connection, targets[name], rows, known.get(name))
                if warehouse.exists(table.full_name):
                    written.append(rows)
            add_keys(connection, keyed)
            create_views(connection, set(published))
            publish_restricted(connection, warehouse)
            crashpoint("publish:before_commit")
        crashpoint("publish:committed")
        for rows in written:
            rows.remember()
    except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        place = sa.engine.make_url(url).render_as_string(hide_password=True)
        # the driver's text may hold row values, so only its kind is told
        cause = getattr(error, "orig", None) or error
        driver = engine.dialect.loaded_dbapi
        passing = isinstance(cause, (driver.OperationalError, driver.InterfaceError))
        raise PublishError(f"cannot publish to {place}: {type(cause).__name__}", passing=passing) from error
    finally:
        engine.dispose()
        for rows in written:
            rows.forget()
    return counted


def read_published(name: str) -> pd.DataFrame:
    """A published table as a DataFrame, times as UTC timestamps without zone, from the serving database."""
    import pandas as pd

    published = TABLES.published()
    if name not in published:
        raise KeyError(f"no published table {name!r}; there are: {', '.join(sorted(published))}")
    engine = open_engine(get_settings().published_url)
    try:
        with engine.connect() as connection:
            target = declared_tables({name: published[name]})[name]
            return pd.read_sql(sa.select(target), connection)
    finally:
        engine.dispose()


def _known(connection: sa.Connection) -> dict[str, tuple[Fingerprint, str]]:
    """What the serving database says it holds."""
    PUBLICATION.create(connection, checkfirst=True)
    return {
        row.table_name: (Fingerprint(row.rows, row.fingerprint), row.definition)
        for row in connection.execute(sa.select(PUBLICATION))
    }


def _bring(
    connection: sa.Connection, target: sa.Table, rows: Rows, known: tuple[Fingerprint, str] | None
) -> int:
    """Bring one table to tonight's state by the least writing that is safe; returns its rows."""
    declared = definition(connection, target)
    present = known is not None and known[1] == declared and sa.inspect(connection).has_table(target.name)
    if not rows.warehouse.exists(rows.table.full_name):
        _anew(connection, target)
        _record(connection, target.name, Fingerprint(0, "0"), declared)
        return 0
    tonight = rows.fingerprint()
    agreed = present and known is not None and rows.published() == known[0]
    if not (agreed and known is not None and _count(connection, target) == known[0].rows):
        _write_all(connection, target, rows, present)
    elif tonight != known[0]:
        away, new = rows.changes()
        if new > MOST * tonight.rows or known[0].rows - away + new != tonight.rows:
            _write_all(connection, target, rows, present)
        else:
            _take_away(connection, target, rows, away)
            _fill(connection, target, rows, changed_only=True)
    _record(connection, target.name, tonight, declared)
    return tonight.rows


def _write_all(connection: sa.Connection, target: sa.Table, rows: Rows, present: bool) -> None:
    """Replace the whole table. Indexes are made after the rows, which is twice as fast; on PostgreSQL a
    table that stays is emptied instead, because dropping it would keep readers waiting."""
    if present and connection.dialect.name == "postgresql":
        connection.execute(target.delete())
        _fill(connection, target, rows)
        return
    indexes = set(target.indexes)
    target.indexes.clear()
    _anew(connection, target)
    _fill(connection, target, rows)
    target.indexes |= indexes
    for index in sorted(indexes, key=lambda index: str(index.name)):
        index.create(connection)


def _anew(connection: sa.Connection, target: sa.Table) -> None:
    target.drop(connection, checkfirst=True)
    target.create(connection)


def _count(connection: sa.Connection, target: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(target)).scalar_one())


def _record(connection: sa.Connection, name: str, found: Fingerprint, declared: str) -> None:
    connection.execute(PUBLICATION.delete().where(PUBLICATION.c.table_name == name))
    values = {"rows": found.rows, "fingerprint": found.digest, "definition": declared}
    connection.execute(PUBLICATION.insert().values(table_name=name, **values))


def _take_away(connection: sa.Connection, target: sa.Table, rows: Rows, expected: int) -> None:
    """Delete the rows that are gone or changed."""
    value = _plain if connection.dialect.name == "postgresql" else _for_sqlite
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    where = " AND ".join(f'"{key}" = {mark}' for key in rows.table.key)
    for batch in rows.gone(value) if expected else ():
        connection.exec_driver_sql(f'DELETE FROM "{target.name}" WHERE {where}', batch)


def _fill(connection: sa.Connection, target: sa.Table, rows: Rows, changed_only: bool = False) -> None:
    names = list(rows.columns)
    listed = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "postgresql":
        query = rows.select(_for_postgres, changed_only=changed_only)
        _copy(connection, target, names, _blocks(rows.warehouse, query))
        return
    slots = ", ".join("?" for _ in names)
    statement = f'INSERT INTO "{target.name}" ({listed}) VALUES ({slots})'
    for batch in _batches(rows.warehouse, rows.select(_for_sqlite, changed_only=changed_only)):
        connection.exec_driver_sql(statement, batch)


def _plain(name: str, declared: str) -> str:
    return f'"{name}"'


def _for_postgres(name: str, declared: str) -> str:
    """PostgreSQL takes the warehouse's own text of every type, but no NUL in text."""
    if declared == "VARCHAR":
        return f"replace(\"{name}\", chr(0), '')"
    return _list_as_text(name) if declared.endswith("[]") else f'"{name}"'


def _list_as_text(name: str) -> str:
    return f"array_to_string(\"{name}\", ', ')"


def _for_sqlite(name: str, declared: str) -> str:
    """SQLite knows text, integer and real: convert in the warehouse, column by column, not value by value."""
    if declared.endswith("[]"):
        return _list_as_text(name)
    if declared.startswith("DECIMAL"):
        return f'CAST("{name}" AS DOUBLE)'
    if declared == "TIMESTAMP":
        return f"strftime(\"{name}\", '%Y-%m-%d %H:%M:%S.%f')"
    if declared == "DATE":
        return f'CAST("{name}" AS VARCHAR)'
    return f'"{name}"'


def _copy(connection: sa.Connection, target: sa.Table, names: list[str], blocks: Iterator[bytes]) -> None:
    """PostgreSQL's COPY on the transaction's own connection."""
    listed = ", ".join(f'"{name}"' for name in names)
    driver = connection.connection.driver_connection
    if driver is None:
        raise PublishError("the database connection was lost before the copy began")
    statement = f'COPY "{target.name}" ({listed}) FROM STDIN (FORMAT csv)'
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)
