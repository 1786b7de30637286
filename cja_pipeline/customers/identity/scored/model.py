"""The Splink model of one table, learnt from it without labels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.identity.scored.compare import (
    BLOCKS,
    PAIRS_PER_RECORD,
    SWAPPED_NAMES,
    comparisons,
)
from cja_pipeline.customers.identity.scored.learn import (
    Levels,
    expected_matches,
    non_null_levels,
    posterior,
)
from cja_pipeline.customers.identity.scored.linkage import filled

if TYPE_CHECKING:
    import pandas as pd
    from splink import Linker

# pairs that hardly ever are two people: their number tells how many matches there are at all
SURE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("email_key",), "l.email_key = r.email_key"),
    (
        ("first_name", "last_name", "birth_date"),
        "l.first_name = r.first_name and l.last_name = r.last_name and l.birth_date = r.birth_date",
    ),
    (
        ("first_name", "last_name", "address"),
        "l.first_name = r.first_name and l.last_name = r.last_name and l.address = r.address",
    ),
    (
        ("first_name", "birth_date", "postcode"),
        "l.first_name = r.first_name and l.birth_date = r.birth_date and l.postcode = r.postcode",
    ),
)
SURE_RECALL = 0.7  # share of all matches that the sure pairs are taken to find
# not addresses: there the model would learn families instead of people
TRAINING_BLOCKS = (("birth_date",), ("first_name", "last_name"), ("email_key",))
ENOUGH_PAIRS = 200  # fewer pairs in a training block teach nothing
SAMPLE_PAIRS = 1_000_000
SEED = 1


@dataclass(frozen=True)
class Model:
    """A trained model: Splink's settings, and what was measured about the data it was trained on.

    household_rate: probability that two random records are of different people of one household.
    match_rate: probability that two random records are of one person.
    """

    settings: dict[str, Any]
    match_rate: float
    household_rate: float
    records: int

    @property
    def version(self) -> str:
        """Fingerprint of everything that decides a score."""
        text = json.dumps([self.settings, self.match_rate, self.household_rate], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def linker(table: pd.DataFrame, settings: Any) -> Linker:
    """A Splink linker over a linkage table, on a database of its own and without its own logging."""
    import duckdb
    from splink import DuckDBAPI, Linker

    return Linker(DuckDBAPI(duckdb.connect()).register(table), settings, log_level=None)


def train(table: pd.DataFrame, precision: dict[str, float] | None = None) -> Model:
    """Learn a model from unlabelled records: how often columns agree by chance, and in matches.

    Chance (u) comes from random pairs, matches (m) from expectation maximisation inside blocks; what a table
    is too small to teach keeps its starting value. Values that are almost unique (addresses, numbers) meet by
    chance too rarely for random pairs: theirs follows from their measured precision.

    Args:
        table: a linkage table. precision: share of pairs that share an ``email_key`` or a number (``phones``)
            and are one person (``precision.identifier_precision``).
    """
    from splink import SettingsCreator, block_on

    present = filled(table)
    match_rate = _match_rate(table, present)
    most = PAIRS_PER_RECORD * len(table)
    blocks: list[Any] = [
        block_on(*columns)
        for columns in BLOCKS
        if set(columns) <= present and _pairs_within(table, list(columns)) <= most
    ]
    if {"first_name", "last_name"} <= present:
        blocks.append(SWAPPED_NAMES)
    if "phones" in present:
        blocks.append(block_on("phones", arrays_to_explode=["phones"]))
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=comparisons(present),
        blocking_rules_to_generate_predictions=blocks,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
        probability_two_random_records_match=match_rate,
    )
    learning = linker(table, settings)
    learning.training.estimate_u_using_random_sampling(max_pairs=SAMPLE_PAIRS + 1, seed=SEED)
    learnt = learning.misc.save_model_to_json()
    _floor_chance(learnt)
    for name, share in (precision or {}).items():
        _set_chance(learnt, name, match_rate, share)
    _learn_matches(learnt, table, present)
    for name, share in (precision or {}).items():
        _set_chance(learnt, name, match_rate, share)
    learnt["probability_two_random_records_match"] = match_rate
    return Model(learnt, match_rate, _household_rate(table, present), len(table))


def _learn_matches(learnt: dict[str, Any], table: pd.DataFrame, present: set[str]) -> None:
    """Set m of every level from all training blocks together."""
    import numpy as np

    levels = non_null_levels(learnt)
    start = {name: np.array([level["m_probability"] for level in parts]) for name, parts in levels.items()}
    start = {name: values / values.sum() for name, values in start.items()}
    found = {name: np.zeros(len(values)) for name, values in start.items()}
    for columns in TRAINING_BLOCKS:
        if set(columns) <= present and _pairs_within(table, list(columns)) >= ENOUGH_PAIRS:
            patterns = _patterns(table, learnt, columns, levels)
            for name, counts in expected_matches(patterns, levels, start).items():
                found[name] += counts
    for name, parts in levels.items():
        for level, share in zip(parts, posterior(found[name], start[name]), strict=True):
            level["m_probability"] = float(share)


def _patterns(
    table: pd.DataFrame, learnt: dict[str, Any], columns: tuple[str, ...], levels: Levels
) -> pd.DataFrame:
    """How often each pattern of agreement occurs among the pairs of a block, its own columns left out."""
    from splink import block_on

    kept = [name for name in levels if name not in columns]
    comparing = linker(
        table,
        learnt
        | {
            "blocking_rules_to_generate_predictions": [
                block_on(*columns).create_blocking_rule_dict("duckdb")
            ],
            "retain_matching_columns": True,
        },
    )
    predicted = comparing.inference.predict()
    codes = ", ".join(
        f"CASE WHEN gamma_{name} < 0 THEN -1 ELSE {len(levels[name]) - 1} - gamma_{name} END AS {name}"
        for name in kept
    )
    return comparing.misc.query_sql(
        f"SELECT {codes}, count(*) AS pairs FROM {predicted.physical_name} GROUP BY ALL ORDER BY ALL",
        output_type="pandas",
    )


def _floor_chance(learnt: dict[str, Any]) -> None:
    """Levels that no random pair was in get half a pair's share."""
    for parts in non_null_levels(learnt).values():
        for level in parts:
            known = level.get("u_probability")
            level["u_probability"] = max(known or 0.0, 0.5 / SAMPLE_PAIRS)


