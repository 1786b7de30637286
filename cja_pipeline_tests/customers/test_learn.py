"""What matches look like is learnt without labels, and what is not believed is not learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.scored.blocks import affordable_blocks
from cja_pipeline.customers.identity.scored.learn import expected_matches, posterior
from cja_pipeline.customers.identity.tabular.model import believable
from cja_pipeline.warehouse import Warehouse


def test_weights_are_learnt_from_patterns() -> None:
    rng = np.random.default_rng(1)
    true_m, chance, pairs, share = [0.9, 0.1], [0.02, 0.98], 20_000, 0.3
    match = rng.random(pairs) < share
    patterns = pd.DataFrame(
        {
            name: np.where(match, rng.random(pairs) >= true_m[0], rng.random(pairs) >= chance[0]).astype(int)
            for name in ("a", "b", "c")
        }
    )
    patterns = patterns.groupby(["a", "b", "c"]).size().reset_index(name="pairs")
    levels = {name: [{"u_probability": value} for value in chance] for name in ("a", "b", "c")}
    start = {name: np.array([0.7, 0.3]) for name in ("a", "b", "c")}
    expected = expected_matches(patterns, levels, start)
    for name in ("a", "b", "c"):
        assert posterior(expected[name], start[name])[0] == pytest.approx(0.9, abs=0.02)
        assert expected[name].sum() == pytest.approx(share * pairs, rel=0.05)


def test_relatives_are_not_believed_to_be_matches() -> None:
    # two of three "matches" with another first name: that is a family, not one person
    assert believable(np.array([0.3, 0.05, 0.65]), worst=0.25).tolist() == pytest.approx(
        [0.3 * 0.75 / 0.35, 0.05 * 0.75 / 0.35, 0.25]
    )
    assert believable(np.array([0.8, 0.15, 0.05]), worst=0.25).tolist() == [0.8, 0.15, 0.05]


def test_blocks_are_taken_by_how_few_pairs_they_make() -> None:
    """40 records of one city: 10 families of 4, of whom two share a birth date."""
    rules = config.identity()

    def chosen(pairs: int) -> set[tuple[str, ...]]:
        few = rules.candidates.model_copy(update={"pairs_per_record": 0.001, "pairs_at_least": pairs})
        present = {"first_name", "last_name", "birth_date", "postcode", "city"}
        return set(affordable_blocks(wh, rules.model_copy(update={"candidates": few}), present))

    with Warehouse(":memory:") as wh:
        wh.ensure("customers.identity_records")
        wh.execute(
            "INSERT INTO customers.identity_records BY NAME SELECT i AS node, concat('r', i) AS record_key,"
            " 'contact' AS kind, 'crm' AS source, 0 AS content, concat('given', i) AS first_name,"
            " concat('given', i) AS given, concat('family', i // 4) AS last_name,"
            " CASE WHEN i % 4 < 2 THEN concat('1980010', i // 4) END AS birth_date, '10115' AS postcode,"
            " 'berlin' AS city FROM range(40) t (i)"
        )
        # surname and birth date make 10 pairs, like three other blocks; surname and postcode make 60
        assert ("last_name", "birth_date") in chosen(60)
        assert ("last_name", "postcode") not in chosen(60)
        assert ("last_name", "postcode") in chosen(1000)
        assert ("last_name", "address") not in chosen(1000)  # nobody has one
