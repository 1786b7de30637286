"""Metrics that replace those of Great Expectations: faster uniqueness, and no fetching of rows.

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
    """Register the metrics in place of the original ones, once per process."""
    import logging

    import great_expectations.expectations.core  # noqa: F401  (registers the originals first)
    from great_expectations.core.metric_function_types import MetricFunctionTypes
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.expectations.registry import get_metric_provider, register_metric

    logger = logging.getLogger("great_expectations.expectations.registry")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of every replacement
    common = ("batch_id", "table", "row_condition", "condition_parser")
    replacements: list[tuple[str, str, tuple[str, ...], tuple[str, ...], Any]] = [
        ("column_values.unique.unexpected_count", "column_values.unique.condition", ("column",), (), _count),
        ("column_values.unique.unexpected_values", "column_values.unique.condition", ("column",),
         ("result_format",), _no_samples),
        ("compound_columns.unique.unexpected_count", "compound_columns.unique.condition",
         ("column_list", "ignore_row_if"), (), _count),
        ("compound_columns.unique.unexpected_values", "compound_columns.unique.condition",
         ("column_list", "ignore_row_if"), ("result_format",), _no_samples),
        ("unexpected_rows_query.table", "unexpected_rows_query.table", (), ("unexpected_rows_query",),
         _no_samples),
    ]  # fmt: skip
    engine = SqlAlchemyExecutionEngine.__new__(SqlAlchemyExecutionEngine)  # the look-up wants an instance
    try:
        for name, original, domain, values, function in replacements:
            owner: Any = get_metric_provider(original, engine)[0]
            register_metric(
                metric_name=name,
                metric_domain_keys=(*common, *domain),
                metric_value_keys=values,
                execution_engine=SqlAlchemyExecutionEngine,
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
