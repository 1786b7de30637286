"""Tables of made-up people with slips of the pen, for measuring how well records are linked."""

from __future__ import annotations

import string

import numpy as np
import pandas as pd

from cja_pipeline.simulator import names

FIELDS = ("given_name", "surname", "street_number", "address_1", "suburb", "postcode", "date_of_birth")


def person(rng: np.random.Generator) -> dict[str, str | None]:
    language = "en" if rng.random() < 0.5 else "de"
    streets = names.STREETS["en"]
    first, last = names.FIRST[language, bool(rng.integers(2))], names.LAST[language]
    return {
        "given_name": first[int(rng.integers(len(first)))].lower(),
        "surname": last[int(rng.integers(len(last)))].lower(),
        "street_number": str(rng.integers(1, 300)),
        "address_1": f"{streets[int(rng.integers(len(streets)))].lower()} {rng.integers(40)}",
        "suburb": f"town {rng.integers(200)}",
        "postcode": str(rng.integers(2000, 6000)),
        "date_of_birth": f"{rng.integers(1930, 2005)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}",
    }


def slip(value: str, rng: np.random.Generator) -> str:
    """One letter added, lost, exchanged or swapped with its neighbour."""
    place = int(rng.integers(len(value)))
    pool = string.digits if value[place].isdigit() else string.ascii_lowercase
    letter = pool[int(rng.integers(len(pool)))]
    kind = int(rng.integers(4))
    if kind == 3 and place + 1 < len(value):
        return value[:place] + value[place + 1] + value[place] + value[place + 2 :]
    return value[:place] + ["", letter, letter + value[place], letter][kind] + value[place + 1 :]


def damaged(original: dict[str, str | None], most: int, rng: np.random.Generator) -> dict[str, str | None]:
    found = dict(original)
    for _ in range(int(rng.integers(1, most + 1))):
        field = FIELDS[int(rng.integers(len(FIELDS)))]
        chance = rng.random()
        if chance < 0.12:
            found[field] = None
        elif chance < 0.17:
            found["given_name"], found["surname"] = found["surname"], found["given_name"]
        elif found[field]:
            found[field] = slip(str(found[field]), rng)
    return found


def register(people: int, *, copies: int, most_slips: int, seed: int, family: float = 0.0) -> pd.DataFrame:
    """Each person with up to `copies` damaged copies; a share of them are families at one address.

    Columns: rec_id, person (truth) and `FIELDS`.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, str | None]] = []
    before: dict[str, str | None] = {}
    for number in range(people):
        mine = person(rng)
        if before and rng.random() < family:
            mine |= {
                key: before[key] for key in ("surname", "street_number", "address_1", "suburb", "postcode")
            }
        before = mine
        versions = [mine, *(damaged(mine, most_slips, rng) for _ in range(int(rng.integers(copies + 1))))]
        rows += [{"person": str(number), **version} for version in versions]
    frame = pd.DataFrame(rows).sample(frac=1, random_state=seed).reset_index(drop=True)
    frame.insert(0, "rec_id", [f"r{number}" for number in range(len(frame))])
    return frame
