"""What an identifier is worth, measured without labels: how often a shared value means one person.

People who share an address or a number by chance mostly have conflicting first names, one person hardly ever.
So the rate of conflicts among records that share a value tells the share of pairs that are one person:
rate = precision * rate in matches + (1 - precision) * rate in random pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.guarded import People

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ENOUGH = 50  # pairs from which a rate is believed
ASSUMED = 0.95  # precision of an identifier that cannot be measured
ASSUMED_CONFLICTS = 0.02  # conflicts among matches where no sure ones are at hand
BOUNDS = (0.5, 0.999)
RANDOM_PAIRS = 20_000
SEED = 1


def identifier_precision(uses: pd.DataFrame, people: People) -> dict[str, float]:
    """Precision of shared addresses and numbers, by the name of their comparison.

    Args:
        uses: row, kind, key. people: names per row.
    """
    import numpy as np

    named = np.flatnonzero(people.name >= 0)
    if len(named) < 2:
        return {"email_key": ASSUMED, "phones": ASSUMED}
    rng = np.random.default_rng(SEED)
    left, right = rng.choice(named, RANDOM_PAIRS), rng.choice(named, RANDOM_PAIRS)
    by_chance = _conflicts(people, left, right)
    measured_in_matches = conflicts_in_matches(uses, people)
    in_matches = ASSUMED_CONFLICTS if measured_in_matches is None else measured_in_matches
    found = {}
    for kind, name in (("email", "email_key"), ("phone", "phones")):
        shared = _pairs(uses[uses["kind"] == kind], people)
        measured = ASSUMED
        if len(shared[0]) >= ENOUGH and by_chance > 2 * in_matches:
            measured = (by_chance - _conflicts(people, *shared)) / (by_chance - in_matches)
        found[name] = float(np.clip(measured, *BOUNDS))
    return found


def conflicts_in_matches(uses: pd.DataFrame, people: People) -> float | None:
    """How often records of one CRM id or login have conflicting first names; None with too few to tell."""
    sure = _pairs(uses[uses["kind"].isin(["crm_id", "login_id"])], people)
    return _conflicts(people, *sure) if len(sure[0]) >= ENOUGH else None


def _pairs(uses: pd.DataFrame, people: People) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring named records of each value: one pair fewer than records, so that no value dominates."""
    kept = uses[people.name[uses["row"].to_numpy()] >= 0].sort_values(["kind", "key", "row"])
    rows, keys = kept["row"].to_numpy(), kept["key"].to_numpy()
    same = keys[1:] == keys[:-1]
    return rows[:-1][same], rows[1:][same]


def _conflicts(people: People, left: np.ndarray, right: np.ndarray) -> float:
    if not len(left):
        return 0.0
    pairs = zip(people.name[left].tolist(), people.name[right].tolist(), strict=True)
    return sum(people.names_conflict(a, b) for a, b in pairs) / len(left)
