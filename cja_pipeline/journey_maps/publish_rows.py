"""What has changed since the last publish: row by row, so that a night writes a night and not the history.

The warehouse keeps the keys and hashes of the rows it published last, the serving database the fingerprint of
each table. Where the two agree, only rows that differ travel; in doubt the whole table does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cja_pipeline.tables import Table
from cja_pipeline.warehouse import Warehouse

BATCH = 20_000
BLOCK = 1 << 20
MOST = 0.4  # beyond this share of changed rows, sending the whole table is cheaper
Value = Callable[[str, str], str]  # SQL for a column of a declared type, as the serving database takes it


@dataclass(frozen=True)
class Fingerprint:
    """Rows of a table and the sum of their hashes: equal for equal content, whatever the order."""

    rows: int
    digest: str


@dataclass
class Rows:
    """The published columns of one table of the warehouse, tonight and as they were published last.

    `tonight` is known once `fingerprint` was called; `compared`: only the rows that `changes` found are sent.
    """

    warehouse: Warehouse
    name: str
    table: Table
    columns: tuple[str, ...]
    tonight: Fingerprint | None = None
    compared: bool = False

    @property
    def _tonight(self) -> str:
        return f'"tonight_{self.name}"'

    @property
    def _away(self) -> str:
        return f'"away_{self.name}"'

    @property
    def _new(self) -> str:
        return f'"new_{self.name}"'

    @property
    def _state(self) -> str:
        return f'journey_maps."published_{self.name}"'

    @property
    def _public(self) -> str:
        """The table as others may see it: what is withheld is null."""
        withheld = [
            f'CASE WHEN {spec.withheld_when} THEN NULL ELSE "{column}" END AS "{column}"'
            for column, spec in self.table.columns.items()
            if spec.withheld_when
        ]
        replaced = f" REPLACE ({', '.join(withheld)})" if withheld else ""
        return f"(SELECT *{replaced} FROM {self.table.full_name})"

    def _keys(self) -> str:
        return ", ".join(f'"{key}"' for key in self.table.key)

    def fingerprint(self) -> Fingerprint:
        """Hash tonight's rows (a temporary table) and add them up."""
        listed = ", ".join(f'"{column}"' for column in self.columns)
        self.warehouse.execute(
            f"CREATE OR REPLACE TEMP TABLE {self._tonight} AS "
            f"SELECT {self._keys()}, hash({listed}) AS row_hash FROM {self._public}"
        )
        self.tonight = self._added_up(self._tonight)
        return self.tonight

    def published(self) -> Fingerprint | None:
        """What the warehouse remembers to have published; None if nothing or with another key."""
        place = f"published_{self.name}"
        if not self.warehouse.exists(f"journey_maps.{place}"):
            return None
        present = [row[0] for row in self.warehouse.sql(f"DESCRIBE {self._state}").fetchall()]
        return self._added_up(self._state) if present == [*self.table.key, "row_hash"] else None

    def _added_up(self, place: str) -> Fingerprint:
        rows, digest = self.warehouse.sql(
            f"SELECT count(*), CAST(coalesce(sum(CAST(row_hash AS HUGEINT)), 0) AS VARCHAR) FROM {place}"
        ).fetchall()[0]
        return Fingerprint(int(rows), str(digest))

    def changes(self) -> tuple[int, int]:
        """Find the rows to take away (gone or changed) and those to write (new or changed); how many.

        The hash is of the key, too: one number to compare instead of a key of several texts.
        """
        for place, one, other in (
            (self._away, self._state, self._tonight),
            (self._new, self._tonight, self._state),
        ):
            self.warehouse.execute(
                f"CREATE OR REPLACE TEMP TABLE {place} AS FROM {one} ANTI JOIN {other} USING (row_hash)"
            )
        return self.warehouse.count(self._away), self.warehouse.count(self._new)

    def gone(self, value: Value) -> str:
        """The query for the keys of the rows to take away, as `changes` found them."""
        keys = ", ".join(value(key, self.table.columns[key].type) for key in self.table.key)
        return f"SELECT {keys} FROM {self._away}"

    def select(self, value: Value, *, changed_only: bool) -> str:
        """The query for the rows to write, in the order of their key, each column put through `value`."""
        values = ", ".join(value(name, self.table.columns[name].type) for name in self.columns)
        source = self._public
        if changed_only:
            source = f"(SELECT t.* FROM {source} AS t SEMI JOIN {self._new} AS d ON {self._same('t', 'd')})"
        return f"SELECT {values} FROM {source} ORDER BY {self._keys()}"

    def remember(self) -> None:
        """Keep tonight's hashes as what is published; call it once the serving database has committed."""
        if self.compared:
            with self.warehouse.transaction():
                self.warehouse.execute(
                    f"DELETE FROM {self._state} AS s USING {self._away} AS a WHERE {self._same('s', 'a')}"
                )
                self.warehouse.execute(f"INSERT INTO {self._state} FROM {self._new}")
        elif self.published() != self.tonight:
            self.warehouse.execute(f"CREATE OR REPLACE TABLE {self._state} AS FROM {self._tonight}")

    def forget(self) -> None:
        for place in (self._tonight, self._away, self._new):
            self.warehouse.execute(f"DROP TABLE IF EXISTS {place}")

    def _same(self, one: str, other: str) -> str:
        return " AND ".join(f'{one}."{key}" = {other}."{key}"' for key in self.table.key)


def csv_blocks(warehouse: Warehouse, query: str) -> Iterator[bytes]:
    """The rows of a query as blocks of CSV, written by the warehouse itself, not row by row.

    An empty field is null, an empty text is quoted: what PostgreSQL's COPY reads by default.
    """
    with TemporaryDirectory(prefix="publish-") as folder:
        path = Path(folder) / "rows.csv"
        warehouse.execute(f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER false)")
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def batches(warehouse: Warehouse, query: str) -> Iterator[list[Any]]:
    """The rows of a query as tuples, `BATCH` at a time."""
    result = warehouse.sql(query)  # on the connection that holds tonight's hashes
    while batch := result.fetchmany(BATCH):
        yield batch
