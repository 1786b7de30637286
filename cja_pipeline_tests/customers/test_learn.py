"""What matches look like is learnt without labels, and what is not believed is not learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.customers.identity.scored.learn import expected_matches, posterior
from cja_pipeline.customers.identity.tabular.model import believable


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
