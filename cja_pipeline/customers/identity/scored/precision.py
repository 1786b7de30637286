"""What an identifier is worth, measured without labels: how often a shared value means one person.

People who share an address or a number by chance mostly have conflicting first names, one person hardly ever.
So the rate of conflicts among records that share a value tells the share of pairs that are one person:
rate = precision * rate in matches + (1 - precision) * rate in random pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.warehouse import Warehouse

ENOUGH = 50  # pairs from which a rate is believed
ASSUMED = 0.95  # precision of an identifier that cannot be measured
ASSUMED_CONFLICTS = 0.02  # conflicts among matches where no sure ones are at hand
BOUNDS = (0.5, 0.999)
RANDOM_PAIRS = 20_000
SURE_KINDS = ("crm_id", "login_id")
KINDS = ("email", "phone", "loyalty_id")

# neighbouring named records of each value: one pair fewer than records, so that no value dominates
NEIGHBOURS = """
SELECT kind, given, last_name, other_given, other_last, count(*) AS pairs FROM (
    SELECT c.kind, r.given, r.last_name,
        lag(r.given) OVER w AS other_given, lag(r.last_name) OVER w AS other_last
    FROM customers.identity_carriers c
    JOIN customers.identity_records r USING (node)
    LEFT JOIN customers.identity_values v ON v.key = c.key
    WHERE r.given IS NOT NULL AND coalesce(v.used, true)
    WINDOW w AS (PARTITION BY c.key ORDER BY r.node)
) WHERE other_given IS NOT NULL GROUP BY ALL
"""


@dataclass(frozen=True)
class Precision:
    """precision: per identifier kind. in_matches: rate of conflicting first names among records of one CRM id
    or login, None with too few to tell. pairs: how many pairs each kind's rate rests on."""

    precision: dict[str, float]
    in_matches: float | None
    pairs: dict[str, int]


def measure_precision(wh: Warehouse, book: NameBook) -> Precision:
    """Precision of shared addresses, numbers and cards, from the identity tables."""
    import pandas as pd

    found = wh.df(NEIGHBOURS)
    same = found["given"] == found["other_given"]
    differs = found[~same]
    names = differs[["given", "last_name", "other_given", "other_last"]].itertuples(index=False, name=None)
    conflict = [book.conflict((a, _text(b)), (c, _text(d))) for a, b, c, d in names]
    found["conflicts"] = 0
    found.loc[~same, "conflicts"] = pd.Series(conflict, index=differs.index, dtype="int64") * differs["pairs"]
    sums = found.groupby("kind")[["pairs", "conflicts"]].sum()
    sure = sums.reindex(list(SURE_KINDS)).fillna(0).sum()
    measured = float(sure["conflicts"] / sure["pairs"]) if sure["pairs"] >= ENOUGH else None
    in_matches = ASSUMED_CONFLICTS if measured is None else measured
    by_chance = _by_chance(wh, book)
    precision, pairs = {}, {}
    for kind in KINDS:
        mine = sums.loc[kind] if kind in sums.index else None
        pairs[kind] = 0 if mine is None else int(mine["pairs"])
        share = ASSUMED
        if mine is not None and pairs[kind] >= ENOUGH and by_chance > 2 * in_matches:
            share = (by_chance - float(mine["conflicts"] / mine["pairs"])) / (by_chance - in_matches)
        precision[kind] = min(max(share, BOUNDS[0]), BOUNDS[1])
    return Precision(precision, measured, pairs)


def _by_chance(wh: Warehouse, book: NameBook) -> float:
    """How often two records taken at random have conflicting first names."""
    rows = wh.sql(
        "SELECT given, last_name FROM customers.identity_records WHERE given IS NOT NULL"
        f" ORDER BY md5_number(record_key) >> 64, node LIMIT {2 * RANDOM_PAIRS}"
    ).fetchall()
    half = len(rows) // 2
    if not half:
        return 0.0
    return sum(book.conflict(a, b) for a, b in zip(rows[:half], rows[half : 2 * half], strict=True)) / half


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
