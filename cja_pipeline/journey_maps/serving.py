"""The serving database as SQLAlchemy sees it: its engine and its tables, made from the declarations."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from cja_pipeline.settings import SettingsError
from cja_pipeline.tables import Table

TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "VARCHAR": sa.Text,
    "BIGINT": sa.BigInteger,
    "INTEGER": sa.Integer,
    "DOUBLE": sa.Float,
    "BOOLEAN": sa.Boolean,
    "DATE": sa.Date,
    "TIMESTAMP": sa.DateTime,
}
CONNECT_SECONDS = 10
EXPECTED = "expected postgresql://user@host/database or sqlite:////folder/file.db"


class PublishError(RuntimeError):
    """The serving database cannot be reached or refuses; the message never holds the URL's password.

    `passing` says whether the same may succeed later: the database was away, or two writers met.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


PUBLICATION = sa.Table(
    "publication",
    sa.MetaData(),
    sa.Column("table_name", sa.Text, primary_key=True, comment="Published table."),
    sa.Column("rows", sa.BigInteger, nullable=False, comment="Its rows."),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="Sum of the hashes of its rows."),
    sa.Column("definition", sa.Text, nullable=False, comment="Hash of its declaration."),
    comment="What was published: rows and fingerprint of every table.",
)


def open_engine(url: str) -> sa.Engine:
    """An engine for the serving database. SQLite: write-ahead log, so that readers go on reading.

    Raises:
        SettingsError: the URL is none, or its database has no driver here; the message holds no password.
    """
    try:
        parsed = sa.engine.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        arguments = {"connect_timeout": CONNECT_SECONDS} if parsed.get_backend_name() == "postgresql" else {}
        engine = sa.create_engine(parsed, hide_parameters=True, connect_args=arguments)
    except sa.exc.NoSuchModuleError:
        raise SettingsError(
            f"CJA_DATABASE_URL: there is no database {parsed.drivername!r}; {EXPECTED}"
        ) from None
    except sa.exc.ArgumentError:
        raise SettingsError(f"CJA_DATABASE_URL is no URL of a database; {EXPECTED}") from None
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"CJA_DATABASE_URL needs the package {error.name}, which is not installed. For PostgreSQL: "
            "pip install 'cja_pipeline[postgres]'"
        ) from None
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


def declared_tables(
    published: dict[str, Table], held: dict[str, dict[str, str]] | None = None
) -> dict[str, sa.Table]:
    """The SQLAlchemy tables of declarations, all of one metadata: types, keys, indexes, comments; no
    personal data.

    Args:
        held: per table and column the table whose key it holds, for foreign keys; they are checked at the
            end of a transaction.
    """
    metadata = sa.MetaData()
    found: dict[str, sa.Table] = {}
    for name, table in published.items():
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
        keys = [
            sa.ForeignKeyConstraint(
                [column],
                [f"{other}.{published[other].key[0]}"],
                name=f"fk_{name}_{column}",
                deferrable=True,
                initially="DEFERRED",
            )
            for column, other in (held or {}).get(name, {}).items()
        ]
        found[name] = sa.Table(name, metadata, *columns, *keys, comment=table.description)
        for fields in _indexes(table):
            sa.Index(f"ix_{name}_{'_'.join(fields)}", *(found[name].c[field] for field in fields))
    return found


def _indexes(table: Table) -> list[list[str]]:
    """The declared indexes, and one for every reference that none begins with: to join by, and because
    PostgreSQL looks through it for each row that goes from the other table."""
    begun = {table.key[0], *(fields[0] for fields in table.index)}
    return [*table.index, *([column] for column in table.references if column not in begun)]


def definition(connection: sa.Connection, target: sa.Table) -> str:
    """A hash of everything that is declared about a table; another hash brings it to the new declaration."""
    ddl = [str(sa.schema.CreateTable(target).compile(dialect=connection.dialect))]
    ddl += sorted(
        str(sa.schema.CreateIndex(index).compile(dialect=connection.dialect)) for index in target.indexes
    )
    ddl += [str(target.comment), *(str(column.comment) for column in target.columns)]
    return hashlib.sha256("\n".join(ddl).encode()).hexdigest()[:16]


def _type(declared: str) -> sa.types.TypeEngine[Any]:
    if declared.startswith("DECIMAL"):
        precision, scale = declared.removeprefix("DECIMAL(").rstrip(")").split(",")
        # a float column in SQLite, a true decimal elsewhere
        return sa.Numeric(int(precision), int(scale)).with_variant(sa.Float(), "sqlite")
    if declared.endswith("[]"):
        return sa.Text()
    return TYPES[declared]()
