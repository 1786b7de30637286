"""What a model means on DuckDB is what it says on Spark; no Java is needed to see what is said."""

from __future__ import annotations

import pytest

from cja_pipeline.spark.transpile import UntranslatableError, bound, spark_type, to_spark
from cja_pipeline.tables import TABLES


def said(select: str) -> str:
    return to_spark(select, lambda name: f"cja_{name}")


def test_tables_are_found_and_renamed_and_names_of_the_query_are_not():
    select = "WITH a AS MATERIALIZED (SELECT * FROM kpis.x) SELECT * FROM a JOIN customers.y AS y USING (id)"
    assert said(select) == (
        "WITH a AS (SELECT * FROM cja_kpis.x) SELECT * FROM a JOIN cja_customers.y AS y USING (id)"
    )


def test_division_is_of_doubles_and_by_zero_is_null_at_every_depth():
    assert said("SELECT a / (b / 2)") == (
        "SELECT CAST(a AS DOUBLE) / NULLIF((CAST(b AS DOUBLE) / NULLIF(2, 0)), 0)"
    )


def test_differences_of_times_count_borders():
    assert said("SELECT date_diff('second', a, b)") == (
        "SELECT DATEDIFF(SECOND, DATE_TRUNC('SECOND', a), DATE_TRUNC('SECOND', b))"
    )
    assert "DATE_TRUNC" not in said("SELECT date_diff('microsecond', a, b)")


def test_infinity_is_compared_with_as_spark_cannot_ask_for_it():
    assert said("SELECT isinf(a)") == "SELECT ABS(a) = CAST('infinity' AS DOUBLE)"


def test_what_is_missing_is_left_out_of_a_text():
    assert said("SELECT concat('a', b)") == "SELECT CONCAT('a', COALESCE(b, ''))"


def test_nulls_are_last_as_in_duckdb():
    assert said("SELECT row_number() OVER (ORDER BY a)").endswith("ORDER BY a NULLS LAST)")


@pytest.mark.parametrize("call", ["hash(a)", "epoch(a)", "approx_quantile(a, 0.5)"])
def test_a_function_that_means_something_else_is_refused(call: str):
    with pytest.raises(UntranslatableError, match="gives other values on Spark"):
        said(f"SELECT {call} FROM kpis.x")


def test_every_declared_type_has_one_on_spark():
    declared = {column.type for table in TABLES.values() for column in table.columns.values()}
    assert {"VARCHAR", "UUID", "TIMESTAMP"} <= declared
    known = ("STRING", "BIGINT", "INT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP_NTZ", "DECIMAL(", "ARRAY<")
    assert {kind for kind in declared if not spark_type(kind).startswith(known)} == set()


def test_parameters_are_bound_as_values_never_as_text():
    assert bound("SELECT $a + 1, $b", {"a": 2, "b": "it's'; DROP TABLE x"}) == (
        "SELECT 2 + 1, 'it''s''; DROP TABLE x'"
    )
