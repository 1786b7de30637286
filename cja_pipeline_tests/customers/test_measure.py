"""Quality figures against counting by hand and against all pairs."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.customers.identity.measure import cookie_quality, majority, quality


def test_by_hand() -> None:
    found = pd.Series(["x", "x", "x", "y", "y", "z"])
    truth = pd.Series(["p", "p", "q", "q", "q", "r"])
    result = quality(found, truth)
    # claimed pairs 3 + 1, true pairs 1 + 3, both 1 + 1
    assert (result.precision, result.recall) == (0.5, 0.5)
    assert result.bcubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1 + 1) / 6)
    assert result.over_merged == 0.5
    assert result.split == 0.5
    assert (result.records, result.groups, result.people, result.largest) == (6, 3, 3, 3)


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25)


@settings(max_examples=100, deadline=None)
@given(labels)
def test_as_all_pairs(drawn: list[tuple[int, int]]) -> None:
    found, truth = pd.Series([a for a, _ in drawn]), pd.Series([b for _, b in drawn])
    pairs = list(itertools.combinations(range(len(drawn)), 2))
    claimed = {p for p in pairs if found[p[0]] == found[p[1]]}
    real = {p for p in pairs if truth[p[0]] == truth[p[1]]}
    result = quality(found, truth)
    assert result.precision == pytest.approx(len(claimed & real) / len(claimed) if claimed else 1)
    assert result.recall == pytest.approx(len(claimed & real) / len(real) if real else 1)
    each = []
    for i in range(len(drawn)):
        mine = [j for j in range(len(drawn)) if found[j] == found[i]]
        each.append(sum(truth[j] == truth[i] for j in mine) / len(mine))
    assert result.bcubed_precision == pytest.approx(sum(each) / len(each))


def test_cookies() -> None:
    people = majority(pd.Series(["c1", "c1", "c2", "c2"]), pd.Series(["p", "p", "q", "p"]))
    assert people.to_dict() == {"c1": "p", "c2": "p"}
    visitors = pd.Series({"v1": "c1", "v2": "c1", "v3": "c2", "v4": "c2"})
    truth = pd.Series({"v1": "p", "v2": "q", "v3": "p"})
    result = cookie_quality(visitors, people, truth)
    assert result["attached"] == 4
    assert result["right"] == pytest.approx(2 / 3)


def test_without_truth() -> None:
    with pytest.raises(ValueError, match="no record has a truth"):
        quality(pd.Series(["x"]), pd.Series([None]))
