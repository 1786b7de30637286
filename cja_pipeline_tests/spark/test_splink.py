"""Splink on Spark weighs pairs as Splink on DuckDB does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity.pairs import weights
from cja_pipeline.customers.identity.scored.engine import on_spark
from cja_pipeline.customers.identity.scored.model import current
from cja_pipeline.spark.warehouse import SparkWarehouse
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.spark.conftest import URL

ALIKE = 0.995  # of the pairs; implementations of Jaro-Winkler differ near their thresholds


def test_queries_of_splink_use_the_functions_that_it_registers():
    near = on_spark('SELECT jaro_winkler_similarity("a_l", "a_r") >= 0.92')
    assert near == "SELECT JARO_WINKLER(`a_l`, `a_r`) >= 0.92"
    meet = on_spark('SELECT array_length(list_intersect("b_l", "b_r")) >= 1')
    assert meet == "SELECT SIZE(ARRAY_INTERSECT(`b_l`, `b_r`)) >= 1"


@pytest.mark.slow
@pytest.mark.spark
def test_weights_of_pairs_are_alike(java: None, night: Path, tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(night / "warehouse.duckdb", path)
    model = current(None)
    with Warehouse(path) as wh:
        # everybody with the next in line, too: most of these pairs have nothing in common
        pairs = wh.df(
            "SELECT node, other FROM customers.identity_pairs UNION "
            "SELECT * FROM (SELECT node, lead(node) OVER (ORDER BY node) AS other "
            "FROM customers.identity_records) AS neighbours WHERE other IS NOT NULL"
        )
        expected = weights(wh, identity(), model, pairs)
    with SparkWarehouse(path, url=URL, lake=tmp_path / "lake") as wh:
        found = weights(wh, identity(), model, pairs)
    both = expected.merge(found, on=["node", "other"], suffixes=("", "_spark"), validate="one_to_one")
    assert len(both) == len(expected) == len(found) > 300
    assert (both["is_personal"] == both["is_personal_spark"]).all()
    assert ((both["weight"] - both["weight_spark"]).abs() < 1e-6).mean() >= ALIKE
    assert both["weight"].nunique() > 50


@pytest.mark.slow
@pytest.mark.spark
def test_a_night_without_pairs_has_no_weights(java: None, night: Path, tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(night / "warehouse.duckdb", path)
    with SparkWarehouse(path, url=URL, lake=tmp_path / "lake") as wh:
        none = wh.df("SELECT node, other FROM customers.identity_pairs WHERE false")
        assert weights(wh, identity(), current(None), none).empty
        wh.execute("DELETE FROM customers.identity_records")
        assert weights(wh, identity(), current(None), none).empty
