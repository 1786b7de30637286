"""The table that is compared: cleaned names, dates, addresses and identifiers of any person records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.normalise import Normaliser, canonical, fold, text
from cja_pipeline.customers.identity.scored.linkage import LISTS
from cja_pipeline.customers.identity.scored.train import default_dates
from cja_pipeline.customers.identity.values import usable
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ENOUGH = 0.02  # a column filled less than this says too little to be compared
START = 2  # letters of a name that survive most slips of the pen
CROWD = 20  # an id of more records than this is a placeholder
FURTHER = ("middle_name", "gender", "national_id", "birth_place")  # columns that the warehouse does not have
PERSONAL = ("first_name", "birth_year")  # what tells the people of one household apart
GENDERS = {
    "m": "m",
    "f": "f",
    "w": "f",
    "h": "m",
}  # by first letter: male, man, maennlich, female, woman, homme
GENDER_WORDS = {"femme": "f", "frau": "f", "herr": "m", "mujer": "f", "1": "1", "2": "2"}
# endings and words that are written in full or short
STREET_WORDS = {
    "street": "st",
    "str": "st",
    "strasse": "st",
    "road": "rd",
    "avenue": "ave",
    "av": "ave",
    "boulevard": "blvd",
    "drive": "dr",
    "lane": "ln",
    "court": "ct",
    "place": "pl",
    "platz": "pl",
    "circuit": "cct",
    "crescent": "cres",
    "terrace": "tce",
    "parade": "pde",
    "highway": "hwy",
    "parkway": "pkwy",
    "circle": "cir",
    "square": "sq",
    "apartment": "apt",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
}


def linkage_table(wh: Warehouse, rules: Identity, given: pd.DataFrame) -> pd.DataFrame:
    """Clean columns for comparison, from the identity tables of a warehouse and the columns they do not have.

    Args:
        wh: with identity_records, identity_keys and identity_values of these records.
        given: the same records: record_key, birth_date as `dates.read_dates` leaves it, address, and any of
            middle_name, gender, national_id, birth_place.

    Returns:
        One row per record in the order of record_key: unique_id (0…n-1), node, record_key, crm, given, born
        (of identity_records), first_name, last_name, middle_name, first_roots (the name and the groups of
        short forms it belongs to), birth_date (digits), birth_year, birth_swapped (day and month exchanged),
        gender, email, emails, phones, cards (lists of keys that may join), national_id, address, postcode,
        city, birth_place, and for blocks: first_start, last_start, starts (both, in alphabetical order),
        birth_digits (sorted). Texts are folded; missing is None.
    """
    import pandas as pd

    of = Normaliser(rules)
    table = wh.df(
        "SELECT node, record_key, CAST(crm AS VARCHAR) AS crm, given, born, first_name, last_name, email,"
        " postcode, city FROM customers.identity_records ORDER BY record_key"
    )
    frame = given.set_index("record_key").reindex(table["record_key"]).reset_index(drop=True)
    nothing = pd.Series(None, index=frame.index, dtype=object)

    def column(name: str, function: Callable[[Any], str | None]) -> pd.Series:
        return canonical(frame[name], function) if name in frame else nothing

    defaults = {date.replace("-", "") for date in default_dates(wh, rules, ())} | of.placeholder_digits
    birth = column("birth_date", lambda value: _digits(value, defaults))
    is_whole = birth.map(lambda value: isinstance(value, str) and len(value) > 4)
    roots = _short_forms(rules)
    table["middle_name"] = column("middle_name", of.name)
    table["first_roots"] = table["given"].map(lambda name: _roots(name, roots))
    table["birth_year"] = birth.map(lambda value: value[:4] if isinstance(value, str) else None)
    table["birth_date"] = birth.where(is_whole, None)
    table["birth_swapped"] = table["birth_date"].map(_swapped)
    table["birth_digits"] = table["birth_date"].map(
        lambda v: "".join(sorted(v)) if isinstance(v, str) else None
    )
    table["gender"] = column("gender", _gender)
    table["national_id"] = _uncrowded(column("national_id", lambda value: _id(value, of)))
    table["address"] = column("address", _address)
    table["birth_place"] = column("birth_place", _folded)
    for name in ("first", "last"):
        table[f"{name}_start"] = table[f"{name}_name"].map(
            lambda v: v[:START] if isinstance(v, str) else None
        )
    pairs = zip(table["first_start"], table["last_start"], strict=True)
    table["starts"] = [
        " ".join(sorted(two)) if all(isinstance(v, str) for v in two) else None for two in pairs
    ]
    _add_identifiers(wh, rules, table)
    for name in table.columns.drop("node"):
        # NaN is a value to a database, and equal to itself there
        table[name] = pd.Series(
            [value if isinstance(value, str | list) else None for value in table[name]], dtype=object
        )
    table.insert(0, "unique_id", range(len(table)))
    return table


def _add_identifiers(wh: Warehouse, rules: Identity, table: pd.DataFrame) -> None:
    """Add emails, phones and cards; a mailbox that goes with many numbers, or the reverse, is nobody's
    own."""
    carried = wh.df(
        f"SELECT node, kind, CAST(key AS VARCHAR) AS key FROM ({usable(rules)}) ORDER BY node, kind, key"
    )
    carried = carried[carried["kind"].isin(list(LISTS))]
    both = carried.merge(carried, on="node", suffixes=("", "_other"))
    both = both[both["kind"] != both["kind_other"]]
    seen_with = (
        both.groupby(["kind", "key", "kind_other"])["key_other"].nunique().groupby(["kind", "key"]).max()
    )
    crowds = {key for (kind, key), others in seen_with.items() if others > rules.identifiers[kind].max_people}
    kept = carried[~carried["key"].isin(crowds)]
    lists = kept.groupby(["kind", "node"])["key"].agg(list)
    for kind, name in LISTS.items():
        mine = lists.loc[kind] if kind in lists.index.get_level_values(0) else None
        table[name] = None if mine is None else table["node"].map(mine)
    usable_mail = table["emails"].notna()
    table["email"] = table["email"].where(usable_mail, None)


def arrow(table: pd.DataFrame) -> pa.Table:
    """The columns that Splink compares, with lists as lists."""
    import pyarrow as pa

    compared = table.drop(columns=["node", "record_key", "crm", "born"])
    types = {name: pa.list_(pa.string()) for name in (*LISTS.values(), "first_roots")}
    return pa.table(
        {
            name: pa.array(compared[name].tolist(), types.get(name, pa.string()))
            if name != "unique_id"
            else pa.array(compared[name])
            for name in compared
        }
    )


def filled(table: pd.DataFrame) -> set[str]:
    """Columns that are filled often enough to be compared."""
    return {column for column in table.columns if table[column].notna().mean() >= ENOUGH}


def _folded(value: Any) -> str | None:
    found = text(value)
    return (fold(found) or None) if found else None


def _address(value: Any) -> str | None:
    """Folded, long forms of common words shortened."""
    found = _folded(value)
    if found is None:
        return None
    words = []
    for word in found.split():
        if word not in STREET_WORDS and word.endswith(("strasse", "str")):
            words += [word.removesuffix("asse").removesuffix("str") or word, "st"]
        else:
            words.append(STREET_WORDS.get(word, word))
    return " ".join(words)


def _gender(value: Any) -> str | None:
    found = _folded(value)
    return None if found is None else GENDER_WORDS.get(found) or GENDERS.get(found[0])


def _id(value: Any, normaliser: Normaliser) -> str | None:
    found = normaliser.identifier(value)
    plain = "".join(letter for letter in found or "" if letter.isalnum()).casefold()
    return plain if len(plain) >= 4 and len(set(plain)) > 1 else None


def _uncrowded(column: pd.Series) -> pd.Series:
    return column.where(column.map(column.value_counts()).fillna(0) <= CROWD, None)


def _digits(value: Any, defaults: set[str]) -> str | None:
    """Digits of a date, year first; those of an impossible date too, because slips of the pen are
    compared."""
    digits = "".join(letter for letter in text(value) or "" if letter.isdigit())
    return digits if 4 <= len(digits) <= 9 and digits not in defaults else None


def _swapped(digits: Any) -> str | None:
    if not isinstance(digits, str):
        return None
    return digits[:4] + digits[6:8] + digits[4:6] if len(digits) == 8 else digits


def _short_forms(rules: Identity) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(rules.names.nicknames):
        for name in line:
            found[fold(name)].append(f"#{number}")
    return found


def _roots(name: Any, short_forms: dict[str, list[str]]) -> list[str] | None:
    if not isinstance(name, str):
        return None
    first = name.split()[0]
    return sorted({first, *short_forms.get(first, [])})
