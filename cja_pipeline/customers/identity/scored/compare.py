"""What is compared."""

from __future__ import annotations

from typing import Any


def comparisons(present: set[str]) -> list[Any]:
    """What is compared, with the share of true matches (m) that each level starts from."""
    import splink.comparison_level_library as levels
    from splink.comparison_library import CustomComparison

    def custom(name: str, *parts: tuple[Any, float | None]) -> Any:
        made = [level if m is None else level.configure(m_probability=m) for level, m in parts]
        return CustomComparison(output_column_name=name, comparison_levels=made)

    def exact(column: str) -> Any:
        return levels.ExactMatchLevel(column, term_frequency_adjustments=True)

    # a level keeps the m that it is given, so that every comparison needs levels of its own
    def swapped_names() -> list[tuple[Any, float]]:
        if not {"first_name", "last_name"} <= present:
            return []
        return [(levels.ColumnsReversedLevel("first_name", "last_name", symmetrical=True), 0.03)]

    # lengths tell most pairs apart, and cost nothing beside the distance
    near = levels.CustomLevel("abs(length(email_l) - length(email_r)) <= 1")
    swapped = levels.CustomLevel("birth_date_l = birth_swapped_r", label_for_charts="Day and month swapped")
    found = {
        "first_name": [
            (levels.NullLevel("first_name"), None),
            (exact("first_name"), 0.80),
            (levels.ArrayIntersectLevel("first_roots", min_intersection=1), 0.04),
            (levels.JaroWinklerLevel("first_name", 0.92), 0.06),
            *swapped_names(),
            (levels.JaroWinklerLevel("first_name", 0.80), 0.03),
            (levels.ElseLevel(), 0.04),
        ],
        "last_name": [
            (levels.NullLevel("last_name"), None),
            (exact("last_name"), 0.80),
            (levels.JaroWinklerLevel("last_name", 0.92), 0.07),
            *swapped_names(),
            (levels.JaroWinklerLevel("last_name", 0.80), 0.03),
            (levels.ElseLevel(), 0.07),
        ],
        "birth_date": [
            (levels.NullLevel("birth_date"), None),
            (levels.ExactMatchLevel("birth_date"), 0.85),
            (swapped, 0.02),
            (levels.DamerauLevenshteinLevel("birth_date", 1), 0.08),
            (levels.DamerauLevenshteinLevel("birth_date", 2), 0.02),
            (levels.ElseLevel(), 0.03),
        ],
        "emails": [
            (levels.NullLevel("emails"), None),
            (levels.ArrayIntersectLevel("emails", min_intersection=1), 0.75),
            (levels.And(near, levels.DamerauLevenshteinLevel("email", 1)), 0.05),
            # no further likeness: people of one name have like addresses, and the name is compared already
            (levels.ElseLevel(), 0.20),
        ],
        "phones": [
            (levels.NullLevel("phones"), None),
            (levels.ArrayIntersectLevel("phones", min_intersection=1), 0.75),
            (levels.ElseLevel(), 0.25),
        ],
        "cards": [
            (levels.NullLevel("cards"), None),
            (levels.ArrayIntersectLevel("cards", min_intersection=1), 0.90),
            (levels.ElseLevel(), 0.10),
        ],
        "address": [
            (levels.NullLevel("address"), None),
            (exact("address"), 0.70),
            (levels.JaroWinklerLevel("address", 0.92), 0.12),
            (levels.JaroWinklerLevel("address", 0.80), 0.06),
            (levels.ElseLevel(), 0.12),
        ],
        "postcode": [
            (levels.NullLevel("postcode"), None),
            (exact("postcode"), 0.80),
            (levels.DamerauLevenshteinLevel("postcode", 1), 0.08),
            (levels.ElseLevel(), 0.12),
        ],
        "city": [
            (levels.NullLevel("city"), None),
            (exact("city"), 0.80),
            (levels.JaroWinklerLevel("city", 0.88), 0.09),
            (levels.ElseLevel(), 0.11),
        ],
    }
    return [custom(name, *parts) for name, parts in found.items() if name in present]
