"""The Splink model of one table, learnt from it without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.identity.scored.engine import linker
from cja_pipeline.customers.identity.scored.learn import Levels, expected_matches, non_null_levels, posterior
from cja_pipeline.customers.identity.tabular.compare import (
    Expected,
    blocks,
    comparisons,
    expectations,
    pairs_within,
    rule,
)
from cja_pipeline.customers.identity.tabular.frame import arrow, filled

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# records that agree in all of one of these hardly ever are two people: how many such pairs there are tells
# how many matches there are at all
SURE: tuple[tuple[str, ...], ...] = (
    ("emails",),
    ("national_id",),
    ("first_name", "last_name", "birth_date"),
    ("first_name", "last_name", "address"),
    ("first_name", "birth_date", "postcode"),
)
SURE_RECALL = 0.7  # share of all matches that the sure pairs are taken to find
FEWEST_MATCHES = 0.01  # matches per record that any table is taken to have
# not addresses alone: there the model would learn families instead of people
TRAINING_BLOCKS = (
    ("birth_date",),
    ("first_name", "last_name"),
    ("first_name", "address"),
    ("emails",),
    ("national_id",),
)
ENOUGH_PAIRS = 200  # fewer pairs in a training block teach nothing
MOST_PAIRS = 3_000_000  # more take long and teach no more
SAMPLE_PAIRS = 1_000_000
EXPECTED_PAIRS = 2_000  # chance pairs that the expected shares count for: tables of a few rows teach nothing
SEED = 1


@dataclass(frozen=True)
class Model:
    """A trained model: Splink's settings, and what was measured about the data it was trained on.

    match_rate: probability that two random records are of one person. household_rate: probability that two
    random records are of different people of one household. clean_names: whether conflicting names are
    believed to be two people.
    """

    settings: dict[str, Any]
    match_rate: float
    household_rate: float
    clean_names: bool


def train(table: pd.DataFrame, precision: dict[str, float], *, clean_names: bool) -> Model:
    """Learn a model from unlabelled records: how often columns agree by chance, and in matches.

    Chance (u) comes from random pairs, less the matches among them; matches (m) from expectation maximisation
    inside blocks. What a table is too small to teach keeps its expected value. Values that are almost unique
    (addresses of mailboxes, numbers) meet by chance too rarely for random pairs: theirs follows from their
    measured precision.

    Args:
        table: a linkage table. precision: share of pairs that share one of ``emails``, ``phones`` or
        ``cards``
            and are one person (``scored.precision``).
    """
    from splink import SettingsCreator

    present = filled(table)
    expected = expectations(present)
    match_rate = _match_rate(table, present)
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=comparisons(expected),
        blocking_rules_to_generate_predictions=blocks(table, present),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
        probability_two_random_records_match=match_rate,
    )
    learning = linker(arrow(table), settings)
    if len(table) * (len(table) - 1) / 2 > EXPECTED_PAIRS:
        learning.training.estimate_u_using_random_sampling(max_pairs=SAMPLE_PAIRS + 1, seed=SEED)
    learnt = learning.misc.save_model_to_json()
    levels = non_null_levels(learnt)
    sampled = _sampled_pairs(table, levels)
    start = _expected_shares(expected)
    _set_chance(levels, expected, sampled, start, match_rate)
    _set_precision(levels, precision, start, match_rate)
    matches = _learn_matches(learnt, table, present, levels, start, expected)
    _set_chance(levels, expected, sampled, matches, match_rate)
    _set_precision(levels, precision, matches, match_rate)
    for name, parts in levels.items():
        for level, share in zip(parts, matches[name], strict=True):
            level["m_probability"] = float(share)
    return Model(_without(learnt, "measured"), match_rate, _household_rate(table, present), clean_names)


def _expected_shares(expected: dict[str, Expected]) -> dict[str, np.ndarray]:
    import numpy as np

    found = {name: np.array([m for _, m, _ in one.levels]) for name, one in expected.items()}
    return {name: shares / shares.sum() for name, shares in found.items()}


def _sampled_pairs(table: pd.DataFrame, levels: Levels) -> dict[str, float]:
    """Random pairs that chance was measured on, by comparison, and what was measured (kept in the levels)."""
    pairs = min(float(SAMPLE_PAIRS), len(table) * (len(table) - 1) / 2)
    for parts in levels.values():
        for level in parts:
            level["measured"] = level.pop("u_probability", None) or 0.0
    return {name: pairs * float(table[name].notna().mean()) ** 2 for name in levels}


def _set_chance(
    levels: Levels,
    expected: dict[str, Expected],
    sampled: dict[str, float],
    matches: dict[str, np.ndarray],
    match_rate: float,
) -> None:
    """Chance of each level: what random pairs showed, less the matches among them, drawn to what is
    expected."""
    for name, parts in levels.items():
        pairs = sampled[name]
        shares = []
        for level, share, (_, _, chance) in zip(parts, matches[name], expected[name].levels, strict=True):
            seen = max(level["measured"] - match_rate * float(share), 0.0) * pairs
            shares.append((seen + chance * EXPECTED_PAIRS) / (pairs + EXPECTED_PAIRS))
        for level, share in zip(parts, shares, strict=True):
            level["u_probability"] = float(share / sum(shares))


def _set_precision(
    levels: Levels, precision: dict[str, float], matches: dict[str, np.ndarray], match_rate: float
) -> None:
    """Set how often two people share a value so that its pairs are one person as often as measured."""
    for name, share in precision.items():
        if name in levels:
            chance = match_rate * float(matches[name][0]) * (1 - share) / share
            levels[name][0]["u_probability"] = chance


def _learn_matches(
    learnt: dict[str, Any],
    table: pd.DataFrame,
    present: set[str],
    levels: Levels,
    start: dict[str, np.ndarray],
    expected: dict[str, Expected],
) -> dict[str, np.ndarray]:
    """Share of matches in every level, from all training blocks together."""
    import numpy as np

    found = {name: np.zeros(len(values)) for name, values in start.items()}
    for columns in TRAINING_BLOCKS:
        if not set(columns) <= present:
            continue
        if ENOUGH_PAIRS <= pairs_within(table, list(columns)) <= MOST_PAIRS:
            patterns = _patterns(table, learnt, columns, levels)
            for name, counts in expected_matches(patterns, levels, start).items():
                found[name] += counts
    return {name: believable(posterior(found[name], start[name]), expected[name].worst) for name in found}


def believable(shares: np.ndarray, worst: float) -> np.ndarray:
    """The shares with at most `worst` in the last level."""
    if shares[-1] <= worst:
        return shares
    fixed = shares * (1 - worst) / (1 - shares[-1])
    fixed[-1] = worst
    return fixed


def _patterns(
    table: pd.DataFrame, learnt: dict[str, Any], columns: tuple[str, ...], levels: Levels
) -> pd.DataFrame:
    """How often each pattern of agreement occurs among the pairs of a block, its own columns left out."""
    own = {"birth_year" if column == "birth_date" else column for column in columns}
    kept = [name for name in levels if name not in own]
    block = rule(columns).create_blocking_rule_dict("duckdb")
    changed = {"blocking_rules_to_generate_predictions": [block], "retain_matching_columns": True}
    comparing = linker(arrow(table), _without(learnt, "measured") | changed)
    predicted = comparing.inference.predict()
    codes = ", ".join(
        f"CASE WHEN gamma_{name} < 0 THEN -1 ELSE {len(levels[name]) - 1} - gamma_{name} END AS {name}"
        for name in kept
    )
    return comparing.misc.query_sql(
        f"SELECT {codes}, count(*) AS pairs FROM {predicted.physical_name} GROUP BY ALL ORDER BY ALL",
        output_type="pandas",
    )


def _without(settings: dict[str, Any], key: str) -> dict[str, Any]:
    """Settings whose levels lack an entry that Splink does not know."""
    comparisons = [
        one
        | {
            "comparison_levels": [
                {k: v for k, v in level.items() if k != key} for level in one["comparison_levels"]
            ]
        }
        for one in settings["comparisons"]
    ]
    return settings | {"comparisons": comparisons}


def _match_rate(table: pd.DataFrame, present: set[str]) -> float:
    """Probability that two random records are one person, from the number of sure pairs."""
    import duckdb

    rules = [columns for columns in SURE if set(columns) <= present]
    everything = max(len(table) * (len(table) - 1) / 2, 1.0)
    fewest = FEWEST_MATCHES * len(table) / everything
    sure = 0
    if rules:
        con = duckdb.connect()
        con.register("records", arrow(table))
        con.execute("CREATE VIEW mails AS SELECT unique_id, unnest(emails) AS emails FROM records")
        pairs = " UNION ".join(_agreeing(columns) for columns in rules)
        sure = con.execute(f"SELECT count(*) FROM ({pairs})").fetchall()[0][0]
    return min(0.5, max(sure / SURE_RECALL / everything, fewest))


def _agreeing(columns: tuple[str, ...]) -> str:
    """SELECT of the pairs that agree in all of these columns."""
    table = "mails" if columns == ("emails",) else "records"
    same = " AND ".join(f"l.{column} = r.{column}" for column in columns)
    pairs = f"{table} l JOIN {table} r ON l.unique_id < r.unique_id AND {same}"
    return f"SELECT l.unique_id, r.unique_id FROM {pairs}"


def _household_rate(table: pd.DataFrame, present: set[str]) -> float:
    """Probability that two random records with an address are two people of one household.

    Counted as pairs at one address with different first names; 0 without addresses.
    """
    if not {"address", "first_name"} <= present:
        return 0.0
    place = ["address", "postcode"] if "postcode" in present else ["address"]
    known = table.dropna(subset=[*place, "first_name"])
    everything = len(known) * (len(known) - 1) / 2
    together = pairs_within(known, place) - pairs_within(known, [*place, "first_name"])
    return together / everything if everything else 0.0
