"""A SQL model, which is written for DuckDB, as the same SELECT for Spark.

sqlglot does most of it. What it lets through with another meaning is put right here; a parity test compares
the rows of every table's model on both engines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DUCKDB, SPARK = "duckdb", "spark"
FINEST = "MICROSECOND"  # of both engines
DIFFERENT = ("HASH", "QUANTILE", "APPROX_QUANTILE", "TIME_TO_UNIX")  # same name, other numbers
TYPES = {"VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ", "INTEGER": "INT", "UUID": "STRING"}


class UntranslatableError(ValueError):
    """A model uses what has another meaning on Spark; the message names it."""


def to_spark(select: str, place: Callable[[str], str]) -> str:
    """A DuckDB SELECT as Spark SQL.

    Args:
        place: what a table, ``schema.table``, is called on Spark.
    Raises:
        UntranslatableError: a function of the same name gives other values there.
    """
    from sqlglot import exp, parse_one

    tree = parse_one(select, read=DUCKDB)
    for table in tree.find_all(exp.Table):
        if table.db:
            schema, _, name = place(f"{table.db}.{table.name}").rpartition(".")
            table.set("db", exp.to_identifier(schema))
            table.set("this", exp.to_identifier(name))
    for cte in tree.find_all(exp.CTE):
        cte.set("materialized", None)  # Spark decides that itself
    for function in tree.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if name.upper() in DIFFERENT:
            raise UntranslatableError(f"{name} gives other values on Spark: a model must not use it")
    for division in tree.find_all(exp.Div):
        # decimals are divided as doubles, and a division by zero is null
        division.set("this", exp.cast(division.this, "DOUBLE"))
        division.set("expression", exp.func("NULLIF", division.expression, exp.Literal.number(0)))
    for difference in tree.find_all(exp.DateDiff):
        # the borders of the unit that lie between, not whole units
        unit = exp.var(difference.args["unit"].name.upper())
        for end in ("this", "expression") if unit.name != FINEST else ():
            difference.set(end, exp.TimestampTrunc(this=difference.args[end], unit=unit))
    for test in list(tree.find_all(exp.IsInf)):
        infinite = exp.cast(exp.Literal.string("infinity"), "DOUBLE")
        test.replace(exp.EQ(this=exp.func("ABS", test.this), expression=infinite))
    return tree.sql(SPARK)


def bound(select: str, params: dict[str, Any]) -> str:
    """A SELECT with its ``$name`` parameters as literals; still DuckDB's."""
    from sqlglot import exp, parse_one

    tree = parse_one(select, read=DUCKDB)
    for parameter in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        parameter.replace(exp.convert(params[parameter.name]))
    return tree.sql(DUCKDB)


def spark_type(declared: str) -> str:
    """A declared column type in Spark's words."""
    if declared.endswith("[]"):
        return f"ARRAY<{spark_type(declared[:-2])}>"
    return TYPES.get(declared, declared)
