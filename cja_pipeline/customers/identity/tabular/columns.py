"""Which column of a table of people holds what: by header, by content, or as a YAML file says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.customers.identity.names import split_full_name
from cja_pipeline.customers.identity.normalise import text

if TYPE_CHECKING:
    import pandas as pd

Mapped = Mapping[str, str | list[str]]
# at least one of these must be there: nothing else can say that two rows are one person
TELLING = (
    "visitor_id",
    "crm_id",
    "login_id",
    "loyalty_id",
    "national_id",
    "email",
    "email_sha256",
    "phone",
    "mobile",
    "last_name",
    "full_name",
    "first_name",
)
CONTENT_SHARE = 0.5  # of filled cells that must look like an address of a mailbox
CONTENT_ROWS = 1000
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class TableError(ValueError):
    """A table that cannot be used; the message names file, row and column, and says what to do."""


class PersonColumns(StrictModel):
    """``person_columns.yml``: headers by which each field is recognised, and words that say nothing."""

    fields: dict[str, list[str]]
    qualifiers: list[str]


@dataclass(frozen=True)
class Detected:
    """``columns``: field -> column or columns (joined by a blank). ``notes``: what a person should know."""

    columns: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)


def detect(table: pd.DataFrame, given: Mapped, name: object = "table", truth: str | None = None) -> Detected:
    """Which columns hold which fields: what was given, then what headers say, then what cells look like.

    Args:
        given: field -> column, or list of columns whose texts are joined. truth: a column that is never used.

    Raises:
        TableError: a field or column that does not exist, or nothing that tells people apart.
    """
    known = load_config("person_columns.yml", PersonColumns)
    found: dict[str, list[str]] = {}
    for one, columns in given.items():
        if one not in known.fields:
            raise TableError(f"{name}: {one!r} is no field; choose from: {', '.join(known.fields)}")
        found[one] = [columns] if isinstance(columns, str) else list(columns)
        for column in found[one]:
            if column not in table:
                raise TableError(f"{name}: column {column!r} (for {one}) is missing; {_there(table)}")
    if truth is not None and truth not in table:
        raise TableError(f"{name}: column {truth!r} (truth) is missing; {_there(table)}")
    taken = {column for columns in found.values() for column in columns}
    free = [str(c) for c in table.columns if c not in taken and c != truth and table[c].notna().any()]
    for pick in (_by_header, _by_stripped_header, _by_content):
        for one, column in pick(table, free, known).items():
            if one not in found and column in free:
                found[one] = [column]
                free.remove(column)
    notes = _drop_useless(table, found, given)
    if not any(one in found for one in TELLING):
        raise TableError(
            f"{name}: no column says who a row is about (a name, an e-mail address, a phone number, an id); "
            f"{_there(table)}. Name them in a YAML file (`last_name: column`) and pass it with --map."
        )
    return Detected({one: found[one] for one in known.fields if one in found}, notes)


def _there(table: pd.DataFrame) -> str:
    return "the table has: " + ", ".join(map(str, table.columns))


def _plain(header: str) -> str:
    return re.sub(r"[\W_]", "", header.casefold())


def _by_header(table: pd.DataFrame, free: list[str], known: PersonColumns) -> dict[str, str]:
    plain = {column: _plain(column) for column in free}
    found: dict[str, str] = {}
    for one, headers in known.fields.items():
        matches = [column for header in headers for column in free if plain[column] == header]
        if matches:
            found[one] = matches[0]
    return found


def _by_stripped_header(table: pd.DataFrame, free: list[str], known: PersonColumns) -> dict[str, str]:
    header_of = {header: one for one, headers in known.fields.items() for header in headers}
    found: dict[str, str] = {}
    for column in free:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\D)(?=\d)", " ", column)
        words = [word for word in re.split(r"[\W_]+", spaced.casefold()) if word]
        first, last = 0, len(words)
        while first < last and words[first] in known.qualifiers:
            first += 1
        while last > first and words[last - 1] in known.qualifiers:
            last -= 1
        # taking off fewer words keeps more meaning, so that longer remainders are tried first
        spans = [(a, b) for a in range(first + 1) for b in range(len(words), last - 1, -1) if a < b]
        for a, b in sorted(spans, key=lambda span: span[0] - span[1]):
            one = header_of.get("".join(words[a:b]))
            if one is not None and one != "record_id":
                found.setdefault(one, column)
                break
    return found


def _by_content(table: pd.DataFrame, free: list[str], known: PersonColumns) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in free:
        cells = [str(value).strip() for value in table[column].dropna().head(CONTENT_ROWS)]
        for one, pattern in (("email", _MAIL), ("email_sha256", _HASH)):
            if cells and sum(bool(pattern.fullmatch(cell)) for cell in cells) >= CONTENT_SHARE * len(cells):
                found.setdefault(one, column)
    return found


def _drop_useless(table: pd.DataFrame, found: dict[str, list[str]], given: Mapped) -> list[str]:
    """Columns that headers promise more than their cells keep."""
    notes = []
    own = found.get("crm_id")
    if own is not None and "crm_id" not in given and not _joined(table, own).dropna().duplicated().any():
        del found["crm_id"]
        notes.append(f"{own[0]}: every row has a value of its own, so it tells rows, not people; not used")
    key = found.get("record_id")
    if key is not None and "record_id" not in given:
        parts = [*found.get("source", []), *key]
        cells = table[parts]
        if table[key].isna().any(axis=None) or cells.duplicated().any():
            del found["record_id"]
            notes.append(f"{key[0]}: not every row has a value of its own; rows are numbered instead")
    return notes


def person_records(table: pd.DataFrame, columns: Mapping[str, list[str]]) -> pd.DataFrame:
    """The columns that `resolve` knows: renamed, several joined, full names split, parts of dates put
    together.

    Adds record_id (``row 1`` …) where the table has none.
    """
    import pandas as pd

    records = pd.DataFrame({one: _joined(table, parts) for one, parts in columns.items()})
    records = records.reset_index(drop=True)
    if "record_id" not in records:
        records["record_id"] = [f"row {number}" for number in range(1, len(records) + 1)]
    elif "source" in records and records["record_id"].duplicated().any():
        records["record_id"] = records["source"].fillna("") + ":" + records["record_id"].astype(str)
    if "full_name" in records:
        names = [split_full_name(value) for value in records.pop("full_name")]
        for part, values in zip(("first_name", "last_name"), zip(*names, strict=True), strict=False):
            if part not in records:
                records[part] = pd.Series(values, dtype=object)
    parts = [one for one in ("birth_year", "birth_month", "birth_day") if one in records]
    if parts and "birth_date" not in records:
        dates = records[parts].astype(object).map(text)
        whole = dates.notna().all(axis=1) if len(parts) == 3 else pd.Series(False, index=dates.index)
        year = (
            dates["birth_year"] if "birth_year" in parts else pd.Series(None, index=dates.index, dtype=object)
        )
        records["birth_date"] = dates.fillna("").agg("-".join, axis=1).where(whole, year)
    records = records.drop(columns=parts)
    if "house_number" in records or "unit" in records:
        pieces = [one for one in ("house_number", "address", "unit") if one in records]
        records["address"] = _joined(records, pieces)
    return records.drop(columns=["house_number", "unit"], errors="ignore")


def _joined(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The texts of several columns joined by a blank; one column as it is."""
    import pandas as pd

    if len(columns) == 1:
        return table[columns[0]]
    cells = [[text(value) for value in table[column]] for column in columns]
    joined = [" ".join(value for value in row if value) or None for row in zip(*cells, strict=True)]
    return pd.Series(joined, index=table.index, dtype=object)
