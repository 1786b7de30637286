"""The declared tables: one source for column order, types, descriptions, personal-data tags and keys.

Each room declares its tables in ``tables*.yml`` beside its models. The warehouse writes by it, the Dagster UI
shows it, publishing makes its DDL from it, and the data dictionary is printed from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field

from cja_pipeline.config import ConfigError, StrictModel, load_file

PACKAGE = Path(__file__).parent
ROOMS = ("validated", "customers", "kpis", "journey_maps", "privacy")
COLUMN_TYPE = r"^(VARCHAR|BIGINT|INTEGER|UUID|DOUBLE|BOOLEAN|DATE|TIMESTAMP|DECIMAL\(\d+,\s*\d+\))(\[\])?$"


class Column(StrictModel):
    """One declared column. `type` is a DuckDB type; `pii` marks personal data that never leaves its room.

    `made_of` names what the column is computed from (``schema.table.column``) where no SQL model says so.
    Where the condition `withheld_when` holds, the column is null in the published table.
    """

    type: str = Field(pattern=COLUMN_TYPE)
    description: str
    pii: bool = False
    nullable: bool = True
    made_of: list[str] = Field(default_factory=list)
    withheld_when: str | None = None


class Declaration(StrictModel):
    """A table as its YAML file declares it.

    `reads` names the tables that Python makes it from, `begins` the SELECT beside it that Python goes on
    from; a table with a SQL model of its own needs neither. `references` names, per column, the published
    table whose key it holds. `retention_days` is how long rows are kept (``privacy.yml`` may say otherwise):
    by landed day, or by the time column `retention_from`; a table of versions without such a column keeps the
    newest version of whatever still exists.
    """

    description: str
    grain: str
    key: list[str]
    columns: dict[str, Column]
    published: bool | str = False
    index: list[list[str]] = Field(default_factory=list)
    reads: list[str] = Field(default_factory=list)
    begins: str | None = None
    references: dict[str, str] = Field(default_factory=dict)
    retention_days: int | None = Field(default=None, ge=1)
    retention_from: str | None = None


class Table(Declaration):
    """A declared table with its place: schema (the room) and name."""

    schema_name: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.schema_name}.{self.name}"

    @property
    def published_name(self) -> str | None:
        """Name in the serving database, or None if the table stays in the warehouse."""
        if self.published is True:
            return self.name
        return self.published or None

    @property
    def model_path(self) -> Path:
        """The SQL model that makes this table, if it is made by one."""
        return PACKAGE / self.schema_name / f"{self.name}.sql"

    @cached_property
    def pii_columns(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.pii]

    def difference(self, present: Mapping[str, str]) -> str:
        """How the columns that are there (name and type, in order) differ from the declared ones, in words;
        empty if they do not."""
        declared = {column: spec.type.replace(" ", "") for column, spec in self.columns.items()}
        present = {column: kind.replace(" ", "") for column, kind in present.items()}
        retyped = [c for c in declared if c in present and declared[c] != present[c]]
        parts = {
            "new columns": [column for column in declared if column not in present],
            "columns no longer declared": [column for column in present if column not in declared],
            "columns of another type": retyped,
        }
        if list(declared) != list(present) and not any(parts.values()):
            return "another order of columns"
        return "; ".join(f"{words} {', '.join(columns)}" for words, columns in parts.items() if columns)


class TablesFile(StrictModel):
    tables: dict[str, Declaration]


def load_tables() -> dict[str, Table]:
    """All declared tables by full name, for example ``customers.sessions``.

    Raises:
        ConfigError: a key column is not declared, or two tables claim one published name.
    """
    found: dict[str, Table] = {}
    for room in ROOMS:
        for path in sorted((PACKAGE / room).glob("tables*.yml")):
            for name, declaration in load_file(path, TablesFile).tables.items():
                schema, _, short = name.rpartition(".")
                table = Table(schema_name=schema or room, name=short, **declaration.model_dump())
                unknown = [key for key in table.key if key not in table.columns]
                if unknown:
                    raise ConfigError(f"{path}: {name}.key: {unknown} are not columns of the table")
                found[table.full_name] = table
    claimed: dict[str, str] = {}
    for table in found.values():
        public = table.published_name
        if public and claimed.setdefault(public, table.full_name) != table.full_name:
            raise ConfigError(f"{table.full_name} and {claimed[public]} both publish the name {public!r}")
    return found


class _Tables(dict[str, Table]):
    """Loads on first use, so that importing this module costs nothing."""

    _loaded = False

    def _load(self) -> None:
        if not self._loaded:
            self.update(load_tables())
            self._loaded = True

    def __getitem__(self, key: str) -> Table:
        self._load()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._load()
        return super().__contains__(key)

    def __iter__(self):  # type: ignore[no-untyped-def]
        self._load()
        return super().__iter__()

    def values(self):  # type: ignore[no-untyped-def]
        self._load()
        return super().values()

    def published(self) -> dict[str, Table]:
        """Tables of the serving database by their published name, in declaration order."""
        return {table.published_name: table for table in self.values() if table.published_name}


TABLES = _Tables()


def files_digest(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of files, in whatever order they are given: did code or settings that
    something was made by change?"""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
