"""Resolve any table of person records, from a file to a file, and measure against a truth if there is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import RootModel

from cja_pipeline.config import ConfigError, load_file
from cja_pipeline.customers.identity.dataframe import resolve
from cja_pipeline.customers.identity.measure import Quality, quality
from cja_pipeline.customers.identity.tabular.columns import Detected, Mapped, detect
from cja_pipeline.customers.identity.tabular.reader import read_table
from cja_pipeline.customers.identity.tabular.unread import unread, unused
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.spreadsheet import csv_bytes, parquet_bytes

if TYPE_CHECKING:
    import pandas as pd

PHONE = re.compile(r"[+-][\d\s()./-]*")  # runs nothing in a spreadsheet, and stays as it is written


@dataclass(frozen=True)
class Resolved:
    """``table``: the rows given, customer_id in front. ``columns``: columns used for each field. ``notes``:
    what a person should know. ``quality``: against the truth column, if one was named and filled."""

    table: pd.DataFrame
    columns: dict[str, list[str]]
    customers: int
    quality: Quality | None
    notes: list[str] = field(default_factory=list)


def resolve_file(
    path: Path,
    *,
    truth: str | None = None,
    output: Path | None = None,
    columns: Mapped | None = None,
    secret: bytes | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Resolved:
    """Give every row of a CSV or Parquet file a customer_id.

    Args:
        truth: column that names the person behind each row; it is not used for resolving.
        output: file to write (CSV without formulas, or Parquet by its ending), whole or not at all.
        columns: field -> column or columns, where headers do not tell (see ``person_columns.yml``).
        secret: key of the ids; default the installation's `CJA_SECRET_KEY`.
        tell: hears what is being done.

    Raises:
        TableError: the file cannot be read or used; the message names line or row, column and cure.
    """
    tell(f"reading {path.name}")
    table, notes = read_table(path)
    found = detect(table, columns or {}, path, truth) if len(table) else Detected({})
    tell(f"{len(table):,} rows, {len(table.columns)} columns; used: {', '.join(found.columns) or 'none'}")
    notes += [*found.notes, *unused(table, found.columns, truth), *unread(table, found.columns)]
    ids = resolve(table, columns=found.columns, secret=secret, tell=tell)["customer_id"]
    result = table.copy()
    if "customer_id" in result:
        result = result.rename(columns={"customer_id": "customer_id_given"})
        notes.append("the table's own column customer_id is called customer_id_given in the result")
    result.insert(0, "customer_id", ids.to_numpy())
    measured = None
    if truth is not None and table[truth].notna().any():
        measured = quality(ids.reset_index(drop=True), table[truth].reset_index(drop=True))
    elif truth is not None:
        notes.append(f"column {truth!r} (truth) is empty: nothing to measure")
    if output is not None:
        _write(result, output)
    return Resolved(result, found.columns, int(ids.nunique()), measured, notes)


class ColumnMap(RootModel[dict[str, str | list[str]]]):
    """A file of `field: column` or `field: [column, column]` lines."""


def read_mapping(path: Path) -> Mapped:
    """Read a YAML file that says which columns hold which fields.

    Raises:
        ConfigError: it is not such a file; the message names the line.
    """
    try:
        return load_file(path, ColumnMap).root
    except ConfigError as error:
        raise ConfigError(f"{error}\nexpected lines like `last_name: Kunde`") from error


def _write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix.lower() in (".parquet", ".pq"):
        write_atomically(path, parquet_bytes(table))
    else:
        write_atomically(path, csv_bytes(table, but=PHONE))
