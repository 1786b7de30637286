"""A world for measuring identity resolution: records and cookies of many people, and who they truly are.

Beside the simulated shop, which has every vendor's format, this one is only about who is who, so that a
million people take a minute. Its noise is data (``identity_noise.yml``); the same arguments give the same
world.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from . import identity_names as names
from .columns import rng_for
from .identity_devices import make_links

NOISE = Path(__file__).parent / "identity_noise.yml"
BASE_DAY = np.datetime64("1930-01-01")
KINDS = {"crm": "contact", "duplicate": "contact"}
SECOND = {"crm": ("duplicate", "duplicate_contact"), "account": ("double", "double_account")}
SYSTEMS = {"crm": "crm", "duplicate": "crm", "double": "account", "subscriber": "email"}


@dataclass(frozen=True)
class IdentityWorld:
    """records: record_key, source, kind, the columns of ``identity.resolve`` and `seen` (order of arrival).
    persons: true person per record (row by row). links: visitor_id, record_key, weight, seen: logins and
    orders on a cookie. devices: visitor_id, logins, logins_per_hour, owner (true person, -1 for machines),
    home (household that shares it, else -1). households: household per person."""

    records: pd.DataFrame
    persons: np.ndarray
    links: pd.DataFrame
    devices: pd.DataFrame
    households: np.ndarray
    noise: dict[str, Any]


@dataclass
class People:
    """Columns per person, as numbers into pools and as texts."""

    first: np.ndarray
    last: np.ndarray
    older_last: np.ndarray
    birth: np.ndarray
    household: np.ndarray
    head: np.ndarray
    size: np.ndarray
    street: np.ndarray
    older_street: np.ndarray
    postcode: np.ndarray
    city: np.ndarray
    email: np.ndarray
    landline: np.ndarray
    couple: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def noise() -> dict[str, Any]:
    """The world's parameters, to be published with every figure."""
    found: dict[str, Any] = yaml.safe_load(NOISE.read_text(encoding="utf-8"))
    return found


def make_world(persons: int, seed: int = 7) -> IdentityWorld:
    """Make a world of so many people."""
    rules = noise()
    people = _people(persons, seed, rules)
    parts = []
    for source, share in rules["sources"].items():
        rng = rng_for(seed, f"source {source}")
        parts.append(_source(people, source, np.flatnonzero(rng.random(persons) < share), rng, rules))
        second = SECOND.get(source)
        if second is not None:
            kind, share_of_people = second[0], rules[second[1]]
            mine = parts[-1]["person"]
            twice = mine[rng.random(len(mine)) < share_of_people / share]
            parts.append(_source(people, kind, twice, rng, rules))
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rng = rng_for(seed, "order")
    order = rng.permutation(len(table["person"]))
    table = {name: values[order] for name, values in table.items()}
    table["seen"] = np.arange(len(order))
    _crm_keys(table, persons, rng, rules)
    person = table.pop("person")
    records = pd.DataFrame(table)
    links, devices = make_links(records, person, people, seed, rules)
    return IdentityWorld(records, person, links, devices, people.household, rules)


def _people(n: int, seed: int, rules: dict[str, Any]) -> People:
    rng = rng_for(seed, "people")
    sizes = names.draw(rng, np.array(rules["household_sizes"]), n) + 1
    head = np.repeat(np.cumsum(sizes) - sizes, sizes)[:n]
    size = np.bincount(head, minlength=n)[head]
    is_head = head == np.arange(n)
    first_pool, first_share = names.pool("first", seed)
    last_pool, last_share = names.pool("last", seed)
    street_pool, street_share = names.pool("street", seed)
    first, last = names.draw(rng, first_share, n), names.draw(rng, last_share, n)
    same = is_head | (rng.random(n) < rules["same_surname"])
    last = np.where(same, last[head], last)
    birth = rng.integers(0, 27_500, n)
    twin = ~is_head & (rng.random(n) < rules["twins"])
    birth[twin], last[twin] = birth[head[twin]], last[head[twin]]
    junior = ~is_head & ~twin & (rng.random(n) < rules["junior"])
    first[junior], last[junior] = first[head[junior]], last[head[junior]]
    birth[junior] = np.clip(birth[head[junior]] + rng.integers(7_500, 12_000, junior.sum()), 0, 29_000)
    older = np.where(rng.random(n) < rules["married_name"], names.draw(rng, last_share, n), last)
    city_names, starts = names.towns()
    city = rng.integers(0, len(starts), n)[head]
    area = rng.integers(0, 97, n)[head]
    codes = [
        starts[c] + str(a).zfill(2)[-(5 - len(starts[c])) :]
        for c, a in zip(city.tolist(), area.tolist(), strict=True)
    ]
    street = names.draw(rng, street_share, n)[head]
    house = rng.integers(1, 140, n)[head]
    address = np.array(
        [f"{s} {h}" for s, h in zip(street_pool[street].tolist(), house.tolist(), strict=True)], dtype=object
    )
    moved = (rng.random(n) < rules["moved"])[head]
    elsewhere = address[rng.permutation(n)]
    first_text, last_text = first_pool[first], last_pool[last]
    return People(
        first=first_text, last=last_text, older_last=last_pool[older], birth=birth, household=head, head=head,
        size=size, street=address, older_street=np.where(moved, elsewhere, address),
        postcode=np.array(codes, dtype=object), city=city_names[city],
        email=names.addresses(first_text, last_text, rng),
        landline=(rng.random(n) < rules["phones"]["landline"])[head],
        couple=(rng.random(n) < rules["emails"]["couple"])[head] & (size > 1),
    )  # fmt: skip


