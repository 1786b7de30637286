"""Splink: learning on a database of its own, and its weights as one query where the records are; silent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.identity.exchange import arrow, fill
from cja_pipeline.spark.warehouse import SparkWarehouse
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from splink import Linker

THREADS = 2
PREDICTED = "__splink__df_predict"


def linker(records: pa.Table, settings: Any) -> Linker:
    """A linker over linkage rows (see ``linkage.prepare``), on a database of its own."""
    import duckdb
    from splink import DuckDBAPI, Linker

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute("SET enable_progress_bar = false")
    # insertion order costs memory and means nothing here
    connection.execute("SET preserve_insertion_order = false")
    records = DuckDBAPI(connection).register(records)
    return Linker(records, settings, log_level=None, validate_settings=False)


def prediction(settings: dict[str, Any], records: str, pairs: str, retain: Sequence[str]) -> str:
    """Splink's query for the weights of pairs, as the parts of a WITH; the last one is `PREDICTED`.

    A linker runs the same query, on copies of all tables and in steps that it keeps: so it costs half.

    Args:
        settings: of a trained model. records: table of its columns, with tf_<column> where it weighs by
            frequency. pairs: table of node, other. retain: columns of records, as <name>_l and <name>_r.
    """
    from splink.internals.comparison_vector_values import (
        compute_comparison_vector_values_from_id_pairs_sqls as compare,
    )
    from splink.internals.predict import predict_from_comparison_vectors_sqls_using_settings as weigh
    from splink.internals.settings_creator import SettingsCreator

    with quiet():
        creator = SettingsCreator.from_path_or_dict(settings | {"additional_columns_to_retain": [*retain]})
        model = creator.get_settings("duckdb")
        steps = compare(
            model._columns_to_select_for_blocking,
            model._columns_to_select_for_comparison_vector_values,
            records,
            records,
            None,
            model.column_info_settings.unique_id_input_column,
        ) + weigh(model)
    given = f"SELECT node AS join_key_l, other AS join_key_r, '0' AS match_key FROM {pairs}"
    return ", ".join(
        [
            f"__splink__blocked_id_pairs AS ({given})",
            *(f"{step['output_table_name']} AS ({step['sql']})" for step in steps),
        ]
    )


def make(wh: Warehouse, table: str, select: str, inputs: Sequence[str]) -> None:
    """The temporary table of a SELECT over some others (`inputs`), made on the cluster if `wh` has one."""
    if not isinstance(wh, SparkWarehouse):
        wh.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}")
        return
    from splink.internals.spark.database_api import SparkAPI

    session = wh.cluster.session
    SparkAPI(spark_session=session, break_lineage_method="persist")  # registers its functions
    for name in inputs:
        session.createDataFrame(arrow(wh, f"SELECT * FROM {name}")).createOrReplaceTempView(name)
    fill(wh, table, session.sql(on_spark(select)).toArrow())
    for name in inputs:
        session.catalog.dropTempView(name)


def on_spark(query: str) -> str:
    """A query of Splink for DuckDB in the words of Spark, and of the functions that Splink brings there."""
    from sqlglot import exp, parse_one

    tree = parse_one(query, read="duckdb")
    for likeness in list(tree.find_all(exp.JarowinklerSimilarity)):
        likeness.replace(exp.func("jaro_winkler", likeness.this, likeness.expression))
    for call in tree.find_all(exp.Anonymous):
        if call.name == "list_intersect":
            call.set("this", "array_intersect")
    return tree.sql("spark")


@contextmanager
def quiet() -> Iterator[None]:
    """Splink tells about every training step; only its errors matter here."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
