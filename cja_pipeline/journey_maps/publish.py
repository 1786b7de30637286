"""Publish the contract tables to the serving database: SQLite by default, PostgreSQL by URL.

Every published table is replaced in one transaction, so a reader sees the last night or this one, never a
mixture, and an interrupted publish leaves the last night in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES, Table
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

BATCH = 20_000
TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "VARCHAR": sa.Text,
    "BIGINT": sa.BigInteger,
    "INTEGER": sa.Integer,
    "DOUBLE": sa.Float,
    "BOOLEAN": sa.Boolean,
    "DATE": sa.Date,
    "TIMESTAMP": sa.DateTime,
}


class PublishError(RuntimeError):
    """The serving database cannot be reached or refuses; the message never holds the URL's password."""


def publish(warehouse: Warehouse, url: str) -> dict[str, int]:
    """Replace every published table in the database at `url`; returns rows by published name.

    A published table that the warehouse does not hold yet is created empty. Columns tagged ``pii`` are
    never published. Money is DECIMAL on PostgreSQL; SQLite has no decimal type and keeps a REAL.

    Raises:
        PublishError: the database cannot be opened or written; the last published state is untouched.
    """
    engine = open_engine(url)
    rows: dict[str, int] = {}
    try:
        with engine.begin() as connection:
            for name, table in TABLES.published().items():
                target = declared_table(name, table)
                _prepare(connection, target)
                rows[name] = _fill(connection, target, warehouse, table)
    except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        place = sa.engine.make_url(url).render_as_string(hide_password=True)
        # the driver's text may hold row values, so only its kind is told
        cause = getattr(error, "orig", None) or error
        raise PublishError(f"cannot publish to {place}: {type(cause).__name__}") from error
    finally:
        engine.dispose()
    return rows


def open_engine(url: str) -> sa.Engine:
    """An engine for the serving database. SQLite: write-ahead log, so that readers go on reading."""
    parsed = sa.engine.make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(parsed, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _tune(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # SQLAlchemy's BEGIN below governs the transaction, DDL too
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def declared_table(name: str, table: Table) -> sa.Table:
    """The SQLAlchemy table of a declaration: types, primary key, indexes, comments; no personal data."""
    columns = [
        sa.Column(
            column,
            _type(spec.type),
            primary_key=column in table.key,
            nullable=column not in table.key,
            comment=spec.description,
        )
        for column, spec in table.columns.items()
        if not spec.pii
    ]
    target = sa.Table(name, sa.MetaData(), *columns, comment=table.description)
    for fields in table.index:
        sa.Index(f"ix_{name}_{'_'.join(fields)}", *(target.c[field] for field in fields))
    return target


def read_published(name: str) -> pd.DataFrame:
    """A published table as a DataFrame, times as UTC timestamps without zone, from the serving database."""
    import pandas as pd

    published = TABLES.published()
    if name not in published:
        raise KeyError(f"no published table {name!r}; there are: {', '.join(sorted(published))}")
    engine = open_engine(get_settings().published_url)
    try:
        with engine.connect() as connection:
            return pd.read_sql(sa.select(declared_table(name, published[name])), connection)
    finally:
        engine.dispose()


def _type(declared: str) -> sa.types.TypeEngine[Any]:
    if declared.startswith("DECIMAL"):
        precision, scale = declared.removeprefix("DECIMAL(").rstrip(")").split(",")
        # a float column in SQLite, a true decimal elsewhere
        return sa.Numeric(int(precision), int(scale)).with_variant(sa.Float(), "sqlite")
    if declared.endswith("[]"):
        return sa.Text()
    return TYPES[declared]()


def _prepare(connection: sa.Connection, target: sa.Table) -> None:
    """Create the table, or make it anew if its declared columns have changed; then empty it."""
    inspector = sa.inspect(connection)
    if inspector.has_table(target.name):
        present = [column["name"] for column in inspector.get_columns(target.name)]
        if present == [column.name for column in target.columns]:
            connection.execute(target.delete())
            return
        target.drop(connection)
    target.create(connection)


def _fill(connection: sa.Connection, target: sa.Table, warehouse: Warehouse, table: Table) -> int:
    if not warehouse.exists(table.full_name):
        return 0
    names = [column.name for column in target.columns]
    order = ", ".join(f'"{key}"' for key in table.key)
    listed = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "postgresql":
        query = f"SELECT {listed} FROM {table.full_name} ORDER BY {order}"
        return _copy(connection, target, names, _batches(warehouse, query))
    values = ", ".join(_for_sqlite(name, table.columns[name].type) for name in names)
    slots = ", ".join("?" for _ in names)
    statement = f'INSERT INTO "{target.name}" ({listed}) VALUES ({slots})'
    written = 0
    for batch in _batches(warehouse, f"SELECT {values} FROM {table.full_name} ORDER BY {order}"):
        connection.exec_driver_sql(statement, batch)
        written += len(batch)
    return written


def _for_sqlite(name: str, declared: str) -> str:
    """SQLite knows text, integer and real: convert in the warehouse, column by column, not value by value."""
    if declared.endswith("[]"):
        return f"array_to_string(\"{name}\", ', ')"
    if declared.startswith("DECIMAL"):
        return f'CAST("{name}" AS DOUBLE)'
    if declared == "TIMESTAMP":
        return f"strftime(\"{name}\", '%Y-%m-%d %H:%M:%S.%f')"
    if declared == "DATE":
        return f'CAST("{name}" AS VARCHAR)'
    return f'"{name}"'


def _copy(connection: sa.Connection, target: sa.Table, names: list[str], batches: Iterator[list[Any]]) -> int:
    """PostgreSQL's COPY on the transaction's own connection."""
    listed = ", ".join(f'"{name}"' for name in names)
    written = 0
    driver = connection.connection.driver_connection
    if driver is None:
        raise PublishError("the database connection was lost before the copy began")
    with driver.cursor() as cursor, cursor.copy(f'COPY "{target.name}" ({listed}) FROM STDIN') as copy:
        for batch in batches:
            for row in batch:
                # PostgreSQL refuses NUL in text
                copy.write_row([v.replace("\x00", "") if isinstance(v, str) else v for v in row])
            written += len(batch)
    return written


def _batches(warehouse: Warehouse, query: str) -> Iterator[list[Any]]:
    cursor = warehouse.connection.cursor()
    try:
        cursor.execute(query)
        while batch := cursor.fetchmany(BATCH):
            yield batch
    finally:
        cursor.close()
