"""How people spell themselves at each place: names, addresses, e-mails and numbers with all their noise.

The spelling of a person depends on nothing but the person, the place and the seed, so every vendor of the
world shows the same person differently but consistently.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np

from .email import provider_of
from .life import Life
from .names import (
    CITIES,
    NICKNAMES,
    base36,
    first_name,
    landline_number,
    last_name,
    local_part,
    mobile_number,
    postcode,
    street_name,
    typo,
)

JUNK_EMAILS = ["test@test.com", "noreply@nordlicht-outdoor.example", "asdf@asdf.de", "unknown@unknown.com"]
JUNK_EMAILS += ["info@example.com", "n/a"]
JUNK_PHONES = ["0000000000", "+49123456", "12345", "999999999", "unknown"]
_TYPO_DOMAINS = {
    "gmail.com": "gmial.com",
    "web.de": "wbe.de",
    "gmx.de": "gmx.dee",
    "outlook.com": "outlok.com",
}
_EPOCH = dt.date(1970, 1, 1)


def draw(person: int, salt: int) -> int:
    """A reproducible non-negative number for a person and a purpose."""
    x = (person * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 30)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (x ^ (x >> 31)) >> 3


def chance(person: int, salt: int, share: float) -> bool:
    """True for the given share of people."""
    return draw(person, salt) % 1_000_000 < share * 1_000_000


class Identities:
    """The names and numbers of the people of one world; `email` and friends take person ids."""

    def __init__(self, life: Life, needed: np.ndarray) -> None:
        self.life, self.noise = life, life.config.noise
        self.spelled = needed
        self.codes = list(life.config.countries)
        self.countries = list(life.config.countries.values())
        people = life.people
        self._columns = {
            name: people[name].tolist()
            for name in ("country", "city", "woman", "first", "last", "street", "house", "household", "birth")
        }
        providers = list(life.config.email.providers)
        self._provider = [providers[i] for i in provider_of(life.config, people["person"]).tolist()]
        self._email: dict[int, str] = {}
        self._second: dict[int, str] = {}
        taken: set[str] = set()
        for person in needed.tolist():
            self._spell(person, taken)

    def _spell(self, person: int, taken: set[str]) -> None:
        first, last = self.name(person)
        born = 1970 + self._columns["birth"][person] // 365
        local = local_part(first, last, draw(person, 1), born)
        address = f"{local}@{self._provider[person]}"
        if address in taken:
            address = f"{local}.{base36(person, 4)}@{self._provider[person]}"
        taken.add(address)
        self._email[person] = address
        if chance(person, 2, self.noise["second_email"]):
            surname = local_part(first, last, 0, born).split(".", 1)[1]
            company = f"firma-{person % 400}.example"
            self._second[person] = f"{first[0].lower()}.{surname}{person % 97}@{company}"

    def language(self, person: int) -> str:
        return self.countries[self._columns["country"][person]].language

    def country(self, person: int) -> str:
        return self.codes[self._columns["country"][person]]

    def name(self, person: int) -> tuple[str, str]:
        """True first and last name."""
        columns, language = self._columns, self.language(person)
        return first_name(language, columns["woman"][person], columns["first"][person]), last_name(
            language, columns["last"][person]
        )

    def name_at(self, person: int, place: int) -> tuple[str, str]:
        """First and last name as written at a place (1 CRM, 2 duplicate, 3 e-mail tool, 4 social)."""
        first, last = self.name(person)
        if first in NICKNAMES and chance(
            person, 10 + place, self.noise["nickname"] * (6 if place == 2 else 1)
        ):
            first = NICKNAMES[first]
        if chance(person, 20 + place, self.noise["name_typo"] * (5 if place == 2 else 1)):
            last = typo(last, draw(person, 30 + place))
        style = draw(person, 40 + place) % 40
        return (
            (first.upper(), last.upper())
            if style == 0
            else (first.lower(), last.lower())
            if style == 1
            else (first, last)
        )

    def email(self, person: int) -> str:
        """The private address, as its owner knows it."""
        return self._email[person]

    def second_email(self, person: int) -> str | None:
        """The address at work, for those who use one."""
        return self._second.get(person)

    def email_at(self, person: int, place: int) -> str:
        """Address as written at a place: (0 order, 1 CRM, 2 duplicate, 3 e-mail tool)."""
        head = self._columns["household"][person]
        if place == 1 and chance(person, 50, self.noise["junk_email"]):
            return JUNK_EMAILS[draw(person, 51) % len(JUNK_EMAILS)]
        if (
            place == 1
            and head != person
            and head in self._email
            and chance(person, 52, self.noise["shared_email"] * 2)
        ):
            return self._email[head]
        address = self._email[person]
        if person in self._second and (place == 2 or chance(person, 53 + place, 0.3)):
            address = self._second[person]
        domain = address.split("@")[1]
        if domain in _TYPO_DOMAINS and chance(person, 60 + place, self.noise["email_typo"]):
            return address.split("@")[0] + "@" + _TYPO_DOMAINS[domain]
        if place == 2 and chance(person, 64, 0.2):
            return address.replace("@", "+shop@")
        style = draw(person, 70 + place) % 24
        if style == 0:
            return address.upper()
        return address[0].upper() + address[1:] if style < 3 else " " + address if style == 3 else address

    def mobile(self, person: int) -> str:
        """True mobile number in international form."""
        return mobile_number(self.country(person), person)

    def phone_at(self, person: int, place: int) -> str | None:
        """Number as written at a place, or None where none was given."""
        if chance(person, 80 + place, self.noise["phone_missing"]):
            return None
        if place == 1 and chance(person, 85, self.noise["junk_phone"]):
            return JUNK_PHONES[draw(person, 86) % len(JUNK_PHONES)]
        number = self.mobile(person)
        if place != 3 and chance(person, 87, self.noise["landline"]):
            number = landline_number(self.country(person), self._columns["household"][person])
        elif (
            person > 9
            and chance(person, 88, self.noise["recycled_phone"])
            and self.country(person - 7) == self.country(person)
        ):
            number = self.mobile(person - 7)
        if place == 3:
            return number
        prefix = self.countries[self._columns["country"][person]].prefix
        national = number.removeprefix(prefix)
        style = draw(person, 90 + place) % 6
        if style == 0:
            return f"0{national[:3]} {national[3:]}"
        if style == 1:
            return f"00{prefix[1:]}{national}"
        if style == 2:
            return f"{prefix} {national[:3]} {national[3:6]} {national[6:]}"
        return f"0{national[:3]}/{national[3:]}" if style == 3 else number

    def birth_date(self, person: int) -> str:
        """True date of birth, ISO."""
        return (_EPOCH + dt.timedelta(days=self._columns["birth"][person])).isoformat()

    def address(self, person: int, moved: bool = False) -> tuple[str, str, str]:
        """(street and number, postcode, city); `moved`: after the person moved within the country."""
        columns, country = self._columns, self.country(person)
        cities = CITIES[country]
        city = (columns["city"][person] + moved * 3) % len(cities)
        street = street_name(
            self.language(person), columns["street"][person] + moved * 7, columns["house"][person] + moved
        )
        return street, postcode(country, city, columns["household"][person] + moved), cities[city][0]

    def loyalty_id(self, person: int) -> str:
        """Number on the loyalty card."""
        return f"{person * 104_729 % 10_000_000_019:012d}"


def referral_code(person: int) -> str:
    """The code a customer gives to friends."""
    return f"NORD-{base36(person * 7_919 % 60_466_176, 5).upper()}"


def sha256(address: str) -> str:
    """Hash of an address as e-mail tools make it: trimmed and in lower case."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()
