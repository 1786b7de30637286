"""Resolve any table of person records, from a file to a file, and measure against a truth if there is one."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import RootModel

from cja_pipeline.config import load_config
from cja_pipeline.customers.identity.dataframe import resolve
from cja_pipeline.customers.identity.measure import Quality, quality

if TYPE_CHECKING:
    import pandas as pd

USEFUL = (
    "crm_id",
    "login_id",
    "loyalty_id",
    "email",
    "email_sha256",
    "phone",
    "mobile",
    "last_name",
    "full_name",
)


class TableError(ValueError):
    """A table that cannot be read; the message names file, row and column."""


class PersonColumns(RootModel[dict[str, list[str]]]):
    """``person_columns.yml``: headers by which each field is recognised."""


@dataclass(frozen=True)
class Resolved:
    """``table``: the rows given, with customer_id in front. ``columns``: column used for each field.
    ``quality``: against the truth column, if one was named."""

    table: pd.DataFrame
    columns: dict[str, str]
    customers: int
    quality: Quality | None


def resolve_file(
    path: Path,
    *,
    truth: str | None = None,
    output: Path | None = None,
    columns: Mapping[str, str] | None = None,
    secret: bytes | None = None,
) -> Resolved:
    """Give every row of a CSV or Parquet file a customer_id.

    Args:
        truth: column that names the person behind each row; it is not used for resolving.
        output: CSV file to write, whole or not at all.
        columns: field -> column, where detection by header does not fit (see ``person_columns.yml``).

    Raises:
        TableError: the file is not readable, a row has another number of fields than the header, an id is
            empty or repeated, or no column is recognised.
    """
    table = read_table(path)
    used = detect(table, columns or {}, path, truth)
    records = person_records(table, used)
    try:
        found = resolve(records, secret=secret)
    except ValueError as error:
        raise TableError(f"{path}: {error}") from error
    result = table.copy()
    result.insert(
        0, "customer_id_" if "customer_id" in table else "customer_id", found["customer_id"].to_numpy()
    )
    measured = None
    if truth is not None:
        measured = quality(found["customer_id"].reset_index(drop=True), table[truth].reset_index(drop=True))
    if output is not None:
        part = output.with_name(f".{output.name}.part")
        result.to_csv(part, index=False)
        part.replace(output)
    return Resolved(result, used, int(found["customer_id"].nunique()), measured)


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV (comma, semicolon or tab) or Parquet file; every value stays text as it is written."""
    import pandas as pd

    if not path.exists():
        raise TableError(f"{path}: there is no such file")
    if path.suffix.lower() in (".parquet", ".pq"):
        return pd.read_parquet(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise TableError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8") from error
    lines = text.splitlines()
    if not lines:
        raise TableError(f"{path}: the file is empty")
    delimiter = max(",;\t", key=lines[0].count)
    rows = csv.reader(lines, delimiter=delimiter)
    header = [name.strip() for name in next(rows)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise TableError(f"{path}: column {repeated[0]!r} occurs more than once")
    body = []
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise TableError(
                f"{path}, line {rows.line_num}: {len(row)} fields where the header has {len(header)}"
            )
        body.append([value.strip() or None for value in row])
    return pd.DataFrame(body, columns=header, dtype=object)


def detect(
    table: pd.DataFrame, given: Mapping[str, str], path: Path | str = "table", truth: str | None = None
) -> dict[str, str]:
    """Which column holds which field: what was given, then what headers say; `truth` is never used."""
    known = load_config("person_columns.yml", PersonColumns).root
    for field, column in given.items():
        if field not in known:
            raise TableError(f"{path}: {field!r} is no field; there are: {', '.join(known)}")
        if column not in table:
            raise TableError(f"{path}: column {column!r} (for {field}) is missing")
    if truth is not None and truth not in table:
        raise TableError(f"{path}: column {truth!r} (truth) is missing")
    free = [column for column in table.columns if column not in given.values() and column != truth]
    plain = {column: re.sub(r"[^a-z0-9]", "", str(column).casefold()) for column in free}
    found = dict(given)
    for field, headers in known.items():
        matches = [column for header in headers for column in free if plain[column] == header]
        if field not in found and matches:
            found[field] = matches[0]
    if not any(field in found for field in USEFUL):
        raise TableError(
            f"{path}: no column says who a row is about; expected one like {', '.join(USEFUL[:5])} "
            f"or last_name, found: {', '.join(map(str, table.columns))}"
        )
    return {field: found[field] for field in known if field in found}


def person_records(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The columns of `resolve`: renamed, full names split, house numbers joined to streets, rows numbered."""
    import pandas as pd

    records = pd.DataFrame({field: table[column] for field, column in columns.items()}).reset_index(drop=True)
    if "record_id" not in records:
        records["record_id"] = [f"row {number}" for number in range(1, len(records) + 1)]
    if "full_name" in records and "last_name" not in records:
        parts = records["full_name"].astype(object).map(_split_name)
        records["first_name"] = [part[0] for part in parts]
        records["last_name"] = [part[1] for part in parts]
    if "house_number" in records and "address" in records:
        pairs = records[["house_number", "address"]].astype(object)
        joined = [" ".join(str(v) for v in pair if isinstance(v, str) and v) for pair in pairs.to_numpy()]
        records["address"] = [value or None for value in joined]
    return records


def _split_name(value: object) -> tuple[str | None, str | None]:
    """``Last, First`` or ``First … Last``."""
    if not isinstance(value, str) or not value.strip():
        return None, None
    if "," in value:
        last, _, first = value.partition(",")
        return first.strip() or None, last.strip() or None
    first, _, last = value.strip().rpartition(" ")
    return (first or None, last) if first else (last, None)
