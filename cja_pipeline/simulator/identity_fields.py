"""What people write at one place: names, addresses, numbers and dates with all their noise."""

from __future__ import annotations

import numpy as np

from . import identity_names as texts
from .columns import rng_for
from .identity_people import People

BASE_DAY = np.datetime64("1930-01-01")


def names(
    people: People,
    person: np.ndarray,
    old: np.ndarray,
    rng: np.random.Generator,
    rules: dict[str, float],
    *,
    second: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """First and last names as written at one place."""
    n = len(person)
    first = people.first[person].copy()
    last = np.where(old, people.older_last[person], people.last[person])
    draws = rng.integers(0, 1 << 30, n)
    factor = 3 if second else 1
    for rows in (np.flatnonzero(rng.random(n) < rules["nickname"] * factor),):
        first[rows] = [texts.short_form(name) for name in first[rows]]
    for column in (first, last):
        rows = np.flatnonzero(rng.random(n) < rules["typo"] * factor)
        column[rows] = [texts.slip(name, int(d)) for name, d in zip(column[rows], draws[rows], strict=True)]
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


def emails(
    people: People, person: np.ndarray, rng: np.random.Generator, rules: dict[str, float], *, second: bool
) -> np.ndarray:
    """Addresses as written at one place."""
    n = len(person)
    email = people.email[person].copy()
    trait = rng_for(11, "mail traits").random(len(people))[person]
    # a second account is opened with another address than the first
    used = 0.6 if second else rules["job_used"]
    rows = np.flatnonzero((trait < rules["job"]) & (rng.random(n) < used))
    email[rows] = [
        texts.job_address(people.first[p], people.last[p], p * 31 % 40_009) for p in person[rows].tolist()
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
    email[rows] = [texts.slip(value, int(d)) for value, d in zip(email[rows], draws[rows], strict=True)]
    rows = np.flatnonzero(rng.random(n) < rules["styled"])
    email[rows] = [
        texts.styled(v, int(d) % 5) if v.count("@") == 1 else v
        for v, d in zip(email[rows], draws[rows], strict=True)
    ]
    rows = np.flatnonzero(rng.random(n) < rules["junk"])
    email[rows] = np.array(texts.JUNK_EMAILS, dtype=object)[draws[rows] % len(texts.JUNK_EMAILS)]
    return email


def phones(
    people: People, person: np.ndarray, rng: np.random.Generator, rules: dict[str, float]
) -> np.ndarray:
    """Numbers as written at one place."""
    n = len(person)
    recycled = rng.random(n) < rules["recycled"]
    number = np.where(recycled, rng.integers(0, len(people), n), person)
    home = people.landline[person] & (rng.random(n) < rules["landline_used"])
    style = rng.integers(0, 5, n).tolist()
    rows = zip(number.tolist(), people.household[person].tolist(), home.tolist(), style, strict=True)
    found = np.array(
        [
            texts.phone_style(texts.landline(h) if at_home else texts.mobile(p), s)
            for p, h, at_home, s in rows
        ],
        dtype=object,
    )
    junk = np.array(texts.JUNK_PHONES, dtype=object)[rng.integers(0, len(texts.JUNK_PHONES), n)]
    return np.where(rng.random(n) < rules["junk"], junk, found)


def dates(days: np.ndarray, rng: np.random.Generator, rules: dict[str, float]) -> np.ndarray:
    """Dates of birth as written at one place."""
    n = len(days)
    found = (BASE_DAY + days).astype(str).astype(object)
    rows = np.flatnonzero(rng.random(n) < rules["slip"])
    digits = rng.integers(0, 10, n)
    found[rows] = [f"{value[:-1]}{d}" for value, d in zip(found[rows], digits[rows].tolist(), strict=True)]
    rows = np.flatnonzero(rng.random(n) < rules["swapped"])
    found[rows] = [f"{v[:4]}-{v[8:]}-{v[5:7]}" if v[8:] <= "12" else v for v in found[rows]]
    rows = np.flatnonzero(rng.random(n) < rules["default"])
    found[rows] = np.array(texts.DEFAULT_DATES, dtype=object)[digits[rows] % len(texts.DEFAULT_DATES)]
    return found


def streets(street: np.ndarray, rng: np.random.Generator, rules: dict[str, float]) -> np.ndarray:
    """Streets as written at one place."""
    n = len(street)
    found = street.copy()
    rows = np.flatnonzero(rng.random(n) < rules["abbreviated"])
    found[rows] = [value.replace("straße", "str.") for value in found[rows]]
    draws = rng.integers(0, 1 << 30, n)
    rows = np.flatnonzero(rng.random(n) < rules["typo"])
    found[rows] = [texts.slip(value, int(d)) for value, d in zip(found[rows], draws[rows], strict=True)]
    return found
