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

    `tonight` is known once `fingerprint` or `compare` was called; `compared`: only the rows that `compare`
    found are sent.
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
    def _differing(self) -> str:
        """Rows published that are no more as they were (`was`), and rows to publish: key and `row_hash`."""
        return f'"differing_{self.name}"'

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

    def _hashed(self) -> str:
        listed = ", ".join(f'"{column}"' for column in self.columns)
        return f"SELECT {self._keys()}, hash({listed}) AS row_hash FROM {self._public}"

    def fingerprint(self) -> Fingerprint:
        """Hash tonight's rows (a temporary table) and add them up."""
        self.warehouse.execute(f"CREATE OR REPLACE TEMP TABLE {self._tonight} AS {self._hashed()}")
        self.tonight = self._added_up("row_hash", self._tonight)
        return self.tonight

    def published(self) -> Fingerprint | None:
        """What the warehouse remembers to have published; None if nothing or with another key."""
        place = f"published_{self.name}"
        if not self.warehouse.exists(f"journey_maps.{place}"):
            return None
        present = [row[0] for row in self.warehouse.sql(f"DESCRIBE {self._state}").fetchall()]
        return self._added_up("row_hash", self._state) if present == [*self.table.key, "row_hash"] else None

    def _added_up(self, column: str, place: str) -> Fingerprint:
        rows, digest = self.warehouse.sql(
            f"SELECT count({column}), CAST(coalesce(sum(CAST({column} AS HUGEINT)), 0) AS VARCHAR) "
            f"FROM {place}"
        ).fetchall()[0]
        return Fingerprint(int(rows), str(digest))

    def compare(self, held: Fingerprint) -> Fingerprint | None:
        """Find the rows that differ from those `published`, whose fingerprint is `held`; tonight's
        fingerprint, or None if so many differ, or so strangely, that the whole table is to be written.

        The hash is of the key, too: one number to compare instead of a key of several texts. Tonight's rows
        are looked at once and only those that differ are kept.
        """
        keys = ", ".join(f't."{key}"' for key in self.table.key)
        self.warehouse.execute(
            f"CREATE OR REPLACE TEMP TABLE {self._differing} AS "
            f"SELECT {keys}, t.row_hash, s.row_hash AS was FROM {self._state} AS s "
            f"FULL JOIN ({self._hashed()}) AS t ON t.row_hash = s.row_hash "
            "WHERE s.row_hash IS NULL OR t.row_hash IS NULL"
        )
        new, away = (self._added_up(column, self._differing) for column in ("row_hash", "was"))
        rows = self.warehouse.count(self.table.full_name)
        self.compared = new.rows <= MOST * rows and held.rows - away.rows + new.rows == rows
        if not self.compared:
            return None
        self.tonight = Fingerprint(rows, str(int(held.digest) - int(away.digest) + int(new.digest)))
        return self.tonight

    def gone(self, value: Value) -> str:
        """The query for the keys of the rows to take away, as `compare` found them."""
        keys = ", ".join(value(key, self.table.columns[key].type) for key in self.table.key)
        return (
            f"SELECT {keys} FROM {self._state} AS s WHERE row_hash IN (SELECT was FROM {self._differing}) "
            f"AND NOT EXISTS (SELECT 1 FROM {self._differing} AS d WHERE {self._same('s', 'd')})"
        )

    def select(self, value: Value, *, changed_only: bool) -> str:
        """The query for the rows to write, in the order of their key, each column put through `value`."""
        values = ", ".join(value(name, self.table.columns[name].type) for name in self.columns)
        source = self._public
        if changed_only:
            source = (
                f"(SELECT t.* FROM {source} AS t SEMI JOIN {self._differing} AS d ON {self._same('t', 'd')})"
            )
        return f"SELECT {values} FROM {source} ORDER BY {self._keys()}"

    def remember(self) -> None:
        """Keep tonight's hashes as what is published; call it once the serving database has committed."""
        if self.compared:
            with self.warehouse.transaction():
                self.warehouse.execute(
                    f"DELETE FROM {self._state} WHERE row_hash IN (SELECT was FROM {self._differing})"
                )
                self.warehouse.execute(
                    f"INSERT INTO {self._state} SELECT {self._keys()}, row_hash FROM {self._differing} "
                    "WHERE row_hash IS NOT NULL"
                )
        elif self.published() != self.tonight:
            self.warehouse.execute(f"CREATE OR REPLACE TABLE {self._state} AS FROM {self._tonight}")

    def forget(self) -> None:
        for place in (self._tonight, self._differing):
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
