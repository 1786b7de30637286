"""What is compared, what agreement is expected to mean, and which pairs are candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.identity.scored.linkage import LISTS

if TYPE_CHECKING:
    import pandas as pd

# Candidate pairs agree in all columns of one of these blocks. A block that would make more than
# PAIRS_PER_RECORD pairs per record is left out: what is affordable depends on the table.
BLOCKS: tuple[tuple[str, ...], ...] = (
    ("national_id",),
    ("first_name", "last_name"),
    ("birth_date",),
    ("birth_digits",),
    ("address",),
    ("birth_date", "first_name"),
    ("birth_date", "last_name"),
    ("birth_date", "postcode"),
    ("birth_date", "city"),
    ("birth_date", "starts"),
    ("birth_digits", "first_start"),
    ("birth_digits", "last_start"),
    ("birth_digits", "postcode"),
    ("address", "first_name"),
    ("address", "last_name"),
    ("address", "starts"),
    ("postcode", "last_name"),
    ("postcode", "first_name"),
    ("postcode", "starts"),
    ("city", "first_name", "last_name"),
    ("city", "first_start", "last_name"),
    ("city", "first_name", "last_start"),
    ("birth_year", "starts"),
    ("birth_year", "starts", "city"),
    ("birth_year", "first_name", "last_start"),
    ("birth_year", "last_name", "first_start"),
    ("birth_place", "birth_year", "starts"),
)
PAIRS_PER_RECORD = 10
SWAPPED_NAMES = "l.first_name = r.last_name and l.last_name = r.first_name"


@dataclass(frozen=True)
class Expected:
    """What a comparison means before the table has taught anything.

    levels: from best to worst, how to test, share of true matches (m) and of chance pairs (u).
    worst: highest believable share of matches in the last level. What differs more often than this in a
    person's own records was learnt from relatives.
    """

    levels: list[tuple[Any, float, float]]
    worst: float = 1.0
    null: Any = field(default=None)


def expectations(present: set[str]) -> dict[str, Expected]:
    """The comparisons that the filled columns of a table allow, by the name of their column."""
    import splink.comparison_level_library as levels

    def exact(column: str) -> Any:
        return levels.ExactMatchLevel(column, term_frequency_adjustments=True)

    def initial(column: str) -> Any:
        left, right = f"{column}_l", f"{column}_r"
        return levels.CustomLevel(
            f"least(length({left}), length({right})) = 1 and substr({left}, 1, 1) = substr({right}, 1, 1)",
            label_for_charts="Initial",
        )

    def close(column: str, likeness: float) -> Any:
        return levels.JaroWinklerLevel(column, likeness)

    def edits(column: str, most: int) -> Any:
        return levels.DamerauLevenshteinLevel(column, most)

    def custom(rule: str, label: str) -> Any:
        return levels.CustomLevel(rule, label_for_charts=label)

    # a level keeps the m that it is given, so that every comparison needs levels of its own
    def swapped() -> list[tuple[Any, float, float]]:
        if not {"first_name", "last_name"} <= present:
            return []
        return [(levels.ColumnsReversedLevel("first_name", "last_name", symmetrical=True), 0.03, 1e-5)]

    def shared(column: str) -> Any:
        return levels.ArrayIntersectLevel(column, min_intersection=1)

    def other() -> Any:
        return levels.ElseLevel()

    found = {
        "first_name": Expected(
            [
                (exact("first_name"), 0.80, 0.005),
                (levels.ArrayIntersectLevel("first_roots", min_intersection=1), 0.03, 0.001),
                (initial("first_name"), 0.01, 0.001),
                (close("first_name", 0.92), 0.06, 0.002),
                *swapped(),
                (close("first_name", 0.80), 0.03, 0.01),
                (other(), 0.04, 0.98),
            ],
            worst=0.25,
        ),
        "last_name": Expected(
            [
                (exact("last_name"), 0.80, 0.003),
                (close("last_name", 0.92), 0.07, 0.001),
                *swapped(),
                (close("last_name", 0.80), 0.03, 0.005),
                (other(), 0.07, 0.99),
            ],
            worst=0.30,
        ),
        "middle_name": Expected(
            [
                (exact("middle_name"), 0.80, 0.03),
                (initial("middle_name"), 0.10, 0.03),
                (close("middle_name", 0.88), 0.04, 0.01),
                (other(), 0.06, 0.93),
            ],
            worst=0.40,
        ),
        "birth_year": Expected(
            [
                (levels.ExactMatchLevel("birth_date"), 0.85, 5e-5),
                (custom("birth_date_l = birth_swapped_r", "Day and month swapped"), 0.02, 5e-6),
                (edits("birth_date", 1), 0.08, 0.001),
                (levels.ExactMatchLevel("birth_year"), 0.01, 0.014),
                (edits("birth_date", 2), 0.01, 0.01),
                (other(), 0.03, 0.975),
            ],
            worst=0.25,
        ),
        "gender": Expected([(levels.ExactMatchLevel("gender"), 0.98, 0.5), (other(), 0.02, 0.5)], worst=0.1),
        "emails": Expected(
            [
                (shared("emails"), 0.75, 1e-5),
                (edits("email", 1), 0.05, 1e-6),
                # no further likeness: people of one name have like addresses, and the name is compared
                # already
                (other(), 0.20, 0.999),
            ]
        ),
        "phones": Expected([(shared("phones"), 0.75, 1e-5), (other(), 0.25, 0.999)]),
        "cards": Expected([(shared("cards"), 0.90, 1e-5), (other(), 0.10, 0.999)]),
        "national_id": Expected(
            [
                (levels.ExactMatchLevel("national_id"), 0.90, 1e-6),
                (edits("national_id", 1), 0.05, 1e-5),
                (other(), 0.05, 0.999),
            ],
            worst=0.25,
        ),
        "address": Expected(
            [
                (exact("address"), 0.70, 3e-4),
                (close("address", 0.92), 0.12, 3e-4),
                (close("address", 0.80), 0.06, 0.005),
                (other(), 0.12, 0.99),
            ]
        ),
        "postcode": Expected(
            [
                (exact("postcode"), 0.80, 0.002),
                (edits("postcode", 1), 0.08, 0.01),
                (other(), 0.12, 0.98),
            ]
        ),
        "city": Expected(
            [(exact("city"), 0.80, 0.01), (close("city", 0.88), 0.09, 0.005), (other(), 0.11, 0.98)]
        ),
        "birth_place": Expected(
            [
                (exact("birth_place"), 0.85, 0.02),
                (close("birth_place", 0.88), 0.07, 0.005),
                (other(), 0.08, 0.97),
            ]
        ),
    }
    return {name: expected for name, expected in found.items() if name in present}


def comparisons(expected: dict[str, Expected]) -> list[Any]:
    """Splink's comparisons; a missing value on either side says nothing."""
    import splink.comparison_level_library as levels
    from splink.comparison_library import CustomComparison

    return [
        CustomComparison(
            output_column_name=name,
            comparison_levels=[
                levels.NullLevel(name),
                *(level.configure(m_probability=m) for level, m, _ in one.levels),
            ],
        )
        for name, one in expected.items()
    ]


def rule(columns: tuple[str, ...]) -> Any:
    """Splink's rule for pairs that agree in all of these columns (in one element of a list)."""
    from splink import block_on

    lists = [column for column in columns if column in LISTS.values()]
    return block_on(*columns, arrays_to_explode=lists) if lists else block_on(*columns)


def blocks(table: pd.DataFrame, present: set[str]) -> list[Any]:
    """The blocking rules that this table can afford."""
    most = PAIRS_PER_RECORD * len(table)
    found: list[Any] = [rule((name,)) for name in LISTS.values() if name in present]
    found += [
        rule(columns)
        for columns in BLOCKS
        if set(columns) <= present and 0 < pairs_within(table, list(columns)) <= most
    ]
    return [*found, SWAPPED_NAMES] if {"first_name", "last_name"} <= present else found


def pairs_within(table: pd.DataFrame, columns: list[str]) -> int:
    """Pairs of records that agree in all of these columns (in one element of a list)."""
    known = table.dropna(subset=columns)
    for column in set(columns) & set(LISTS.values()):
        known = known.explode(column)
    sizes = known.groupby(columns).size()
    return int((sizes * (sizes - 1) // 2).sum())
