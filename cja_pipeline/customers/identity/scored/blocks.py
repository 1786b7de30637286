"""Which pairs of records are compared at all: those that agree in one of these blocks."""

from __future__ import annotations

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.candidates import LINKABLE, SWAPPED_NAMES
from cja_pipeline.warehouse import Warehouse

# Candidate pairs share a usable identifier, or agree in all columns of one of these blocks. Training keeps as
# many as the table can afford (`candidates.pairs_per_record`).
BLOCKS: tuple[tuple[str, ...], ...] = (
    ("first_name", "last_name", "birth_date"),
    ("last_name", "birth_date"),
    ("first_name", "birth_date"),
    # digits of a date in any order, for transpositions
    ("birth_digits", "last_start"),
    ("first_name", "address"),
    ("first_name", "last_name", "postcode"),
    ("first_name", "last_name", "city"),
    ("swapped_names",),
    ("last_name", "postcode"),
    ("birth_date", "postcode"),
    ("birth_date", "address"),
    ("birth_digits", "first_start"),
    ("first_start", "last_name", "city"),
    ("first_name", "last_start", "city"),
    ("first_start", "last_start", "postcode"),
    ("birth_date", "city"),
    ("last_name", "address"),
    ("first_name", "postcode"),
    ("first_name", "last_name"),
    ("address",),
    ("birth_date",),
)


def affordable_blocks(wh: Warehouse, rules: Identity, present: set[str]) -> tuple[tuple[str, ...], ...]:
    """The blocks that tell most, as many as make no more pairs than the configuration allows.

    What few pairs of records have in common tells most: the fewer pairs a block makes, the earlier its turn.
    """
    wh.execute(f"CREATE OR REPLACE TEMP VIEW linkable AS {LINKABLE}")
    left = max(
        rules.candidates.pairs_per_record * wh.count("customers.identity_records"),
        rules.candidates.pairs_at_least,
    )
    sizes = {}
    for block in BLOCKS:
        needed = {"first_name", "last_name"} if block == SWAPPED_NAMES else set(block)
        if {_filled_by(column) for column in needed} <= present:
            sizes[block] = 0 if block == SWAPPED_NAMES else _pairs_within(wh, block)
    chosen = []
    for block, pairs in sorted(sizes.items(), key=lambda item: item[1]):
        left -= pairs
        if left < 0:
            break
        chosen.append(block)
    return tuple(chosen)


def _filled_by(column: str) -> str:
    return {"birth_digits": "birth_date", "first_start": "first_name", "last_start": "last_name"}.get(
        column, column
    )


def _pairs_within(wh: Warehouse, columns: tuple[str, ...]) -> int:
    """Pairs of records that agree in all of these columns."""
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return int(
        wh.scalar(
            "SELECT coalesce(sum(n * (n - 1) // 2), 0) FROM (SELECT CAST(count(*) AS HUGEINT) AS n FROM"
            f" linkable WHERE {known} GROUP BY {', '.join(columns)})"
        )
    )
