"""What KPIs can be counted from: sources of rows, with whose they are, when they count and how they split."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES

if TYPE_CHECKING:
    import duckdb

MODELS = Path(__file__).parent / "sources"
# Segments come from the value model, which may not exist yet: compiled in when it does.
SEGMENT = "segment"
SEGMENT_TABLE = "kpis.customer_value"


class Source(StrictModel):
    """Rows to count.

    `table` is the declared table whose rows are counted; `model` names a SELECT in
    ``kpis/sources/<model>.sql`` that adds to them. `unit` is what rows are clustered by, the customer
    wherever there is one (`people: true`); without it every row stands alone. `at` is a UTC timestamp
    column, of which the business day in the shop's zone is taken; `day` is a date column that is one
    already. A `dense` source has rows on every day it was delivered, so a day without any is missing data,
    not a zero.

    The last three say why a row of a past day can change: `revised`, because its vendor delivers late or
    restates; `of_customer` names columns that tell of the customer and not of the row; `refunded` is what was
    given back of it.
    """

    description: str
    table: str
    model: str | None = None
    key: str
    unit: str | None = None
    people: bool = False
    at: str | None = None
    day: str | None = None
    where: str | None = None
    dense: bool = False
    dimensions: dict[str, str] = Field(default_factory=dict)
    revised: Literal["late", "corrected"] = "corrected"
    of_customer: list[str] = Field(default_factory=list)
    refunded: str | None = None

    @field_validator("table")
    @classmethod
    def _declared(cls, value: str) -> str:
        if value not in TABLES:
            raise ValueError(f"{value!r} is not a declared table")
        return value

    @field_validator("model")
    @classmethod
    def _exists(cls, value: str | None) -> str | None:
        if value is not None and not (MODELS / f"{value}.sql").is_file():
            raise ValueError(f"there is no model kpis/sources/{value}.sql")
        return value

    @model_validator(mode="after")
    def _usable(self) -> Source:
        if (self.at is None) == (self.day is None):
            raise ValueError("expected either at (a UTC timestamp) or day (a date)")
        said = (self.key, self.unit, self.at, self.day, self.where, self.refunded)
        for text in (*said, *self.dimensions.values(), *self.of_customer):
            if text is not None:
                self.bind(text)
        return self

    @cached_property
    def text(self) -> str:
        """The SELECT or table that rows come from."""
        if self.model is None:
            return self.table
        return "(\n" + (MODELS / f"{self.model}.sql").read_text(encoding="utf-8").strip().rstrip(";") + "\n)"

    @cached_property
    def reads(self) -> list[str]:
        """Tables behind the source."""
        bare = re.sub(r"--[^\n]*", "", self.text)
        found = re.findall(r"\b(?:validated|customers|kpis|config)\.[a-z_]+\b", bare)
        return sorted({name for name in found if name in TABLES})

    @property
    def slices(self) -> list[str]:
        """Names of the dimensions its rows can be split by."""
        return [*self.dimensions, SEGMENT] if self.people else list(self.dimensions)

    @property
    def definition(self) -> dict[str, Any]:
        """What the numbers depend on, for the definition hash."""
        left_out = {"description", "revised", "of_customer", "refunded"}
        return {**self.model_dump(mode="json", exclude=left_out), "text": self.text}

    def bind(self, expression: str) -> str:
        """Check an expression against the columns of the source; see `bind_expression`."""
        place = f"kpis/sources/{self.model}.sql" if self.model else self.table
        return bind_expression(expression, self.text, place)


class SourcesFile(StrictModel):
    """``kpi_sources.yml``: the sources, and for slow dimensions the grains they are split at."""

    sources: dict[str, Source]
    keep_days: dict[str, int]
    remember_days: int = Field(35, ge=1)
    slice_grains: dict[str, list[str]] = Field(default_factory=dict)


def load_sources_file() -> SourcesFile:
    """The sources in use (``config/kpi_sources.yml`` or its override)."""
    return _load(get_settings().config)


def load_sources() -> dict[str, Source]:
    """Sources by name."""
    return load_sources_file().sources


@lru_cache(maxsize=4)
def _load(override: Path | None) -> SourcesFile:
    shadow()  # first, so that a fault in a table declaration is reported once and not by every source
    return load_config("kpi_sources.yml", SourcesFile)


@lru_cache(maxsize=2048)
def bind_expression(expression: str, rows: str, place: str) -> str:
    """Check an SQL expression against the columns of declared tables; returns its type.

    Args:
        rows: a table or a SELECT in brackets. place: what to call it when something is wrong.

    Raises:
        ValueError: a column or function is unknown, or the text is more than one expression.
    """
    import duckdb

    if ";" in expression or "--" in expression:
        raise ValueError(f"expected one SQL expression, got {expression!r}")
    try:
        row = shadow().execute(f"DESCRIBE SELECT ({expression}) AS x FROM {rows} AS s").fetchone()
    except duckdb.Error as error:
        reason = str(error).split("\n")[0].split(": ", 1)[-1]
    else:
        return str(row[1]) if row else ""
    # raised out here: inside, it would keep the connection alive through the chained error
    raise ValueError(f"{expression!r} cannot be read from {place}: {reason}")


@lru_cache(maxsize=1)
def shadow() -> duckdb.DuckDBPyConnection:
    """An empty in-memory copy of the declared tables, against which expressions are bound."""
    import duckdb

    connection = duckdb.connect(":memory:")
    for table in TABLES.values():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema_name}")
        columns = ", ".join(f'"{name}" {column.type}' for name, column in table.columns.items())
        if columns:
            connection.execute(f"CREATE TABLE {table.full_name} ({columns})")
    return connection
