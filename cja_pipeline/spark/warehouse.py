"""The warehouse when models run on Spark.

The driver keeps its DuckDB file: it is where steps written in Python work, where transactions are, and what
says which files count. Models (`build`) run on Spark, days of validated tables are partitions that Spark
overwrites, and both are in the cluster's catalog under ``cja_<schema>``. To the driver they are views over
the same Parquet files. A table that only the driver writes is copied to the lake when a model reads it.

Two engines have no transaction in common. A version that Spark wrote counts from the moment the driver's
transaction commits; a crash leaves the version before, and files that the next run removes. Partitions of
days are overwritten at once: a crash leaves days that the ledger does not know, and the next run writes them
again.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.spark.lake import COPY, DAY, DAYS, MODEL, Lake, Place
from cja_pipeline.spark.session import Cluster, cluster
from cja_pipeline.spark.transpile import bound, spark_type, to_spark
from cja_pipeline.sql import literal
from cja_pipeline.sql import name as quoted
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from pyspark.sql import DataFrame

PREFIX = "cja_"  # of our schemas in a catalog that has others
STAGE = ".stage"
WRITE = re.compile(
    r"\s*(INSERT INTO|DELETE FROM|UPDATE|ALTER TABLE|DROP TABLE(?: IF EXISTS)?|CREATE OR REPLACE TABLE)"
    r'\s+(\w+)\."?(\w+)"?',
    re.IGNORECASE,
)
ANEW = ("DROP", "CREATE")


class SparkWarehouse(Warehouse):
    """A warehouse whose models run on Spark; see the module.

    Args:
        path: the driver's DuckDB file. url: ``spark://…`` or ``sc://…``. lake: folder that the driver and all
            workers see under this path.
    """

    replaces_rows = False  # they are in files

    def __init__(self, path: Path, *, url: str, lake: Path, **options: Any) -> None:
        self._url, self._folder = url, lake
        super().__init__(path, **options)

    def _open(self) -> None:
        super()._open()
        self.lake = Lake(self, self._folder)

    def close(self) -> None:
        try:
            self.lake.tidy()
        finally:
            super().close()

    @property
    def cluster(self) -> Cluster:
        """The session; the first use starts it."""
        return cluster(self._url, self._folder)

    def compact(self) -> None:
        """Take every table of the lake into the driver's file and write that anew: whoever looks there for
        what must be gone looks at everything. The next models share their tables again."""
        for name in self.lake.names():
            self._adopt(name)
        self.lake.tidy()
        super().compact()

    # --- on Spark ----------------------------------------------------------------------------------
    def build(self, name: str) -> int:
        """Run the model of a declared table on Spark and let its result be the table; returns its rows."""
        model = TABLES[name].model_path.read_text(encoding="utf-8").strip().rstrip(";")
        columns = self._checked_columns(TABLES[name], model)
        with self.transaction():
            frame = self.frame(f"SELECT {columns} FROM ({model}\n) AS model")
            place = self.lake.put(name, MODEL)
            frame.write.mode("overwrite").parquet(str(place.folder))
            self._tell(name, place)
            self._show(name, place)
            crashpoint("table:before_commit")
        if not self._depth:
            crashpoint("table:committed")
        return self.count(name)

    def model(self, select: str, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The result of a SQL model that ran on Spark."""
        self.stage("model_rows", bound(select, params or {}))
        try:
            return self.df("FROM model_rows")
        finally:
            self.execute("DROP TABLE model_rows")

    def stage(self, name: str, select: str) -> None:
        """Leave the result of a SQL model that ran on Spark in a temporary table of the driver."""
        folder = self._folder / STAGE / name / "rows"
        self.frame(select).write.mode("overwrite").parquet(str(folder))
        files = literal(f"{folder}/*.parquet")
        self.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM read_parquet({files})")
        shutil.rmtree(folder)

    def frame(self, select: str) -> DataFrame:
        """A DuckDB SELECT over tables and views of the warehouse, as a DataFrame of Spark."""
        return self.cluster.session.sql(self.translated(select))

    def translated(self, select: str) -> str:
        """A DuckDB SELECT as Spark SQL, once the catalog has every table that it reads as it is now."""
        return to_spark(select, self._on_spark)

    def replace_window(self, name: str, select: str, *, column: str = DAY, days: Sequence[dt.date]) -> int:
        """Overwrite the partitions of these days by the SELECT's rows; returns the rows inserted."""
        if column != DAY:
            return super().replace_window(name, select, column=column, days=days)
        self.ensure(name)
        self._checked_columns(TABLES[name], select, as_given=True)
        place, stage = self.lake.place(name), self._folder / STAGE / name / "rows"
        if place is not None and place.kind == COPY:
            place = None
        rows = f"SELECT {_typed(name)} FROM ({select}\n) AS model"
        dates = ", ".join(map(literal, days)) or "NULL"
        if place is None:  # the driver's table, from before: it moves as a whole
            rows += f" UNION ALL SELECT * FROM {name} WHERE {DAY} NOT IN ({dates})"
        with self.transaction():
            self._export(rows, stage)
            if place is None:
                place = self.lake.put(name, DAYS)
            self._overwrite(name, place, stage, days)
            self._show(name, place)
        shutil.rmtree(stage)
        return int(self.scalar(f"SELECT count(*) FROM {name} WHERE {DAY} IN ({dates})"))

    def _overwrite(self, name: str, place: Place, stage: Path, days: Sequence[dt.date]) -> None:
        spark, target = self.cluster.session, self._on_spark(name)
        staged = literal(f"{stage}/*.parquet")
        filled = {row[0] for row in self.sql(f"SELECT DISTINCT {DAY} FROM read_parquet({staged})").fetchall()}
        for day in {*days} - filled:  # an overwrite leaves alone what it has no rows for
            spark.sql(f"ALTER TABLE {target} DROP IF EXISTS PARTITION ({DAY} = {literal(day)})")
            shutil.rmtree(place.folder / f"{DAY}={day.isoformat()}", ignore_errors=True)
        if filled:
            columns = ", ".join(f"`{column}`" for column in TABLES[name].columns if column != DAY)
            select = f"SELECT {columns}, {DAY} FROM parquet.`{stage}`"
            spark.sql(f"INSERT OVERWRITE TABLE {target} PARTITION ({DAY}) {select}")

    def view_text(self, name: str) -> str | None:
        """The SELECT of a view of the driver, or None if it is none."""
        rows = self.connection.execute(
            "SELECT sql FROM duckdb_views() WHERE NOT internal AND schema_name || '.' || view_name = ?",
            [name],
        ).fetchall()
        return rows[0][0].partition(" AS ")[2].rstrip(";") if rows else None

    # --- where a table is --------------------------------------------------------------------------
    def _on_spark(self, name: str) -> str:
        """The table's name in the catalog, with the files there that count now."""
        place = self.lake.place(name)
        if place is None and (text := self.view_text(name)):
            self._schema(name)
            view = to_spark(text, self._on_spark)
            self.cluster.session.sql(f"CREATE OR REPLACE VIEW {PREFIX}{name} AS {view}")
            return f"{PREFIX}{name}"
        if place is None:
            with self.transaction():  # a copy counts once it is there
                place = self.lake.put(name, COPY)
                self._export(f"SELECT {self._plain(name)} FROM {name}", place.folder)
        self._tell(name, place)
        return f"{PREFIX}{name}"

    def _export(self, select: str, folder: Path) -> None:
        """Rows that the driver has, as Parquet."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.execute(f"COPY ({select}) TO {literal(str(folder / 'rows.parquet'))} (FORMAT parquet)")

    def _plain(self, name: str) -> str:
        """The columns of a table in types that Spark has."""
        return ", ".join(
            f"CAST({quoted(row[0])} AS VARCHAR) AS {quoted(row[0])}" if row[1] == "UUID" else quoted(row[0])
            for row in self.sql(f"DESCRIBE {name}").fetchall()
        )

    def _schema(self, name: str) -> None:
        schema = name.partition(".")[0]
        folder = literal(str(self._folder / schema))
        self.cluster.session.sql(f"CREATE SCHEMA IF NOT EXISTS {PREFIX}{schema} LOCATION {folder}")

    def _tell(self, name: str, place: Place) -> None:
        """Let the catalog's table be the files of this place."""
        spark, told = self.cluster.session, self.cluster.told
        if told.get(name) == str(place.folder):
            return
        self._schema(name)
        spark.sql(f"DROP TABLE IF EXISTS {PREFIX}{name}")  # its files stay: it only points to them
        columns, by_day = "", ""
        if place.kind == DAYS:
            columns = ", ".join(f"`{c}` {spark_type(s.type)}" for c, s in TABLES[name].columns.items())
            columns, by_day = f" ({columns})", f" PARTITIONED BY ({DAY})"
        folder = literal(str(place.folder))
        spark.sql(f"CREATE TABLE {PREFIX}{name}{columns} USING PARQUET{by_day} LOCATION {folder}")
        if by_day:
            spark.sql(f"MSCK REPAIR TABLE {PREFIX}{name}")
        told[name] = str(place.folder)

    def _show(self, name: str, place: Place) -> None:
        """Let the driver's relation of this name be a view of the files."""
        self._drop(name)
        if not any(place.folder.rglob("*.parquet")):  # a table of days without a day
            self.lake.forget(name)
            self.ensure(name)
            return
        options = f", hive_partitioning = true, hive_types = {{'{DAY}': DATE}}" if place.kind == DAYS else ""
        files = f"read_parquet({literal(place.files)}{options})"
        self.connection.execute(f"CREATE VIEW {name} AS SELECT {_typed(name)} FROM {files}")

    def _drop(self, name: str) -> None:
        kind = "VIEW" if self.view_text(name) else "TABLE IF EXISTS"
        self.connection.execute(f"DROP {kind} {name}")

    # --- what the driver writes --------------------------------------------------------------------
    def sql(
        self, query: str, params: Sequence[Any] | dict[str, Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run a query on the driver. A write to a table of the lake takes that into the driver's file."""
        write = WRITE.match(query)
        place = self.lake.place(name := f"{write[2]}.{write[3]}") if write else None
        if write is None or place is None:
            return super().sql(query, params)
        verb = write[1].upper()
        if place.kind == COPY:
            self.lake.forget(name)
        elif verb.startswith(ANEW) and name not in query[write.end() :]:
            with self.transaction():
                self.lake.forget(name)
                self._drop(name)
                return super().sql(query, params)
        elif verb.startswith("DELETE") and not self._hits(query, write, params):
            return self.connection
        else:
            self._adopt(name)
        return super().sql(query, params)

    def _hits(self, query: str, write: re.Match[str], params: Any) -> bool:
        found = super().sql(f"SELECT count(*) FROM {query[write.end(1) :]}", params).fetchall()
        return bool(found[0][0])

    def _adopt(self, name: str) -> None:
        """Make a table of the lake one of the driver's file."""
        if not self.view_text(name):
            self.lake.forget(name)
            return
        with self.transaction():
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE adopted AS SELECT * FROM {name}")
            self.lake.forget(name)
            self._drop(name)
            self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM adopted")
            self.connection.execute("DROP TABLE adopted")

    def ensure(self, name: str) -> None:
        """As in the base class; a table of the lake that is of another version becomes one of the driver."""
        place = self.lake.place(name)
        if place is None or place.kind == COPY:
            super().ensure(name)
        elif self.differs(name):
            self._adopt(name)
            super().ensure(name)


def _typed(name: str) -> str:
    """The columns of a declared table, each cast to its type."""
    columns = TABLES[name].columns.items()
    return ", ".join(f"CAST({quoted(column)} AS {spec.type}) AS {quoted(column)}" for column, spec in columns)
