"""Great Expectations at work: one suite on one table of an open warehouse, results as plain dictionaries.

Loading Great Expectations takes seconds of CPU, so it happens in here only. It runs on its own SQL engine
over the warehouse's connection, or on its Spark engine where models run on Spark. Nothing leaves this module
but counts: samples of values are excluded.
"""

from __future__ import annotations

import logging
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cja_pipeline.spark.warehouse import SparkWarehouse
from cja_pipeline.validated.suites import Expectation
from cja_pipeline.warehouse import Warehouse

BATCH_NAME = "the_batch"
RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "exclude_unexpected_values": True,
    "partial_unexpected_count": 0,
    "return_unexpected_index_query": False,
}


def validate(
    warehouse: Warehouse, relation: str, expectations: Sequence[Expectation], parameters: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Evaluate expectations on a table or view of the warehouse.

    Returns, per code: ``success``, ``result`` (counts and observed numbers) and ``error`` (None, or why it
    could not be evaluated). An expectation that Great Expectations lost on the way is an error, never a
    success.
    """
    gx = _great_expectations()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    settings = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    context = gx.get_context(project_config=settings, mode="ephemeral")
    natives = [_native(entry) for entry in expectations]
    if isinstance(warehouse, SparkWarehouse):
        _translate_queries(warehouse, natives)
        opened = _spark_batch(context, warehouse, relation)
    else:
        opened = _sql_batch(context, warehouse, relation)
    with opened as batch:
        suite = gx.ExpectationSuite(name="suite", expectations=natives)
        answer = batch.validate(
            suite, result_format=RESULT_FORMAT, expectation_parameters=dict(parameters) or None
        )
    found = {}
    for one in answer.results:
        code = one.expectation_config.meta["code"]
        error = _error_of(one)
        found[code] = {"success": bool(one.success), "result": dict(one.result or {}), "error": error}
    for entry in expectations:
        found.setdefault(entry.code, {"success": False, "result": {}, "error": "no result came back"})
    return found


@contextmanager
def _sql_batch(context: Any, warehouse: Warehouse, relation: str) -> Iterator[Any]:
    """The relation on the warehouse's own connection."""
    from cja_pipeline.validated.dialect import DuckDBDialect, exposed

    schema, _, table = relation.rpartition(".")
    with exposed(warehouse.connection) as url:
        source = context.data_sources.add_sql("warehouse", connection_string=url, create_temp_table=False)
        # Great Expectations chooses the regular expression function by this module-like object; under this
        # name it emits REGEXP_MATCHES, which in DuckDB searches anywhere in the text
        engine = source.get_execution_engine()
        engine.dialect_module = types.SimpleNamespace(DremioDialect=DuckDBDialect)
        asset = source.add_table_asset("batch", table_name=table, schema_name=schema or None)
        yield asset.add_batch_definition_whole_table("all").get_batch()


@contextmanager
def _spark_batch(context: Any, warehouse: SparkWarehouse, relation: str) -> Iterator[Any]:
    """The relation as a DataFrame, kept in the cluster's memory while its checks run."""
    schema, _, table = relation.rpartition(".")
    frame = warehouse.frame(
        warehouse.view_text(f"{schema or 'main'}.{table}") or f"FROM {relation}"
    ).persist()
    try:
        source = context.data_sources.add_spark("warehouse", persist=False)
        whole = source.add_dataframe_asset("batch").add_batch_definition_whole_dataframe("all")
        yield whole.get_batch(batch_parameters={"dataframe": frame})
    finally:
        frame.unpersist()


def _translate_queries(warehouse: SparkWarehouse, natives: Sequence[dict[str, Any]]) -> None:
    for kwargs in (native["kwargs"] for native in natives):
        if query := kwargs.get("unexpected_rows_query"):
            # {batch} is for Great Expectations to fill in: it goes through the translation as a name
            text = warehouse.translated(query.replace("{batch}", BATCH_NAME))
            kwargs["unexpected_rows_query"] = text.replace(BATCH_NAME, "{batch}")


def _native(entry: Expectation) -> dict[str, Any]:
    kwargs = {key: value for key, value in entry.kwargs.items() if key != "row_condition"}
    parts = [_condition(condition) for condition in entry.conditions]
    if parts:
        kwargs["row_condition"] = parts[0] if len(parts) == 1 else {"type": "and", "conditions": parts}
    return {"type": entry.type, "kwargs": kwargs, "severity": entry.severity, "meta": {"code": entry.code}}


def _condition(condition: list[Any]) -> dict[str, Any]:
    column = {"name": condition[0]}
    if len(condition) == 2:
        return {"type": "nullity", "column": column, "is_null": condition[1] == "is null"}
    return {
        "type": "comparison", "column": column, "operator": condition[1], "parameter": condition[2],
    }  # fmt: skip


def _error_of(one: Any) -> str | None:
    """The exception that Great Expectations swallowed, without quoted values, or None.

    It comes in two shapes: flat, or keyed by the metric that failed.
    """
    information = one.exception_info or {}
    shapes = [information, *(value for value in information.values() if isinstance(value, dict))]
    for shape in shapes:
        if shape.get("raised_exception"):
            first = str(shape.get("exception_message") or "unknown error").strip().splitlines()[0]
            return f"could not be evaluated: {first[:200]}"
    if not one.success and not one.result:
        return "could not be evaluated: empty result"
    return None


def _great_expectations() -> Any:
    """The module, loaded safely and with the faster uniqueness metrics in place."""
    main = sys.modules.get("__main__")
    if main is not None and not hasattr(main, "__file__"):
        # with pyspark installed, its import ends the process of a spawned worker that has no __main__ file
        main.__file__ = __file__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pyspark about pandas 3, where it is installed
        import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    from cja_pipeline.validated.gx_metrics import install

    install()
    return gx
