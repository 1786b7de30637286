"""What in a table could not be used: columns that nobody recognised, values that say nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.normalise import Normaliser, canonical
from cja_pipeline.customers.identity.tabular.dates import read_dates

if TYPE_CHECKING:
    import pandas as pd

PLACES = 3  # rows that are named per column


def unused(table: pd.DataFrame, columns: Mapping[str, list[str]], truth: str | None) -> list[str]:
    """A note that names the columns that hold no field."""
    if not columns:
        return []
    used = {truth, *(name for names in columns.values() for name in names)}
    left = [str(name) for name in table.columns if name not in used]
    return [f"not used: {', '.join(left)} (a YAML file with --map says what a column holds)"] if left else []


def unread(table: pd.DataFrame, columns: Mapping[str, list[str]]) -> list[str]:
    """A note per column with values that are no address, number or date, or nobody's own (`noreply@`, zeros).

    They are treated as missing. Rows are counted from 1, without the header.
    """
    of = Normaliser(config.identity())
    rules: dict[str, tuple[str, Callable[[Any], str | None]]] = {
        "email": ("no e-mail address of a person", of.email),
        "email_sha256": ("no SHA-256 of an address", of.email_digest),
        "phone": ("no phone number of a person", of.phone),
        "mobile": ("no phone number of a person", of.phone),
        "birth_date": ("no possible birth date", of.birth_date),
    }
    notes = []
    for field, (what, rule) in rules.items():
        if len(columns.get(field, [])) != 1:
            continue
        column = table[columns[field][0]]
        read = read_dates(column, _source(table, columns)) if field == "birth_date" else column
        lost = column.notna() & canonical(read, rule).isna()
        if lost.any():
            rows = [str(place + 1) for place in lost.to_numpy().nonzero()[0][: PLACES + 1].tolist()]
            named = ", ".join(rows[:PLACES]) + (" …" if len(rows) > PLACES else "")
            share = f"{int(lost.sum()):,} of {int(column.notna().sum()):,} values"
            notes.append(
                f"column {columns[field][0]!r}: {share} are {what} and count as missing (row {named})"
            )
    return notes


def _source(table: pd.DataFrame, columns: Mapping[str, list[str]]) -> pd.Series | None:
    return table[columns["source"][0]] if len(columns.get("source", [])) == 1 else None
