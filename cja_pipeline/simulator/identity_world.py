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

from . import identity_fields as fields
from . import identity_names as names
from .columns import rng_for
from .identity_devices import make_links
from .identity_people import People, make_people

NOISE = Path(__file__).parent / "identity_noise.yml"
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


def noise() -> dict[str, Any]:
    """The world's parameters, to be published with every figure."""
    found: dict[str, Any] = yaml.safe_load(NOISE.read_text(encoding="utf-8"))
    return found


def make_world(persons: int, seed: int = 7) -> IdentityWorld:
    """Make a world of so many people."""
    rules = noise()
    people = make_people(persons, seed, rules)
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


def where(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values where they are known, else None."""
    found = np.full(len(values), None, dtype=object)
    found[known] = values[known]
    return found


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
    first, last = fields.names(
        people, person, old, rng, rules["names"], second=source in ("double", "duplicate")
    )
    email = fields.emails(people, person, rng, rules["emails"], second=source in ("double", "duplicate"))
    email = where(said("email"), email)
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
        "first_name": where(named, first),
        "last_name": where(named & ~((source == "subscriber") & (rng.random(n) < 0.35)), last),
        "birth_date": where(
            said("birth_date"), fields.dates(people.birth[person], rng, rules["birth_dates"])
        ),
        "email": email,
        "email_sha256": digest,
        "phone": where(said("phone"), fields.phones(people, person, rng, rules["phones"])),
        "address": where(lives, fields.streets(street, rng, rules["addresses"])),
        "postcode": where(lives, people.postcode[person]),
        "city": where(lives | ((source == "social") & (rng.random(n) < 0.5)), people.city[person]),
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
