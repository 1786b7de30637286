"""A small SQLAlchemy dialect over an already open DuckDB connection, enough for Great Expectations to read.

The public packages for this are unmaintained or hold DuckDB back. Only reading is supported: transactions
belong to whoever opened the connection. Results are fetched at once, because DuckDB drops a pending result
when the connection is used again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
from sqlalchemy import pool, types
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect

NAME = "cjaduckdb"
_OPEN: dict[str, duckdb.DuckDBPyConnection] = {}
_TYPES: dict[str, type[types.TypeEngine[Any]]] = {
    "VARCHAR": types.VARCHAR,
    "BIGINT": types.BIGINT,
    "INTEGER": types.INTEGER,
    "DOUBLE": types.DOUBLE,
    "BOOLEAN": types.BOOLEAN,
    "DATE": types.DATE,
    "TIMESTAMP": types.TIMESTAMP,
    "DECIMAL": types.DECIMAL,
}


@contextmanager
def exposed(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Make an open connection reachable under the URL that is returned, inside the block only."""
    key = uuid.uuid4().hex
    _OPEN[key] = connection
    try:
        yield f"{NAME}://{key}"
    finally:
        del _OPEN[key]


class _Cursor:
    arraysize = 1
    rowcount = -1

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []
        self.description: Any = None

    def execute(self, statement: str, parameters: Sequence[Any] | None = None) -> None:
        self._connection.execute(statement, list(parameters) if parameters else None)
        self.description = self._connection.description
        self._rows = self._connection.fetchall() if self.description else []

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows[: size or 1], self._rows[size or 1 :]
        return taken

    def fetchall(self) -> list[tuple[Any, ...]]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


class _Connection:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection)

    def commit(self) -> None:
        """Nothing was written."""

    rollback = close = commit


class _Driver:
    """The DB-API module that SQLAlchemy asks for."""

    paramstyle = "qmark"
    apilevel = "2.0"
    threadsafety = 1
    Error = duckdb.Error
    InterfaceError = duckdb.DatabaseError
    DatabaseError = duckdb.DatabaseError
    DataError = duckdb.DataError
    OperationalError = duckdb.OperationalError
    IntegrityError = duckdb.IntegrityError
    InternalError = duckdb.InternalError
    ProgrammingError = duckdb.ProgrammingError
    NotSupportedError = duckdb.NotSupportedError


class DuckDBDialect(DefaultDialect):
    """SQL as DuckDB reads it, and the little reflection that validation needs."""

    name = NAME
    driver = "duckdb"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    supports_native_boolean = True
    supports_sane_rowcount = False

    @classmethod
    def import_dbapi(cls) -> Any:
        return _Driver

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        return pool.StaticPool

    def create_connect_args(self, url: Any) -> Any:
        return [url.host], {}

    def connect(self, *arguments: Any, **options: Any) -> Any:
        return _Connection(_OPEN[arguments[0]])

    def initialize(self, connection: Any) -> None:
        """Nothing to ask the database."""

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **options: Any) -> bool:
        return bool(self.get_columns(connection, table_name, schema))

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **options: Any) -> Any:
        rows = connection.exec_driver_sql(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE table_name = ? AND schema_name = coalesce(?, 'main') ORDER BY column_index",
            (str(table_name), schema),
        ).fetchall()
        return [
            {
                "name": row[0],
                "type": _TYPES.get(row[1].split("(")[0], types.NullType)(),
                "nullable": row[2],
                "default": None,
            }
            for row in rows
        ]

    def get_pk_constraint(self, *arguments: Any, **options: Any) -> Any:
        return {"constrained_columns": [], "name": None}


registry.register(NAME, __name__, "DuckDBDialect")
