"""The model of every table on both engines over the tables of one night: DuckDB is the truth for Spark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.settings import get_settings
from cja_pipeline.spark.warehouse import SparkWarehouse
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.suites import load_suite
from cja_pipeline_tests.spark.conftest import URL

pytestmark = [pytest.mark.slow, pytest.mark.spark]

MODELS = sorted(
    t.full_name for t in TABLES.values() if t.model_path.is_file() and "$" not in t.model_path.read_text()
)
QUERY = "unexpected_rows_query"
QUERIES = [
    (name, one.code)
    for name in TABLES
    if (suite := load_suite(name))
    for one in suite.expectations
    if QUERY in one.kwargs and "$" not in one.kwargs[QUERY]
]
NUMBERS = (int, float, Decimal)


@pytest.fixture(scope="module")
def wh(java: None, night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkWarehouse]:
    """The tables of a DuckDB night, opened with Spark."""
    import shutil

    folder = tmp_path_factory.mktemp("models")
    shutil.copy(night / "warehouse.duckdb", folder)
    with SparkWarehouse(folder / "warehouse.duckdb", url=URL, lake=folder / "lake") as opened:
        yield opened


def rows(table: Any) -> list[tuple[Any, ...]]:
    def place(row: tuple[Any, ...]) -> tuple[tuple[bool, str], ...]:
        return tuple((value is not None, shown(value)) for value in row)

    return sorted((tuple(row.values()) for row in table.to_pylist()), key=place)


def shown(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, NUMBERS) else str(value)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, NUMBERS) and isinstance(other, NUMBERS):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_the_same_rows_on_spark(wh: SparkWarehouse, name: str):
    model = TABLES[name].model_path.read_text(encoding="utf-8")
    present = [row[0] for row in wh.sql(f"DESCRIBE {model}").fetchall()]
    declared = {column: spec.type for column, spec in TABLES[name].columns.items()}
    columns = ", ".join(
        f'CAST("{column}" AS {declared[column]}) AS "{column}"' if column in declared else f'"{column}"'
        for column in present
    )
    select = f"SELECT {columns} FROM ({model}\n) AS model"
    expected = rows(wh.connection.sql(select).to_arrow_table())
    found = rows(wh.frame(select).toArrow())
    assert len(found) == len(expected)
    different = [
        (one, other) for one, other in zip(expected, found, strict=True) if not all(map(same, one, other))
    ]
    assert different == []


@pytest.mark.parametrize(("table", "code"), QUERIES)
def test_a_query_of_a_suite_finds_as_many_rows_on_spark(wh: SparkWarehouse, table: str, code: str):
    if not wh.exists(table):
        pytest.skip("the night had no such table")
    suite = load_suite(table)
    assert suite is not None
    (query,) = (one.kwargs[QUERY] for one in suite.expectations if one.code == code)
    select = f"SELECT count(*) AS rows FROM ({query.replace('{batch}', table)}) AS unexpected"
    assert wh.frame(select).collect()[0]["rows"] == wh.scalar(select)


def test_most_models_have_rows_to_compare(wh: SparkWarehouse):
    filled = [name for name in MODELS if wh.exists(name) and wh.count(name)]
    assert len(filled) >= len(MODELS) - 2
    assert get_settings().spark_url is None  # the truth was made by DuckDB
