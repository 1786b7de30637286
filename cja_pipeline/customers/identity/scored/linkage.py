"""The table that is compared: cleaned names, dates, addresses and identifiers of person records."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.normalise import Normaliser, canonical, fold, text
from cja_pipeline.customers.identity.prepare import Prepared

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 0.02  # a column filled less than this says too little to be compared
START = 2  # letters of a name that survive most slips of the pen
PERSONAL = ("first_name", "birth_date")  # what tells the people of one household apart
COLUMNS = ("first_name", "last_name", "birth_date", "email", "address", "postcode", "city")


def linkage_table(
    records: pd.DataFrame, prepared: Prepared, uses: pd.DataFrame, rules: Identity
) -> pd.DataFrame:
    """Clean the columns of person records for comparison.

    Args:
        records: record_id and any of `COLUMNS`; missing values are None or NaN.
        prepared: the same records with their keyed identifiers. uses: the identifiers that may join records
            (``deterministic.weigh``); junk, and what crowds or nameless records share, is left out.

    Returns:
        One row per record in the order of `prepared.people`: unique_id (0…n-1), first_name, last_name,
        first_roots (the name and the groups of short forms it belongs to), first_start, last_start,
        birth_date (digits), birth_swapped (day and month exchanged), birth_digits (sorted), email, email_key,
        phones (list of keys), address, postcode, city. Texts are folded; missing is None.
    """
    import pandas as pd

    normaliser = Normaliser(rules)
    frame = records.assign(record_id=records["record_id"].astype(str)).set_index("record_id")
    frame = frame.reindex(index=prepared.people["record_id"], columns=list(COLUMNS)).reset_index(drop=True)
    short_forms = _short_forms(rules)
    first = canonical(frame["first_name"], normaliser.name)
    birth = canonical(frame["birth_date"], lambda value: _digits(normaliser, value))
    # a valid date that `prepare` did not keep is a form's default
    dropped = (
        prepared.people["birth_date"].isna() & canonical(frame["birth_date"], normaliser.birth_date).notna()
    )
    birth = birth.where(~dropped, None)
    keys = {kind: part.groupby("row")["key"] for kind, part in uses.groupby("kind")}
    emails = keys["email"].min() if "email" in keys else pd.Series(dtype=object)
    phones = keys["phone"].agg(sorted) if "phone" in keys else pd.Series(dtype=object)
    email_key = emails.reindex(frame.index)
    table = pd.DataFrame(
        {
            "unique_id": range(len(frame)),
            "first_name": first,
            "last_name": canonical(frame["last_name"], normaliser.name),
            "first_roots": [None if name is None else _roots(name, short_forms) for name in first],
            "birth_date": birth,
            "birth_swapped": [None if value is None else _swapped(value) for value in birth],
            "birth_digits": [None if value is None else "".join(sorted(value)) for value in birth],
            "email": canonical(frame["email"], normaliser.email).where(email_key.notna(), None),
            "email_key": email_key,
            "phones": phones.reindex(frame.index),
            "address": canonical(frame["address"], _folded),
            "postcode": canonical(frame["postcode"], _folded),
            "city": canonical(frame["city"], _folded),
        }
    )
    for column in ("first_name", "last_name"):
        table[column.replace("name", "start")] = table[column].str[:START]
    for column in table.columns.drop("unique_id"):
        # NaN is a value to a database, and equal to itself there
        table[column] = pd.Series(
            [value if isinstance(value, str | list) else None for value in table[column]], dtype=object
        )
    return table


def filled(table: pd.DataFrame) -> set[str]:
    """Columns that are filled often enough to be compared."""
    return {column for column in table.columns if table[column].notna().mean() >= ENOUGH}


def _folded(value: Any) -> str | None:
    found = text(value)
    return (fold(found) or None) if found else None


def _digits(normaliser: Normaliser, value: Any) -> str | None:
    """Digits of a birth date; those of an impossible one are kept, because slips of the pen are compared."""
    found = normaliser.birth_date(value)
    raw = found or text(value) or ""
    digits = "".join(letter for letter in raw if letter.isdigit())
    if found is None and digits in {
        date.replace("-", "") for date in normaliser.rules.birth_dates.placeholders
    }:
        return None
    return digits if 6 <= len(digits) <= 9 else None


def _swapped(digits: str) -> str:
    return digits[:4] + digits[6:8] + digits[4:6] if len(digits) == 8 else digits


def _short_forms(rules: Identity) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(rules.names.nicknames):
        for name in line:
            found[fold(name)].append(f"#{number}")
    return found


def _roots(name: str, short_forms: dict[str, list[str]]) -> list[str]:
    first = name.split()[0]
    return sorted({first, *short_forms.get(first, [])})
