"""Canonical forms of identifiers and names; junk and role values become None, never a shared value.

All functions take one raw value and return its canonical form or None. `canonical` applies one of them to the
distinct values of a column, which is what makes the slow ones (phone numbers) affordable.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.phones import country_and_number

if TYPE_CHECKING:
    import pandas as pd

_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\uffff-]+")
_DOMAIN = re.compile(r"(?=.{4,253}$)([\w](?:[\w-]{0,61}[\w])?\.)+[^\W\d_]{2,63}")
_WORDS = re.compile(r"[^\W_]+")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})
LATEST_BIRTH_YEAR = 2099
LONGEST_ID = 200
DOMAINS_KEPT = 100_000
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d/%m/%Y")


def text(value: Any) -> str | None:
    """NFKC text without surrounding blanks, or None for empty and missing values.

    Whole numbers that arrived as floats (a column with gaps read by pandas) lose their ``.0``.
    """
    if not isinstance(value, str):
        if value is None or value != value:  # NaN is not equal to itself
            return None
        value = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if not value.isascii():  # ASCII is NFKC already
        value = unicodedata.normalize("NFKC", value)
    return value.strip() or None


def fold(value: str) -> str:
    """Lower-case letters, digits and single blanks, umlauts written out, other accents dropped."""
    plain = value.lower() if value.isascii() else unicodedata.normalize("NFC", value).casefold()
    if not plain.isascii():
        plain = plain.translate(_UMLAUTS)
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return " ".join(_WORDS.findall(plain))


class Normaliser:
    """The rules of ``identity.yml`` as functions of one value."""

    def __init__(self, rules: Identity) -> None:
        self.rules = rules
        self._junk_ids = {value.casefold() for value in rules.junk_ids}
        self._roles = {value.casefold() for value in rules.email.role_names}
        self._junk_mails = {value.casefold() for value in rules.email.junk_values}
        self._no_domains = {*rules.email.junk_domains, *rules.email.own_domains}
        self._dots, self._plus = set(rules.email.ignore_dots), set(rules.email.ignore_plus)
        self._junk_names = {fold(value) for value in rules.names.junk}
        self._titles = set(rules.names.titles)
        self._home, self.own_numbers = rules.phone.default_region, set(rules.phone.own_numbers)
        # few domains have most of the addresses
        self.domain = lru_cache(DOMAINS_KEPT)(self._domain)

    def identifier(self, value: Any) -> str | None:
        """An opaque id as text; None for placeholders, runs of zeros, and those above `LONGEST_ID`."""
        found = text(value)
        if found is None or len(found) > LONGEST_ID or found.casefold() in self._junk_ids:
            return None
        return found if found.strip("0-") else None

    def email(self, value: Any) -> str | None:
        """The mailbox behind an address: lower case, misspelt providers corrected, folding per provider."""
        found = text(value)
        if found is None or found.count("@") != 1:
            return None
        local, _, said = found.casefold().removeprefix("mailto:").partition("@")
        domain = self.domain(said)
        if domain is None or not _LOCAL.fullmatch(local):
            return None
        bare = local.partition("+")[0]
        if domain in self._plus:
            local = bare
        if bare in self._roles:
            return None
        if domain in self._dots:
            local = local.replace(".", "")
        mail = f"{local}@{domain}"
        return mail if local and mail not in self._junk_mails else None

    def _domain(self, said: str) -> str | None:
        """The domain of mailboxes that was meant, or None if there is none, or nobody's own."""
        rules = self.rules.email
        name, _, ending = said.rstrip(".").rpartition(".")
        domain = f"{name}.{rules.misspelt_endings.get(ending, ending)}"
        domain = rules.misspelt.get(domain, domain)
        domain = rules.same_domain.get(domain, domain)
        return domain if _DOMAIN.fullmatch(domain) and domain not in self._no_domains else None

    def email_digest(self, value: Any) -> str | None:
        """A SHA-256 digest that a source delivered instead of an address, as lower-case hexadecimal."""
        found = text(value)
        return found.lower() if found and _HEX64.fullmatch(found.lower()) else None

    @staticmethod
    def as_hashed_by_vendors(value: Any) -> str | None:
        """The spelling that vendors hash: trimmed and in lower case, otherwise as written."""
        found = text(value)
        return found.lower() if found and "@" in found else None

    def phone(self, value: Any, region: Any = None) -> str | None:
        """An E.164 number; `region` (two letters) reads numbers without a country code."""
        found = text(value)
        if found is None:
            return None
        said = country_and_number(found, self.region(region))
        if said is None:
            return None
        code, national = said
        number = f"+{code}{national}"
        digits = national.lstrip("0")
        is_junk = digits in self.junk_digits or number in self.own_numbers
        return None if is_junk or len(set(digits)) <= 2 else number

    def region(self, said: Any) -> str:
        """The country whose numbers are meant where a number does not say it: the shop's own by default."""
        place = (text(said) or "").upper() if said is not None else ""
        return place if len(place) == 2 else self._home

    @cached_property
    def junk_digits(self) -> set[str]:
        return {value.lstrip("0") for value in self.rules.phone.junk_digits}

    @cached_property
    def placeholder_digits(self) -> set[str]:
        return {value.replace("-", "") for value in self.rules.birth_dates.placeholders}

    def name(self, value: Any) -> str | None:
        """A folded name without titles; None for placeholders. Parts stay separated by blanks."""
        found = text(value)
        if found is None:
            return None
        folded = fold(found)
        if folded in self._junk_names:
            return None
        parts = [part for part in folded.split() if part not in self._titles and not part.isdigit()]
        if not parts or (len(parts) == 1 and parts[0] in self._junk_names):
            return None
        return " ".join(parts)

    def first_name(self, value: Any) -> str | None:
        """The first given name (``Anna Maria`` and ``Anna-Maria`` give ``anna``)."""
        found = self.name(value)
        return found.split()[0] if found else None

    def birth_date(self, value: Any) -> str | None:
        """An ISO date; None for placeholders and impossible years."""
        if isinstance(value, dt.date) and value == value:  # also datetime and pandas Timestamp, but not NaT
            found = value.strftime("%Y-%m-%d")
        else:
            parsed = _parse_date(text(value))
            if parsed is None:
                return None
            found = parsed.isoformat()
        if found in self.rules.birth_dates.placeholders:
            return None
        year = int(found[:4])
        return found if self.rules.birth_dates.earliest_year <= year <= LATEST_BIRTH_YEAR else None


def digits_of_date(value: str) -> str | None:
    """Digits of a date as it is written, impossible ones too: slips of the pen are compared."""
    digits = "".join(letter for letter in value if letter.isdigit())
    return digits if 6 <= len(digits) <= 9 else None


def _parse_date(value: str | None) -> dt.date | None:
    if value is None:
        return None
    day = value.partition("T")[0].partition(" ")[0]
    if _ISO_DATE.fullmatch(day):
        try:
            return dt.date.fromisoformat(day)
        except ValueError:
            return None
    for pattern in _DATE_FORMATS:
        try:
            return dt.datetime.strptime(day, pattern).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None


def canonical(column: pd.Series, function: Callable[[Any], str | None]) -> pd.Series:
    """Apply a normaliser to the distinct values of a column; missing results are None (dtype object)."""
    import pandas as pd

    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    found = [function(value) for value in distinct.tolist()]
    lookup = pd.Series([*found, None], dtype=object).to_numpy()
    return pd.Series(lookup[codes], index=column.index, dtype=object)
