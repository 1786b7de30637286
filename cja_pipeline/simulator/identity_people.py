"""The people of the identity world: names, homes, birth dates and mailboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import identity_names as names
from .columns import rng_for


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


def make_people(n: int, seed: int, rules: dict[str, Any]) -> People:
    """The people of a world and where they live."""
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
