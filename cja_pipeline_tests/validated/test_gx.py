"""Great Expectations on the warehouse: counts without values, uniqueness, the guard around its import."""

from __future__ import annotations

import pytest

from cja_pipeline.validated import gx
from cja_pipeline.validated.suites import Suite
from cja_pipeline.warehouse import Warehouse

VOLUME = {"code": "volume", "type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}


def test_great_expectations_results_hold_no_values(warehouse: Warehouse) -> None:
    warehouse.execute("CREATE TABLE customers.sample AS SELECT 'Zzcanary' AS text, 1 AS n FROM range(3)")
    entry = {"description": "d", "advice": "a"}
    suite = Suite.model_validate({
        "table": "customers.sample",
        "expectations": [
            entry | VOLUME,
            entry | {"code": "in_set", "type": "expect_column_values_to_be_in_set",
                     "kwargs": {"column": "text", "value_set": ["x"]}},
            entry | {"code": "unique", "type": "expect_column_values_to_be_unique",
                     "kwargs": {"column": "text"}},
            entry | {"code": "compound", "type": "expect_compound_columns_to_be_unique",
                     "kwargs": {"column_list": ["text", "n"]}},
            entry | {"code": "query_rows", "type": "unexpected_rows_expectation",
                     "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE text = 'Zzcanary'"}},
        ],
    })  # fmt: skip
    found = gx.validate(warehouse, "customers.sample", suite.expectations, {})
    counts = {code: answer["result"].get("unexpected_count") for code, answer in found.items()}
    assert counts == {"volume": None, "in_set": 3, "unique": 3, "compound": 3, "query_rows": None}
    assert found["query_rows"]["result"]["observed_value"] == 3
    rest = {code: answer for code, answer in found.items() if code != "in_set"}
    assert "canary" not in str(rest)
    assert "canary" not in str({k: x for k, x in found["in_set"]["result"].items()})


def test_uniqueness_counts_like_the_original(warehouse: Warehouse) -> None:
    warehouse.execute(
        "CREATE TABLE customers.sample AS SELECT * FROM (VALUES ('a', 1), ('a', 1), ('a', 2), ('b', 1), "
        "(NULL, NULL), (NULL, NULL), (NULL, 7), (NULL, 7)) AS t(k, n)"
    )
    words = {"description": "d", "advice": "a"}
    entries = Suite.model_validate({
        "table": "customers.sample",
        "expectations": [
            words | VOLUME,
            words | {"code": "single", "type": "expect_column_values_to_be_unique",
                     "kwargs": {"column": "k"}},
            words | {"code": "where", "type": "expect_column_values_to_be_unique",
                     "kwargs": {"column": "k", "row_condition": ["n", "==", 1]}},
            words | {"code": "both", "type": "expect_compound_columns_to_be_unique",
                     "kwargs": {"column_list": ["k", "n"]}},
        ],
    }).expectations  # fmt: skip
    found = gx.validate(warehouse, "customers.sample", entries, {})
    counts = {code: answer["result"].get("unexpected_count") for code, answer in found.items()}
    assert counts == {"volume": None, "single": 3, "where": 2, "both": 4}


def test_the_main_module_gets_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    gx._great_expectations()
    assert sys.modules["__main__"].__file__
