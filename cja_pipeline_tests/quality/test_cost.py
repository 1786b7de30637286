"""The benchmark of checking compares like with like."""

from __future__ import annotations

from cja_pipeline.quality.cost import compare


def test_both_ways_count_the_same_broken_rows() -> None:
    by_hand, by_gx = compare(20_000)
    assert by_gx["counts_differ"] == []
    assert by_hand["failing"] == by_gx["failing"] > 100
    assert by_hand["checks"] > 15
