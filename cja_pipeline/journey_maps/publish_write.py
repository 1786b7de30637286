"""How rows get into a table of the serving database: SQLite row by row, PostgreSQL by COPY.

PostgreSQL takes the rows into a staging table first. From there only those that differ go into the table
itself, by one statement: foreign keys are checked for new and changed keys only, readers wait for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from cja_pipeline.journey_maps.publish_rows import Rows, batches, csv_blocks
from cja_pipeline.journey_maps.serving import PublishError
from cja_pipeline.sql import name as quoted

STAGING, GONE = "cja_staging", "cja_gone"  # temporary tables: of this connection only


def make(connection: sa.Connection, target: sa.Table, rows: Rows | None) -> None:
    """Make the table anew and fill it. Indexes come after the rows, which is twice as fast."""
    target.drop(connection, checkfirst=True)
    indexes = set(target.indexes)
    target.indexes.clear()
    target.create(connection)
    if rows is not None:
        _insert(connection, target, rows)
    target.indexes |= indexes
    for index in sorted(indexes, key=lambda index: str(index.name)):
        index.create(connection)


def renew(connection: sa.Connection, target: sa.Table, rows: Rows) -> None:
    """Bring the whole table to tonight's rows, whatever it holds."""
    if connection.dialect.name == "postgresql":
        blocks = csv_blocks(rows.warehouse, rows.select(for_postgres, changed_only=False))
        merge(connection, target, list(rows.columns), blocks)
    else:
        make(connection, target, rows)


def change(connection: sa.Connection, target: sa.Table, rows: Rows) -> None:
    """Bring the rows that differ from the last night to tonight's state."""
    if connection.dialect.name == "postgresql":
        blocks = csv_blocks(rows.warehouse, rows.select(for_postgres, changed_only=True))
        gone = csv_blocks(rows.warehouse, rows.gone(for_postgres))
        merge(connection, target, list(rows.columns), blocks, gone)
        return
    where = " AND ".join(f'"{key}" = ?' for key in rows.table.key)
    for batch in batches(rows.warehouse, rows.gone(_for_sqlite)):
        connection.exec_driver_sql(f'DELETE FROM "{target.name}" WHERE {where}', batch)
    _insert(connection, target, rows, changed_only=True)


def merge(
    connection: sa.Connection,
    target: sa.Table,
    names: list[str],
    blocks: Iterator[bytes],
    gone: Iterator[bytes] | None = None,
) -> None:
    """On PostgreSQL, write the rows in `blocks` (CSV) that are new or differ.

    Args:
        names: the columns in the order of the blocks.
        gone: keys of rows that are no more; without it every row that is not in `blocks` goes.
    """
    place = connection.dialect.identifier_preparer.format_table(target)
    keys = [column.name for column in target.primary_key]
    same = " AND ".join(f't."{key}" = s."{key}"' for key in keys)
    _staged(connection, STAGING, place, names, blocks)
    if gone is None:
        absent = f"SELECT 1 FROM {STAGING} AS s WHERE {same}"
        connection.exec_driver_sql(f"DELETE FROM {place} AS t WHERE NOT EXISTS ({absent})")
    else:
        _staged(connection, GONE, place, keys, gone)
        connection.exec_driver_sql(f"DELETE FROM {place} AS t USING {GONE} AS s WHERE {same}")
        connection.exec_driver_sql(f"DROP TABLE {GONE}")
    listed = ", ".join(f'"{name}"' for name in names)
    held, sent = (
        ", ".join(f'{side}."{name}"' for name in names if name not in keys) for side in ("t", "excluded")
    )
    differs = f" WHERE ({held}) IS DISTINCT FROM ({sent})" if held else ""
    connection.exec_driver_sql(
        f"INSERT INTO {place} AS t ({listed}) SELECT {listed} FROM {STAGING} "
        f"{_or_update(keys, names)}{differs}"
    )
    connection.exec_driver_sql(f"DROP TABLE {STAGING}")


def _or_update(keys: Collection[str], names: list[str]) -> str:
    """What an INSERT does with a row whose key is there: its place, and index entries of its key, stay."""
    new = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in names if name not in keys)
    return f"ON CONFLICT ({', '.join(map(quoted, keys))}) DO {f'UPDATE SET {new}' if new else 'NOTHING'}"


def _staged(
    connection: sa.Connection, name: str, like: str, columns: list[str], blocks: Iterator[bytes]
) -> None:
    """Rows in a temporary table of some columns of another."""
    listed = ", ".join(map(quoted, columns))
    connection.exec_driver_sql(f"CREATE TEMP TABLE {name} AS SELECT {listed} FROM {like} WHERE false")
    _copy(connection, name, columns, blocks)
    connection.exec_driver_sql(f"ANALYZE {name}")


def _insert(connection: sa.Connection, target: sa.Table, rows: Rows, changed_only: bool = False) -> None:
    names = list(rows.columns)
    if connection.dialect.name == "postgresql":
        query = rows.select(for_postgres, changed_only=changed_only)
        _copy(connection, quoted(target.name), names, csv_blocks(rows.warehouse, query))
        return
    listed, slots = ", ".join(map(quoted, names)), ", ".join("?" for _ in names)
    statement = f'INSERT INTO "{target.name}" ({listed}) VALUES ({slots})'
    if changed_only:
        statement += f" {_or_update(rows.table.key, names)}"
    for batch in batches(rows.warehouse, rows.select(_for_sqlite, changed_only=changed_only)):
        connection.exec_driver_sql(statement, batch)


def _copy(connection: sa.Connection, place: str, names: list[str], blocks: Iterator[bytes]) -> None:
    """PostgreSQL's COPY on the transaction's own connection."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise PublishError("the database connection was lost before the copy began")
    statement = f"COPY {place} ({', '.join(map(quoted, names))}) FROM STDIN (FORMAT csv)"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)


def for_postgres(name: str, declared: str) -> str:
    """PostgreSQL takes the warehouse's own text of every type, but no NUL in text."""
    if declared == "VARCHAR":
        return f"replace(\"{name}\", chr(0), '')"
    return _list_as_text(name) if declared.endswith("[]") else quoted(name)


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
    return quoted(name)