def _source(
    people: People, source: str, person: np.ndarray, rng: np.random.Generator, rules: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Records of some people at one place, as they are written there."""
    has = rules["fields"][source]
    n = len(person)

    def said(name: str) -> np.ndarray:
        return rng.random(n) < has[name]

    named = said("name")
    old = rng.random(n) < 0.3  # written before people moved or married
    first, last = _names(people, person, old, rng, rules["names"], second=source in ("double", "duplicate"))
    email = _emails(people, person, rng, rules["emails"], second=source in ("double", "duplicate"))
    email = np.where(said("email"), email, None)
    digest = np.full(n, None, dtype=object)
    if source == "subscriber":
        hashed = np.flatnonzero(rng.random(n) < rules["emails"]["hash_only"])
        digest[hashed] = [
            None if value is None else hashlib.sha256(value.strip().lower().encode()).hexdigest()
            for value in email[hashed]
        ]
        email[hashed] = None
    lives = said("address")
    street = np.where(old, people.older_street[person], people.street[person])
    table = {
        "person": person,
        "record_key": np.array([f"{source}:{p}" for p in person.tolist()], dtype=object),
        "kind": np.full(n, KINDS.get(source, source), dtype=object),
        "source": np.full(n, SYSTEMS.get(source, source), dtype=object),
        "first_name": np.where(named, first, None),
        "last_name": np.where(named & ~((source == "subscriber") & (rng.random(n) < 0.35)), last, None),
        "birth_date": np.where(
            said("birth_date"), _dates(people.birth[person], rng, rules["birth_dates"]), None
        ),
        "email": email,
        "email_sha256": digest,
        "phone": np.where(said("phone"), _phones(people, person, rng, rules["phones"]), None),
        "address": np.where(lives, _streets(street, rng, rules["addresses"]), None),
        "postcode": np.where(lives, people.postcode[person], None),
        "city": np.where(lives | ((source == "social") & (rng.random(n) < 0.5)), people.city[person], None),
        "crm_id": np.full(n, None, dtype=object),
        "login_id": np.full(n, None, dtype=object),
        "loyalty_id": np.full(n, None, dtype=object),
    }
    if source in ("account", "double"):
        letter = "U" if source == "account" else "W"
        logins = np.array([f"{letter}{p:08d}" for p in person.tolist()], dtype=object)
        junk = np.array(names.JUNK_LOGINS, dtype=object)[rng.integers(0, len(names.JUNK_LOGINS), n)]
        table["login_id"] = np.where(rng.random(n) < rules["junk_logins"], junk, logins)
    if source == "store":
        table["loyalty_id"] = np.array(
            [f"{p * 104_729 % 10_000_000_019:012d}" for p in person.tolist()], dtype=object
        )
    return table


def _crm_keys(
    table: dict[str, np.ndarray], persons: int, rng: np.random.Generator, rules: dict[str, Any]
) -> None:
    """The CRM's own key, and the records elsewhere that carry it."""
    kind, person = table["kind"], table["person"]
    contact = np.flatnonzero(kind == "contact")
    keys = np.array([f"{900_000 + place * 7}" for place in range(len(contact))], dtype=object)
    table["crm_id"][contact] = keys
    key_of = np.full(persons, None, dtype=object)
    key_of[person[contact]] = keys
    for source, share in (("account", rules["account_knows_crm"]), ("store", rules["store_knows_crm"])):
        knows = np.flatnonzero((kind == source) & (rng.random(len(kind)) < share))
        table["crm_id"][knows] = key_of[person[knows]]


def _names(
    people: People,
    person: np.ndarray,
    old: np.ndarray,
    rng: np.random.Generator,
    rules: dict[str, float],
    *,
    second: bool,
) -> tuple[np.ndarray, np.ndarray]:
    n = len(person)
    first = people.first[person].copy()
    last = np.where(old, people.older_last[person], people.last[person])
    draws = rng.integers(0, 1 << 30, n)
    factor = 3 if second else 1
    for rows in (np.flatnonzero(rng.random(n) < rules["nickname"] * factor),):
        first[rows] = [names.short_form(name) for name in first[rows]]
    for column in (first, last):
        rows = np.flatnonzero(rng.random(n) < rules["typo"] * factor)
        column[rows] = [names.slip(name, int(d)) for name, d in zip(column[rows], draws[rows], strict=True)]
    rows = np.flatnonzero(rng.random(n) < rules["initial"])
    first[rows] = [f"{name[0]}." for name in first[rows]]
    rows = np.flatnonzero(rng.random(n) < rules["swapped"])
    first[rows], last[rows] = last[rows], first[rows].copy()
    rows = np.flatnonzero(rng.random(n) < rules["case"])
    first[rows] = [
        name.upper() if d % 2 else name.lower() for name, d in zip(first[rows], draws[rows], strict=True)
    ]
    last[rows] = [
        name.upper() if d % 2 else name.lower() for name, d in zip(last[rows], draws[rows], strict=True)
    ]
    return first, last


def _emails(
    people: People, person: np.ndarray, rng: np.random.Generator, rules: dict[str, float], *, second: bool
) -> np.ndarray:
    n = len(person)
    email = people.email[person].copy()
    trait = rng_for(11, "mail traits").random(len(people))[person]
    # a second account is opened with another address than the first
    used = 0.6 if second else rules["job_used"]
    rows = np.flatnonzero((trait < rules["job"]) & (rng.random(n) < used))
    email[rows] = [
        names.job_address(people.first[p], people.last[p], p * 31 % 40_009) for p in person[rows].tolist()
    ]
    third = np.flatnonzero((trait > 1 - rules["third"]) & (rng.random(n) < used))
    email[third] = [
        f"{address.split('@')[0]}.{p % 97}@mail-{p % 13}.example"
        for address, p in zip(email[third], person[third].tolist(), strict=True)
    ]
    shared = people.couple[person] & (rng.random(n) < rules["couple_used"])
    email = np.where(shared, people.email[people.head[person]], email)
    draws = rng.integers(0, 1 << 30, n)
    rows = np.flatnonzero(rng.random(n) < rules["typo"])
    email[rows] = [names.slip(value, int(d)) for value, d in zip(email[rows], draws[rows], strict=True)]
    rows = np.flatnonzero(rng.random(n) < rules["styled"])
    email[rows] = [
        names.styled(v, int(d) % 5) if v.count("@") == 1 else v
        for v, d in zip(email[rows], draws[rows], strict=True)
    ]
    rows = np.flatnonzero(rng.random(n) < rules["junk"])
    email[rows] = np.array(names.JUNK_EMAILS, dtype=object)[draws[rows] % len(names.JUNK_EMAILS)]
    return email


def _phones(
    people: People, person: np.ndarray, rng: np.random.Generator, rules: dict[str, float]
) -> np.ndarray:
    n = len(person)
    recycled = rng.random(n) < rules["recycled"]
    number = np.where(recycled, rng.integers(0, len(people), n), person)
    home = people.landline[person] & (rng.random(n) < rules["landline_used"])
    style = rng.integers(0, 5, n).tolist()
    rows = zip(number.tolist(), people.household[person].tolist(), home.tolist(), style, strict=True)
    found = np.array(
        [
            names.phone_style(names.landline(h) if at_home else names.mobile(p), s)
            for p, h, at_home, s in rows
        ],
        dtype=object,
    )
    junk = np.array(names.JUNK_PHONES, dtype=object)[rng.integers(0, len(names.JUNK_PHONES), n)]
    return np.where(rng.random(n) < rules["junk"], junk, found)


def _dates(days: np.ndarray, rng: np.random.Generator, rules: dict[str, float]) -> np.ndarray:
    n = len(days)
    found = (BASE_DAY + days).astype(str).astype(object)
    rows = np.flatnonzero(rng.random(n) < rules["slip"])
    digits = rng.integers(0, 10, n)
    found[rows] = [f"{value[:-1]}{d}" for value, d in zip(found[rows], digits[rows].tolist(), strict=True)]
    rows = np.flatnonzero(rng.random(n) < rules["swapped"])
    found[rows] = [f"{v[:4]}-{v[8:]}-{v[5:7]}" if v[8:] <= "12" else v for v in found[rows]]
    rows = np.flatnonzero(rng.random(n) < rules["default"])
    found[rows] = np.array(names.DEFAULT_DATES, dtype=object)[digits[rows] % len(names.DEFAULT_DATES)]
    return found


def _streets(street: np.ndarray, rng: np.random.Generator, rules: dict[str, float]) -> np.ndarray:
    n = len(street)
    found = street.copy()
    rows = np.flatnonzero(rng.random(n) < rules["abbreviated"])
    found[rows] = [value.replace("straße", "str.") for value in found[rows]]
    draws = rng.integers(0, 1 << 30, n)
    rows = np.flatnonzero(rng.random(n) < rules["typo"])
    found[rows] = [names.slip(value, int(d)) for value, d in zip(found[rows], draws[rows], strict=True)]
    return found
