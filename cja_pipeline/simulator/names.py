"""Made-up names, streets and places, and how an address or a number is spelled from them.

All people are invented. Numbers follow the numbering plan of the country, so that validators accept them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

_POOLS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "names.yml").read_text(encoding="utf-8"))
FIRST: dict[tuple[str, bool], list[str]] = {
    (language, women): _POOLS["first"][f"{language}_{'women' if women else 'men'}"]
    for language in ("de", "en")
    for women in (True, False)
}
LAST: dict[str, list[str]] = {
    language: _POOLS["last"][language]
    + [stem + end for stem in _POOLS["stems"][language] for end in _POOLS["endings"][language]]
    for language in ("de", "en")
}
NICKNAMES: dict[str, str] = _POOLS["nicknames"]
STREETS: dict[str, list[str]] = _POOLS["streets"]
# name of the city, first digits of its postcodes
CITIES: dict[str, list[tuple[str, str]]] = {
    code: list(cities.items()) for code, cities in _POOLS["cities"].items()
}
_FOLD = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ı": "i", "ć": "c", "'": "", "~": "", " ": ""}
)


def first_name(language: str, woman: bool, draw: int) -> str:
    """A first name; `draw` is any non-negative number."""
    pool = FIRST[language, bool(woman)]
    return pool[draw % len(pool)]


def last_name(language: str, draw: int) -> str:
    """A surname; `draw` is any non-negative number."""
    pool = LAST[language]
    return pool[draw % len(pool)]


def street_name(language: str, draw: int, house: int) -> str:
    """Street and house number in the order of the country."""
    pool = STREETS[language]
    street = pool[draw % len(pool)]
    return f"{street} {house}" if language == "de" else f"{house} {street}"


def postcode(country: str, city: int, household: int) -> str:
    """A postcode of the city, the same for the whole household."""
    start = CITIES[country][city][1]
    if country == "GB":
        return f"{start}{household % 9 + 1}{'ABDEF'[household % 5]}{'GHJLN'[household // 5 % 5]}"
    if country == "NL":
        return f"{start}{household % 10} {'ABCDE'[household % 5]}{'KLMNP'[household // 5 % 5]}"
    return start + str(household % 97 % (10 ** (5 - len(start) if country == "DE" else 2))).zfill(
        (5 if country == "DE" else 4) - len(start)
    )


def local_part(first: str, last: str, draw: int, birth_year: int) -> str:
    """The part of an e-mail address before the @, in one of the usual fashions."""
    f, s = first.lower().translate(_FOLD), last.lower().translate(_FOLD)
    style = draw % 8
    return [
        f"{f}.{s}", f"{f}.{s}{birth_year % 100:02d}", f"{f}{s}{draw % 89 + 10}", f"{f[0]}.{s}",
        f"{s}.{f}", f"{f}_{s}", f"{f}{birth_year}", f"{f[0]}{s}{draw // 8 % 899 + 100}",
    ][style]  # fmt: skip


def mobile_number(country: str, person: int) -> str:
    """A mobile number in international form, one for each person id."""
    mixed = person * 7_368_787 % 9_999_991
    if country == "DE":
        return (
            f"+4917{(0, 2, 3, 6, 7, 8, 9)[person % 7]}{mixed:07d}"
            if person % 2
            else f"+49151{mixed:07d}{person % 10}"
        )
    if country == "AT":
        return f"+43664{mixed:07d}"
    if country == "CH":
        return f"+417{(6, 8, 9)[person % 3]}{mixed % 8_999_999 + 1_000_000:07d}"
    if country == "GB":
        return f"+447{400 + person % 99}{mixed % 1_000_000:06d}"
    return f"+316{(1, 2, 3, 4, 5)[person % 5]}{mixed:07d}"


def landline_number(country: str, household: int) -> str:
    """The number of the household, in international form."""
    mixed = household * 3_571_793 % 8_999_993 + 1_000_000
    area = {"DE": "+4930", "AT": "+431", "CH": "+4144", "GB": "+442079", "NL": "+3120"}[country]
    return area + str(mixed)[: 6 if country == "GB" else 7]


def typo(word: str, draw: int) -> str:
    """One slip of the finger: two neighbours swapped, one letter lost or doubled."""
    if len(word) < 4:
        return word
    at = 1 + draw % (len(word) - 2)
    kind = draw // 7 % 3
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def base36(value: int, width: int) -> str:
    """`value` in lower-case letters and digits, padded to `width`."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while value:
        value, digit = divmod(value, 36)
        text = digits[digit] + text
    return text.rjust(width, "0")[-width:]


def mix(values: np.ndarray, salt: int) -> np.ndarray:
    """64-bit hash of integers (splitmix64): reproducible ids that look random."""
    x = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 & (2**64 - 1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
