"""How matches look (m), learnt without labels by expectation maximisation over patterns of agreement.

Inside a block (pairs that agree in a birth date, in both names, or in an address of a mailbox) matches are
frequent enough to be told from chance. Starting values enter as pseudo-observations, so that small tables
learn little instead of nonsense and no level ever becomes impossible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PSEUDO_MATCHES = 50.0  # how many observed matches the starting values count for
ROUNDS = 100
STEADY = 1e-5
START_SHARE = 0.5  # of matches in a block

Levels = dict[str, list[dict[str, Any]]]


def non_null_levels(settings: dict[str, Any]) -> Levels:
    """Levels of each comparison from best to worst, without the one for missing values."""
    return {
        comparison["output_column_name"]: [
            level for level in comparison["comparison_levels"] if not level.get("is_null_level")
        ]
        for comparison in settings["comparisons"]
    }


def expected_matches(
    patterns: pd.DataFrame, levels: Levels, start: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Expected matches per level of each comparison in one block.

    Args:
        patterns: one column per comparison (0-based level from best to worst, -1 missing) and `pairs`.
        levels: with u_probability. start: m per level that the search begins with and is drawn to.
    """
    import numpy as np

    names = [name for name in levels if name in patterns]
    counts = patterns["pairs"].to_numpy(dtype=float)
    codes = {name: patterns[name].to_numpy(dtype=int) for name in names}
    chance = {name: np.array([max(lv["u_probability"], 1e-12) for lv in levels[name]]) for name in names}
    m = {name: start[name].copy() for name in names}
    share = START_SHARE
    for _ in range(ROUNDS):
        odds = np.full(len(counts), np.log(share) - np.log1p(-share))
        for name in names:
            seen = codes[name] >= 0
            ratio = np.log(m[name]) - np.log(chance[name])
            odds[seen] += ratio[codes[name][seen]]
        match = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        weight = match * counts
        expected = {
            name: np.bincount(
                codes[name][codes[name] >= 0], weight[codes[name] >= 0], minlength=len(levels[name])
            )
            for name in names
        }
        fresh = {name: posterior(expected[name], start[name]) for name in names}
        moved = max((float(np.abs(fresh[name] - m[name]).max()) for name in names), default=0.0)
        m, share = fresh, float(np.clip(weight.sum() / counts.sum(), 1e-6, 1 - 1e-6))
        if moved < STEADY:
            break
    return expected


def posterior(expected: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Share of matches per level from observed counts and the starting values."""
    total = expected + PSEUDO_MATCHES * start
    return total / total.sum()
