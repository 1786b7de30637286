"""The store: run a model, replace a table, replace a window of days, read as pandas.

One DuckDB file with one schema per room. It has one writer process at a time; people read published copies.
All timestamps are naive UTC.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.sql import literal
from cja_pipeline.sql import name as quoted
from cja_pipeline.tables import TABLES, Table
from cja_pipeline.warehouse_file import PATIENCE_SECONDS, clear_spilled, connect

if TYPE_CHECKING:
    import pandas as pd

SCHEMAS = ("config", "validated", "customers", "kpis", "journey_maps", "quality")
DOUBLE_DIGITS = 9
INTERRUPTED = "Query interrupted"
log = logging.getLogger("cja_pipeline.warehouse")


class ModelError(RuntimeError):
    """A model whose result does not have the declared columns; the message names table and columns."""


class Warehouse:
    """An open warehouse. Use as a context manager; every method runs on its single connection."""

    replaces_rows = True  # some rows of a model's table can be made anew, without the others

    def __init__(
        self,
        path: Path | str,
        *,
        memory_limit: str = "1500MB",
        threads: int = 2,
        patience: float | None = None,
    ) -> None:
        self.path = path
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._depth = 0
        self.before_commit: Callable[[Warehouse], None] | None = None  # raises if this run may not commit
        self._limits = {"memory_limit": memory_limit, "threads": threads}
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        self.connection = connect(str(self.path), self._limits, self._patience)
        if str(self.path) != ":memory:":
            spilled = Path(f"{self.path}.tmp")
            clear_spilled(spilled)
            self.execute(f"SET temp_directory = {literal(str(spilled))}")
        self.execute("SET TimeZone = 'UTC'")
        self.execute("SET autoinstall_known_extensions = false")
        self.execute("SET enable_progress_bar = false")  # the steps report their own progress
        # insertion order is never relied upon: every model has a total ordering where order matters
        self.execute("SET preserve_insertion_order = false")
        for schema in SCHEMAS:
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")

    def compact(self) -> None:
        """Write the file anew, so that no page holds what was deleted; temporary tables end with it.

        The new file replaces the old one as a whole: a crash leaves the one or the other.
        """
        path = Path(self.path)
        fresh = path.with_name(f".{path.name}.new")
        for old in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            old.unlink(missing_ok=True)
        self.execute("CHECKPOINT")
        self.execute(f"ATTACH {literal(str(fresh))} AS compacted")
        self.execute(f'COPY FROM DATABASE "{self.scalar("SELECT current_database()")}" TO compacted')
        self.execute("DETACH compacted")
        self.close()
        fresh.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        self._open()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    # --- plain SQL ---------------------------------------------------------------------------------
    def execute(self, query: str, params: Sequence[Any] | dict[str, Any] | None = None) -> None:
        """Run a statement, discarding its result."""
        self.sql(query, params)

    def sql(
        self, query: str, params: Sequence[Any] | dict[str, Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run a query and return the connection for ``fetchall()`` or ``df()``; fetch before going on."""
        try:
            return (
                self.connection.execute(query) if params is None else self.connection.execute(query, params)
            )
        except RuntimeError as error:
            if str(error) == INTERRUPTED:  # by Ctrl-C; as an error it would fail one step only
                raise KeyboardInterrupt from error
            raise

    def df(self, query: str, params: Sequence[Any] | dict[str, Any] | None = None) -> pd.DataFrame:
        """The result of a query as a DataFrame."""
        return self.sql(query, params).df()

    def batches(self, query: str, rows: int) -> Iterator[Any]:
        """The result of a query as Arrow record batches of about so many rows; read them to the end."""
        yield from self.connection.sql(query).to_arrow_reader(rows)

    def scalar(self, query: str, params: Sequence[Any] | dict[str, Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        rows = self.sql(query, params).fetchall()  # an unfinished result would block the connection
        return rows[0][0] if rows else None

    def exists(self, table: str) -> bool:
        """Whether ``schema.table`` is a table or view of this warehouse."""
        if table in TABLES and not self._depth:
            # a tenth of the cost of asking the catalog; inside a transaction a failed try would end it. Any
            # other name is not tried: it may come from outside, or be that of a file
            try:
                self.execute(f"SELECT 1 FROM {table} LIMIT 0")
            except (duckdb.CatalogException, duckdb.InvalidInputException):  # the second: a variable of ours
                return False
            return True
        schema, _, name = table.rpartition(".")
        return bool(
            self.scalar(
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
                [schema, name],
            )
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner transaction joins the outer one."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self.execute("BEGIN TRANSACTION")
        self._depth = 1
        try:
            yield
            if self.before_commit is not None:
                self.before_commit(self)
        except BaseException:
            self._depth = 0
            with contextlib.suppress(duckdb.TransactionException):  # a full disk has rolled it back already
                self.execute("ROLLBACK")
            raise
        self._depth = 0
        self.execute("COMMIT")

    # --- declared tables ---------------------------------------------------------------------------
    def build(self, name: str) -> int:
        """Run the SQL model of a declared table and replace the table with its result; returns its rows."""
        table = TABLES[name]
        return self.replace(name, table.model_path.read_text(encoding="utf-8"))

    def model(self, select: str, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The result of a SQL model that Python goes on from."""
        return self.df(select, params)

    def stage(self, name: str, select: str) -> None:
        """Leave the result of a SQL model in a temporary table that Python goes on from."""
        self.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {_bare(select)}")

    def replace(self, name: str, select: str) -> int:
        """Replace a declared table with the result of a SELECT, cast to the declared columns."""
        columns = self._checked_columns(TABLES[name], select)
        with self.transaction():
            self.execute(
                f"CREATE OR REPLACE TABLE {name} AS SELECT {columns} FROM ({_bare(select)}\n) AS model"
            )
            crashpoint("table:before_commit")
        if not self._depth:
            crashpoint("table:committed")
        return self.count(name)

    def renew(self, name: str, select: str) -> int:
        """As `replace`, but writes only the rows that differ."""
        if not self.replaces_rows or not self.exists(name) or self.differs(name):
            return self.replace(name, select)
        columns = self._checked_columns(TABLES[name], select)
        row = f"hash({', '.join(map(quoted, TABLES[name].columns))})"
        with self.transaction():
            self.stage("due", f"SELECT {columns} FROM ({_bare(select)}\n) AS model")
            self.execute(f"DELETE FROM {name} WHERE {row} NOT IN (SELECT {row} FROM due)")
            self.execute(f"INSERT INTO {name} BY NAME FROM due WHERE {row} NOT IN (SELECT {row} FROM {name})")
            self.execute("DROP TABLE due")
        return self.count(name)

    def write(self, name: str, frame: pd.DataFrame) -> int:
        """Replace a declared table with a DataFrame (missing declared columns are an error)."""
        self.connection.register("incoming_frame", frame)
        try:
            return self.replace(name, "SELECT * FROM incoming_frame")
        finally:
            self.connection.unregister("incoming_frame")

    def insert(self, name: str, select: str, *, as_given: bool = False) -> None:
        """Add the rows of a SELECT to a declared table that is there, cast to the declared columns."""
        columns = self._checked_columns(TABLES[name], select, as_given=as_given)
        self.execute(f"INSERT INTO {name} SELECT {columns} FROM ({_bare(select)}\n) AS model")

    def replace_window(self, name: str, select: str, *, column: str = "_dt", days: Sequence[dt.date]) -> int:
        """Delete the rows of these days, then insert the SELECT's rows; returns the rows inserted."""
        with self.transaction():
            self.ensure(name)
            self.execute(f"DELETE FROM {name} WHERE {column} IN (SELECT unnest(?::DATE[]))", [list(days)])
            before = self.count(name)
            self.insert(name, select, as_given=True)
            return self.count(name) - before

    def ensure(self, name: str) -> None:
        """Create an empty declared table if it is not there; one of an earlier version gets the columns that
        are declared today (new ones null, until the step that fills them runs)."""
        table = TABLES[name]
        body = ", ".join(f'"{column}" {spec.type}' for column, spec in table.columns.items())
        self.execute(f"CREATE TABLE IF NOT EXISTS {name} ({body})")
        difference = self.differs(name)
        if not difference:
            return
        present = {row[0] for row in self.sql(f"DESCRIBE {name}").fetchall()}
        columns = ", ".join(
            f'TRY_CAST({quoted(column) if column in present else "NULL"} AS {spec.type}) AS "{column}"'
            for column, spec in table.columns.items()
        )
        self.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {columns} FROM {name}")
        log.warning("%s was made by another version and has been adapted: %s", name, difference)

    def differs(self, name: str) -> str:
        """How the columns of a table differ from the declared ones, in words; empty if they do not."""
        return TABLES[name].difference({row[0]: row[1] for row in self.sql(f"DESCRIBE {name}").fetchall()})

    def count(self, name: str) -> int:
        return int(self.scalar(f"SELECT count(*) FROM {name}"))

    def read(self, name: str) -> pd.DataFrame:
        """A table as a DataFrame, by published name (``"customers"``) or by place (``"customers.sessions"``).

        Raises:
            KeyError: there is no such table; the message lists the published names.
        """
        if "." not in name:
            published = TABLES.published()
            if name not in published:
                raise KeyError(f"no table {name!r}; there are: {', '.join(sorted(published))}")
            name = published[name].full_name
        elif name not in TABLES and not self.exists(name):
            raise KeyError(f"no table {name!r}")
        return self.df(f"SELECT * FROM {name}")

    def _checked_columns(self, table: Table, select: str, *, as_given: bool = False) -> str:
        present = [row[0] for row in self.sql(f"DESCRIBE {_bare(select)}").fetchall()]
        missing = [column for column in table.columns if column not in present]
        extra = [column for column in present if column not in table.columns]
        if missing or extra:
            raise ModelError(
                f"{table.full_name}: the result lacks the declared columns {missing} "
                f"and has the undeclared columns {extra}; correct the model or its tables.yml."
            )
        if as_given:  # by vendors: nothing is cut off, and the table has the types
            return ", ".join(map(quoted, table.columns))
        return ", ".join(
            f'{_cast(column, spec.type)} AS "{column}"' for column, spec in table.columns.items()
        )


def _cast(column: str, declared: str) -> str:
    """Cast to the declared type. Sums of doubles differ in the last digits by the order of the threads, so
    doubles are cut where no reader looks: equal inputs give equal tables."""
    if declared == "DOUBLE":
        return f'round(CAST("{column}" AS DOUBLE), {DOUBLE_DIGITS})'
    return f'CAST("{column}" AS {declared})'


def _bare(select: str) -> str:
    return select.strip().rstrip(";")
