"""What replaces parts of Great Expectations: faster uniqueness, no fetching of rows, nothing done twice.

Duplicates are counted there with a window over the whole table, and sampled with a second one. Here
distinct digests are counted first, and groups only if those fall short: the same counts, no samples. Rows
whose key is null as a whole are left out, as in the original; in keys of several columns two nulls count as
equal, as they do in the loader's own split.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def install() -> None:
    """Put the replacements in place, once per process."""
    import logging

    _spell_out_once()

    import great_expectations.expectations.core  # noqa: F401  (registers the originals first)
    from great_expectations.core.metric_function_types import MetricFunctionTypes
    from great_expectations.execution_engine import SparkDFExecutionEngine, SqlAlchemyExecutionEngine
    from great_expectations.expectations.registry import get_metric_provider, register_metric

    logger = logging.getLogger("great_expectations.expectations.registry")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of every replacement
    common = ("batch_id", "table", "row_condition", "condition_parser")
    sql, spark = SqlAlchemyExecutionEngine, SparkDFExecutionEngine
    replacements: list[tuple[Any, str, str, tuple[str, ...], tuple[str, ...], Any]] = [
        (sql, "column_values.unique.unexpected_count", "column_values.unique.condition", ("column",), (),
         _count),
        (sql, "column_values.unique.unexpected_values", "column_values.unique.condition", ("column",),
         ("result_format",), _no_samples),
        (sql, "compound_columns.unique.unexpected_count", "compound_columns.unique.condition",
         ("column_list", "ignore_row_if"), (), _count),
        (sql, "compound_columns.unique.unexpected_values", "compound_columns.unique.condition",
         ("column_list", "ignore_row_if"), ("result_format",), _no_samples),
        (sql, "unexpected_rows_query.table", "unexpected_rows_query.table", (), ("unexpected_rows_query",),
         _no_samples),
        (spark, "unexpected_rows_query.table", "unexpected_rows_query.table", (), ("unexpected_rows_query",),
         _no_samples),
    ]  # fmt: skip
    try:
        for engine, name, original, domain, values, function in replacements:
            # the look-up wants an instance
            owner: Any = get_metric_provider(original, engine.__new__(engine))[0]
            register_metric(
                metric_name=name,
                metric_domain_keys=(*common, *domain),
                metric_value_keys=values,
                execution_engine=engine,
                metric_class=owner,
                metric_provider=function,
                metric_fn_type=MetricFunctionTypes.VALUE,
            )
    finally:
        logger.setLevel(level)


def _count(
    cls: Any,
    execution_engine: Any,
    metric_domain_kwargs: Any,
    metric_value_kwargs: Any,
    metrics: Any,
    **_: Any,
) -> int:
    """Rows whose key occurs more than once."""
    import sqlalchemy as sa

    names = metric_domain_kwargs.get("column_list") or [metric_domain_kwargs["column"]]
    keys: list[Any] = [sa.column(str(name)) for name in names]
    rows = execution_engine.get_domain_records(domain_kwargs=metric_domain_kwargs)
    rows = rows.subquery() if hasattr(rows, "subquery") else rows
    present = sa.or_(*(key.is_not(None) for key in keys))
    quick = sa.select(sa.func.count() - sa.func.count(sa.distinct(sa.func.hash(*keys)))).select_from(rows)
    if not execution_engine.execute_query(quick.where(present)).scalar():
        return 0
    groups = (
        sa.select(sa.func.count().label("members"))
        .select_from(rows)
        .where(present)
        .group_by(*keys)
        .having(sa.func.count() > 1)
        .subquery()
    )
    exact = sa.select(sa.func.coalesce(sa.func.sum(groups.c.members), 0))
    return int(execution_engine.execute_query(exact).scalar())


def _no_samples(*_: Any, **__: Any) -> list[Any]:
    """No values: results hold counts only."""
    return []


def _spell_out_once() -> None:
    """Keep two things that are made again and again and come out the same.

    An expectation spells its configuration out some ninety times while it is evaluated, and does not change
    meanwhile; a context in memory writes all its settings out, for nobody, whenever a table is added.
    """
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation

    spell_out = vars(Expectation)["configuration"].fget

    def configuration(self: Expectation) -> Any:
        if "_spelled_out" not in self.__dict__:
            self.__dict__["_spelled_out"] = spell_out(self)
        return self.__dict__["_spelled_out"]

    Expectation.configuration = property(configuration)  # type: ignore[method-assign, assignment]
    EphemeralDataContext._save_project_config = lambda self: None  # type: ignore[method-assign]
