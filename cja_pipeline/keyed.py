"""Tables made key by key: a night makes anew only what is made of other rows than the night before.

The rows of one key (a visit, a customer) are a function of the input rows of that key. So a digest of the
input rows is kept per key, and the model runs again, on the rows of those keys, where the digest is another
one: for whatever reason, late data, a merge, an erasure, a refund. Of an input that is made by the same key
the digests are taken instead of the rows. Whatever else the model reads (parameters, rules) counts as a
whole: when it changes, so does every row, as it does with the model, the declared columns or the version of
the package. Rows and digests change in one transaction.

An input that is not declared is one that counts as a whole: forgetting one costs time, not rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cja_pipeline import __version__
from cja_pipeline.sql import literal
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import SCHEMAS, Warehouse

DIGESTS, STATE = "customers.made_of", "customers.made_by"
MOST = 0.4  # beyond this share of keys, making the whole table is cheaper
NOW, TOUCHED = "keys_now", "keys_touched"  # temporary tables


@dataclass(frozen=True)
class Input:
    """A table that a model reads, and the key that each of its rows belongs to.

    Attributes:
        table: ``schema.table``; rows are called `t`.
        key: SQL of the key; `via`: the joins that it needs. A table may be given several times, if its rows
            belong to several keys.
        narrow: whether the model gets to see only rows of touched keys. Not where it looks at others' too.
        kept: whether the table is itself made by this key, and by nothing else: what a key's rows there are
            made of is known then, and need not be read again from the rows.
    """

    table: str
    key: str
    via: str = ""
    narrow: bool = True
    kept: bool = False


@dataclass(frozen=True)
class Keyed:
    """A table with a SQL model, made key by key.

    Attributes:
        table: ``schema.table``; `key`: the column of it that inputs give the key of.
        wholes: what counts of a table for all rows, as a query of one value; without one, all of it does
            unless it is an input.
        due: a query of keys whose rows have to be made anew although their inputs are the same: time passes.
        select: the model, where it is not in the file beside the table's declaration.
    """

    table: str
    key: str
    inputs: Sequence[Input]
    wholes: Mapping[str, str] = field(default_factory=dict)
    due: str = ""
    select: str = ""

    @property
    def rows(self) -> Input:
        """The rows of this table as an input of another one of the same key."""
        return Input(self.table, f"t.{self.key}", kept=not self.due)

    @cached_property
    def model(self) -> str:
        return self.select or TABLES[self.table].model_path.read_text(encoding="utf-8")

    @property
    def others(self) -> list[str]:
        """Tables that the model reads as a whole."""
        read = set(re.findall(rf"\b(?:{'|'.join(SCHEMAS)})\.\w+\b", _code(self.model)))
        return sorted(read - {one.table for one in self.inputs} - self.wholes.keys())

    def read(self, wh: Warehouse, table: str) -> str:
        """The columns of a table that the model may read: those that it, or the declaration, names."""
        words = {*re.findall(r"\w+", _code(self.model)), *TABLES[self.table].columns}
        return ", ".join(f't."{row[0]}"' for row in wh.sql(f"DESCRIBE {table}").fetchall() if row[0] in words)


def build_keyed(wh: Warehouse, made: Keyed) -> int:
    """Bring a keyed table up to date; returns its rows. The result is that of ``wh.build(made.table)``."""
    if not wh.replaces_rows:
        return wh.replace(made.table, made.select) if made.select else wh.build(made.table)
    with wh.transaction():
        wh.ensure(DIGESTS)
        wh.ensure(STATE)
        _digest(wh, made)
        rules = _rules(wh, made)
        if not is_known(wh, made.table, rules) or not _renew_touched(wh, made):
            _renew_all(wh, made)
        rows = wh.count(made.table)
        note(wh, made.table, rules, rows)
        for table in (NOW, TOUCHED):
            wh.execute(f"DROP TABLE IF EXISTS {table}")
    return rows


def is_known(wh: Warehouse, table: str, rules: str) -> bool:
    """Whether the table is as it was left, and was made by the same rules."""
    return known_rules(wh, table) == rules


def known_rules(wh: Warehouse, table: str) -> str | None:
    """The rules that the table was made by, if it is as it was left."""
    if not wh.exists(table) or wh.differs(table):
        return None
    noted = wh.sql(f"SELECT rules, rows FROM {STATE} WHERE table_name = ?", [table]).fetchall()
    return noted[0][0] if noted and noted[0][1] == wh.count(table) else None


def note(wh: Warehouse, table: str, rules: str, rows: int) -> None:
    """Remember how the table is left; call it in the transaction that writes it."""
    wh.execute(f"DELETE FROM {STATE} WHERE table_name = ?", [table])
    wh.execute(f"INSERT INTO {STATE} VALUES (?, ?, ?)", [table, rules, rows])


def contents(wh: Warehouse, table: str) -> str | None:
    """Fingerprint of a keyed table, by what its rows were made of; None if it is not as it was left."""
    if not (wh.replaces_rows and wh.exists(STATE) and wh.exists(DIGESTS)):
        return None
    rules = known_rules(wh, table)
    if rules is None:
        return None
    made_of = f"SELECT sum(CAST(hash(key, digest) AS HUGEINT)) FROM {DIGESTS} WHERE table_name = ?"
    return f"{rules} {wh.count(table)} {wh.scalar(made_of, [table])}"


def _number(key: str) -> str:
    """SQL of the number that stands for a key: keys may be personal, and numbers are compared faster."""
    return f"CAST(hash({key}) >> 1 AS BIGINT)"


def _digest(wh: Warehouse, made: Keyed) -> None:
    """What every key is made of tonight: the hashes of its rows, added up."""
    parts = []
    for place, one in enumerate(made.inputs):
        key, rows = _number(one.key), f"{one.table} t {one.via} WHERE {one.key} IS NOT NULL"
        columns = made.read(wh, one.table)
        if one.kept and known_rules(wh, one.table):
            key, columns, rows = "key", "digest", f"{DIGESTS} WHERE table_name = {literal(one.table)}"
        parts.append(
            f"SELECT {key} AS key, sum(CAST(hash({place}, {columns}) AS HUGEINT)) AS total "
            f"FROM {rows} GROUP BY 1"
        )
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE {NOW} AS SELECT key, CAST(hash(sum(total)) >> 1 AS BIGINT) AS digest "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY key"
    )


def _rules(wh: Warehouse, made: Keyed) -> str:
    """Fingerprint of everything that all rows depend on."""
    wholes = [
        f"SELECT sum(CAST(hash({made.read(wh, table)}) AS HUGEINT)) FROM {table} t" for table in made.others
    ]
    values = [f"coalesce(CAST(({query}) AS VARCHAR), '')" for query in (*wholes, *made.wholes.values())]
    columns = [f"{name} {column.type}" for name, column in TABLES[made.table].columns.items()]
    kept = [f"{one.table}: {known_rules(wh, one.table)}" for one in made.inputs if one.kept]
    by = "\n".join([made.model, *columns, *map(repr, made.inputs), *kept, __version__])
    return str(wh.scalar(f"SELECT md5(concat_ws('|', {', '.join([literal(by), *values])}))"))


def _renew_touched(wh: Warehouse, made: Keyed) -> bool:
    """Make the rows of touched keys anew; False if these are so many that the whole is cheaper."""
    due = f" OR o.key IN (SELECT {_number('d.key')} FROM ({made.due}) AS d(key))" if made.due else ""
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE {TOUCHED} AS SELECT coalesce(o.key, n.key) AS key, n.digest FROM "
        f"(SELECT key, digest FROM {DIGESTS} WHERE table_name = ?) o FULL JOIN {NOW} n ON n.key = o.key "
        f"WHERE n.digest IS DISTINCT FROM o.digest{due}",
        [made.table],
    )
    touched = wh.count(TOUCHED)
    if touched > MOST * wh.count(NOW):
        return False
    if not touched:
        return True
    among = f"IN (SELECT key FROM {TOUCHED})"
    model, narrowed = made.model, []
    for table in {one.table for one in made.inputs if one.narrow}:
        narrow = f"narrow_{table.replace('.', '_')}"
        mine = " OR ".join(_belongs(one, among) for one in made.inputs if one.table == table)
        wh.execute(f"CREATE OR REPLACE TEMP TABLE {narrow} AS SELECT t.* FROM {table} t WHERE {mine}")
        model = re.sub(rf"\b{re.escape(table)}\b", narrow, model)
        narrowed.append(narrow)
    wh.execute(f"DELETE FROM {made.table} WHERE {_number(made.key)} {among}")
    wh.insert(made.table, f"SELECT * FROM ({model.strip()}\n) AS m WHERE {_number(f'm.{made.key}')} {among}")
    for narrow in narrowed:
        wh.execute(f"DROP TABLE {narrow}")
    wh.execute(f"DELETE FROM {DIGESTS} WHERE table_name = ? AND key {among}", [made.table])
    wh.execute(
        f"INSERT INTO {DIGESTS} SELECT ?, key, digest FROM {TOUCHED} WHERE digest IS NOT NULL", [made.table]
    )
    return True


def _belongs(one: Input, among: str) -> str:
    """SQL: whether a row `t` of an input belongs to one of these keys.

    Row ids are compared as another type than theirs: DuckDB 2.0 otherwise has the join filter the scan by row
    id, which reads rows that this transaction has added from wrong memory: it crashes, or finds other rows.
    """
    if not one.via:
        return f"{_number(one.key)} {among}"
    row = "CAST(t.rowid AS HUGEINT)"
    return f"{row} IN (SELECT {row} FROM {one.table} t {one.via} WHERE {_number(one.key)} {among})"


def _renew_all(wh: Warehouse, made: Keyed) -> None:
    wh.replace(made.table, made.model)
    wh.execute(f"DELETE FROM {DIGESTS} WHERE table_name = ?", [made.table])
    wh.execute(f"INSERT INTO {DIGESTS} SELECT ?, key, digest FROM {NOW}", [made.table])


def _code(model: str) -> str:
    """A model without its comments."""
    return re.sub(r"--.*", "", model)
