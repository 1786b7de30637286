"""Which landed stream makes which table: the declarations of ``streams.yml``, checked."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from cja_pipeline.config import ConfigError, StrictModel, load_file
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES, Table

FOLDER = Path(__file__).parent
Tree = dict[str, "Tree | None"]
LIST = "[]"
OTHER = "other"


class Money(StrictModel):
    """The amount that is totalled per day for the ledger, its currency column, and a condition on rows."""

    column: str
    currency: str
    only: str = "TRUE"


class Names(StrictModel):
    """A field that holds named values (a list of structs with `key`), and the names that are known in it."""

    field: str
    known: list[str]


class Enum(StrictModel):
    """The known values of a column; any other value becomes ``other`` and is counted.

    `tell`: the vendor makes up the values (names of events), so a new one may be named in check results; what
    people may have typed is only counted.
    """

    known: list[str]
    tell: bool = False


class Stream(StrictModel):
    """One vendor stream and the table that it becomes.

    `layout` ``window``: a landed day is complete and replaces the day; ``changes``: each pull appends
    versions. `keep` says which of several rows with one key stays: the first in file order, or the last.
    `sends_nulls`: the vendor names every asked field even without a value, so an absent field is news.
    `parquet_types`: what kind of value a field has in Parquet files (text, integer, number, boolean).
    """

    source: str
    stream: str = Field(pattern=r"^[a-z0-9_]+/[a-z0-9_]+$")
    layout: Literal["window", "changes"]
    fields: list[str]
    required: list[str]
    ignored: list[str] = Field(default_factory=list)
    keep: Literal["first", "last"] = "first"
    sends_nulls: bool = False
    names: Names | None = None
    enums: dict[str, Enum] = Field(default_factory=dict)
    parquet_types: dict[str, Literal["text", "integer", "number", "boolean"]] = Field(default_factory=dict)
    event_time: str | None = None
    money: Money | None = None

    @cached_property
    def tree(self) -> Tree:
        """The fields as a tree; a leaf is None, the members of a list stand under ``[]``."""
        return tree_of(self.fields)


class StreamsFile(StrictModel):
    streams: dict[str, Stream]


def tree_of(paths: list[str]) -> Tree:
    """Paths such as ``event_params[].value.int_value`` as nested dictionaries."""
    root: Tree = {}
    for path in paths:
        node = root
        steps = path.replace("[]", ".[]").split(".")
        for step in steps[:-1]:
            node = node.setdefault(step, {})  # type: ignore[assignment]
        node.setdefault(steps[-1], None)
    return root


@lru_cache(maxsize=1)
def load_streams() -> dict[str, Stream]:
    """All streams by the name of their table.

    Raises:
        ConfigError: a table is not declared, or a money, time or required field is unknown.
    """
    path = own_file("streams.yml")
    streams = load_file(path, StreamsFile).streams
    for name, stream in streams.items():
        if f"validated.{name}" not in TABLES:
            raise ConfigError(f"{path}: {name}: there is no table validated.{name} in tables.yml")
        columns = TABLES[f"validated.{name}"].columns
        named = [stream.event_time, *stream.enums]
        named += [stream.money.column, stream.money.currency] if stream.money else []
        for column in named:
            if column is not None and column not in columns:
                raise ConfigError(f"{path}: {name}: {column!r} is not a column of validated.{name}")
        for key, fields in (("required", stream.required), ("parquet_types", [*stream.parquet_types])):
            for field in fields:
                if field not in stream.fields:
                    raise ConfigError(f"{path}: {name}.{key}: {field!r} is not one of its fields")
    return streams


def stream_of(table: str) -> tuple[Table, Stream]:
    """The declared table and its stream, for ``validated.web_events`` or ``web_events``.

    Raises:
        KeyError: no stream makes that table; the message lists those that exist.
    """
    short = table.removeprefix("validated.")
    streams = load_streams()
    if short not in streams:
        raise KeyError(f"no stream makes {table!r}; there are: {', '.join(sorted(streams))}")
    return TABLES[f"validated.{short}"], streams[short]


def model_sql(table: str) -> str:
    """The SELECT that maps the raw fields (relation ``raw``) of a table's stream to its columns."""
    name = table.removeprefix("validated.")
    return own_file(f"parse/{name}.sql").read_text(encoding="utf-8").strip().rstrip(";")


def own_file(name: str) -> Path:
    """The file of this room in use: the one of that name in the folder of `CJA_CONFIG`, else the shipped one.

    So an installation may map its own properties (``parse/contacts.sql``, ``streams.yml``) and set its own
    rules (``suites/validated.contacts.yml``) without touching the package.
    """
    override = get_settings().config
    if override is not None and (override / name).exists():
        return override / name
    return FOLDER / name