def _set_chance(learnt: dict[str, Any], name: str, match_rate: float, precision: float) -> None:
    """Set how often two people share a value so that its pairs are one person as often as measured."""
    for comparison in learnt["comparisons"]:
        if comparison["output_column_name"] == name:
            level = next(part for part in comparison["comparison_levels"] if not part.get("is_null_level"))
            level["u_probability"] = match_rate * level["m_probability"] * (1 - precision) / precision


def _pairs_within(table: pd.DataFrame, columns: list[str]) -> int:
    """Pairs of records that agree in all of these columns."""
    sizes = table.dropna(subset=columns).groupby(columns).size()
    return int((sizes * (sizes - 1) // 2).sum())


def _match_rate(table: pd.DataFrame, present: set[str]) -> float:
    """Probability that two random records are one person, from the number of sure pairs."""
    import duckdb

    rules = [rule for needed, rule in SURE if set(needed) <= present]
    everything = len(table) * (len(table) - 1) / 2
    if not rules or not everything:
        return 1e-4
    con = duckdb.connect()
    con.register("records", table)
    pairs = " UNION ".join(
        f"SELECT l.unique_id, r.unique_id FROM records l JOIN records r"
        f" ON {rule} AND l.unique_id < r.unique_id"
        for rule in rules
    )
    sure = con.execute(f"SELECT count(*) FROM ({pairs})").fetchall()[0][0]
    return min(0.5, max(sure, 1) / SURE_RECALL / everything)


def _household_rate(table: pd.DataFrame, present: set[str]) -> float:
    """Probability that two random records with an address are two people of one household.

    Counted as pairs at one address with different first names; 0 without addresses.
    """
    if not {"address", "first_name"} <= present:
        return 0.0
    place = ["address", "postcode"] if "postcode" in present else ["address"]
    known = table.dropna(subset=[*place, "first_name"])
    everything = len(known) * (len(known) - 1) / 2
    together = _pairs_within(known, place) - _pairs_within(known, [*place, "first_name"])
    return together / everything if everything else 0.0
