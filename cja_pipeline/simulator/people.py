"""People, households and their devices: who they truly are, block by block.

A person is a row of numbers here; names and addresses are spelled out later and only for people who leave
them somewhere. Columns of the table returned by `make_people`: person, household (ids), country, segment
(index into the settings), woman, first, last, street, house, city, birth (days since 1970), arrival,
departure (positions in days, arrival < 0: before the start), visits (a day), inclination and satisfaction
(standard normal), consent, withdraws (position in days), optin, adblock, account, loyalty, machine_open,
holdout, shared (device id of the household or -1), twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .calendar import Calendar
from .columns import Table, pick, rng_for
from .config import WorldConfig
from .names import CITIES

BLOCK = 4096
DEVICES_PER_PERSON = 4
CATEGORIES = ["mobile", "desktop", "tablet"]
SYSTEMS = ["iOS", "Android", "Windows", "Macintosh", "Linux"]
BROWSERS = ["Safari", "Chrome", "Samsung Internet", "Firefox", "Edge"]
_SYSTEM_SHARES = {0: [0.45, 0.55, 0, 0, 0], 1: [0, 0, 0.66, 0.26, 0.08], 2: [0.7, 0.3, 0, 0, 0]}
_BROWSER_SHARES = [
    [0.88, 0.12, 0, 0, 0],
    [0, 0.80, 0.14, 0.06, 0],
    [0, 0.58, 0, 0.18, 0.24],
    [0.60, 0.40, 0, 0, 0],
    [0, 0.50, 0, 0.50, 0],
]


@dataclass
class Block:
    """One block of people with their devices; device id = person id * 4 + (0 first, 1 second, 3
    household's).
    """

    number: int
    base: int
    people: Table
    category: np.ndarray
    system: np.ndarray
    browser: np.ndarray

    def local(self, device: np.ndarray) -> np.ndarray:
        """Index of device ids in this block's device arrays."""
        return device - self.base * DEVICES_PER_PERSON


def blocks_of(config: WorldConfig, customers: int) -> list[tuple[int, int, bool]]:
    """(first person, number of people, casual?) of every block: customers first, then casual visitors."""
    casual = round(customers * config.anonymous_per_customer)
    plan = [(base, min(BLOCK, customers - base), False) for base in range(0, customers, BLOCK)]
    plan += [(customers + base, min(BLOCK, casual - base), True) for base in range(0, casual, BLOCK)]
    return plan


def make_people(
    config: WorldConfig, calendar: Calendar, seed: int, number: int, base: int, n: int, casual: bool
) -> Block:
    """The `n` people of block `number`, from person id `base` on."""
    rng = rng_for(seed, "people", number)
    segments = list(config.segments.values())
    homes = config.households
    sizes = pick(rng, [1.0] if casual else [homes["single"], 0.26, 0.12, 0.10], n) + 1
    heads = np.repeat(np.cumsum(sizes) - sizes, sizes)[:n]
    heads = np.minimum(heads, n - 1)
    weights = [0.0] * (len(segments) - 1) + [1.0] if casual else [segment.weight for segment in segments]
    segment = pick(rng, weights, n)
    country = pick(rng, [c.weight for c in config.countries.values()], n)[heads]
    names = list(config.countries)
    city = np.zeros(n, np.int16)
    for index, name in enumerate(names):
        rows = country == index
        city[rows] = rng.integers(0, len(CITIES[name]), n)[heads][rows]
    woman = rng.random(n) < 0.54
    head = heads == np.arange(n)
    same_name = head | (rng.random(n) < homes["same_surname"])
    surname = rng.integers(0, 1 << 30, n)
    birth = np.clip(rng.normal(3300, 5200, n), -14000, 14000).astype(np.int32)
    twin = ~head & (rng.random(n) < homes["twins"])
    birth[twin] = birth[heads[twin]]
    existing = (rng.random(n) < config.existing_share) & ~casual
    arrival = np.where(existing, -1.0, rng.random(n) * calendar.total)
    lifetime = rng.exponential(20.0 if casual else config.churn_days, n)
    inclination = rng.standard_normal(n)
    consent = np.array([c.consent for c in config.countries.values()])[country]
    shared_home = (rng.random(n) < homes["shared_device"])[heads] & (sizes[:n] > 0)
    members = np.bincount(heads, minlength=n)[heads]
    shared = np.where(shared_home & (members > 1), (base + heads) * DEVICES_PER_PERSON + 3, -1)
    people: Table = {
        "person": base + np.arange(n, dtype=np.int64),
        "household": base + heads.astype(np.int64),
        "country": country.astype(np.int8),
        "segment": segment.astype(np.int8),
        "woman": woman,
        "first": rng.integers(0, 1 << 30, n),
        "last": np.where(same_name, surname[heads], surname),
        "street": rng.integers(0, 1 << 30, n)[heads],
        "house": rng.integers(1, 140, n)[heads].astype(np.int16),
        "city": city,
        "birth": birth,
        "twin": twin,
        "arrival": arrival,
        "departure": np.maximum(arrival, 0.0) + lifetime,
        "visits": np.array([s.visits for s in segments])[segment]
        / 30.0
        * np.exp(0.3 * rng.standard_normal(n)),
        "inclination": inclination,
        "satisfaction": 0.35 * inclination + 0.94 * rng.standard_normal(n),
        "consent": rng.random(n) < consent,
        "withdraws": np.where(
            rng.random(n) < config.noise["consent_withdrawn"],
            np.maximum(arrival, 0.0) + rng.random(n) * calendar.total,
            1e9,
        ),
        "optin": rng.random(n) < np.array([s.optin for s in segments])[segment],
        "adblock": rng.random(n) < config.adblock,
        "account": (rng.random(n) < np.array([s.account for s in segments])[segment]) & existing,
        "guest": rng.random(n) < config.orders.guest,
        "loyalty": rng.random(n) < np.array([s.loyalty for s in segments])[segment],
        "machine_open": rng.random(n) < config.email.machine_open,
        "holdout": rng.random(n) < config.email.holdout,
        "shared": shared,
    }
    return Block(number, base, people, *_devices(config, rng, n))


def _devices(config: WorldConfig, rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    shares = [config.devices[name] for name in CATEGORIES]
    first = pick(rng, shares, n)
    second = np.where(first == 0, 1, 0)
    second = np.where(rng.random(n) < 0.12, 2, second)
    household = np.where(rng.random(n) < 0.5, 2, 1)
    category = np.stack([first, second, first, household], axis=1).ravel().astype(np.int8)
    system = np.zeros(len(category), np.int8)
    for code, weights in _SYSTEM_SHARES.items():
        rows = np.flatnonzero(category == code)
        system[rows] = pick(rng, weights, len(rows))
    browser = np.zeros(len(category), np.int8)
    for code, weights in enumerate(_BROWSER_SHARES):
        rows = np.flatnonzero(system == code)
        browser[rows] = pick(rng, weights, len(rows))
    return category, system, browser
