"""Row rules as SQL: the declarations that Great Expectations checks, compiled into predicates on one row.

A predicate is true for a row that breaks the rule. Where a value is missing the comparison is unknown and
the row passes that rule (but equality of two columns, where a single missing value is a difference), exactly
as in Great Expectations on SQL; completeness has rules of its own. A test compares the two for every type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cja_pipeline.sql import literal, name
from cja_pipeline.validated.suites import Expectation

_ROWS = re.compile(
    r"^\s*select\s+\*\s+from\s+\{batch\}\s+where\s+(?P<predicate>.+?)\s*$", re.IGNORECASE | re.DOTALL
)
_OPERATORS = {"==": "=", "!=": "<>"}


class RuleError(ValueError):
    """A row rule that cannot be compiled; the message names its code."""


def broken(rule: Expectation) -> str:
    """SQL that is true for a row that breaks the rule.

    Raises:
        RuleError: the rule depends on parameters of the run, or its query has another form than
            ``SELECT * FROM {batch} WHERE …``.
    """
    if "$PARAMETER" in str(rule.kwargs):
        raise RuleError(f"{rule.code}: a row rule cannot depend on parameters of the run")
    predicate = _COMPILERS[rule.type](rule)
    for condition in rule.conditions:
        predicate = f"({predicate}) AND {_condition(condition)}"
    return predicate


def _condition(condition: list[Any]) -> str:
    column, operator = name(condition[0]), condition[1]
    if len(condition) == 2:
        return f"{column} {operator.upper()}"
    return f"{column} {_OPERATORS.get(operator, operator)} {literal(condition[2])}"


def _column(rule: Expectation) -> str:
    return name(rule.kwargs["column"])


def outside_set(subject: str, values: Sequence[Any]) -> str:
    """SQL that is true for a value that is there and not among these; DuckDB looks through a list ten times
    as fast as through ``NOT IN`` where most rows have no value."""
    members = ", ".join(map(literal, values))
    return f"{subject} IS NOT NULL AND list_position([{members}], {subject}) IS NULL"


def _outside(rule: Expectation, subject: str) -> str:
    kwargs, parts = rule.kwargs, []
    if kwargs.get("min_value") is not None:
        operator = "<=" if kwargs.get("strict_min") else "<"
        parts.append(f"{subject} {operator} {literal(kwargs['min_value'])}")
    if kwargs.get("max_value") is not None:
        operator = ">=" if kwargs.get("strict_max") else ">"
        parts.append(f"{subject} {operator} {literal(kwargs['max_value'])}")
    if not parts:
        raise RuleError(f"{rule.code}: neither min_value nor max_value is given")
    return " OR ".join(parts)


def _pair(rule: Expectation) -> str:
    operator = "<" if rule.kwargs.get("or_equal") else "<="
    return f"{name(rule.kwargs['column_A'])} {operator} {name(rule.kwargs['column_B'])}"


def _query(rule: Expectation) -> str:
    match = _ROWS.match(rule.kwargs["unexpected_rows_query"])
    if match is None:
        raise RuleError(f"{rule.code}: as a row rule the query must read SELECT * FROM {{batch}} WHERE ...")
    return match["predicate"]


_COMPILERS: dict[str, Callable[[Expectation], str]] = {
    "expect_column_values_to_not_be_null": lambda rule: f"{_column(rule)} IS NULL",
    "expect_column_values_to_be_in_set": lambda rule: outside_set(_column(rule), rule.kwargs["value_set"]),
    "expect_column_values_to_not_be_in_set": lambda rule: (
        f"{_column(rule)} IN ({', '.join(map(literal, rule.kwargs['value_set']))})"
    ),
    "expect_column_values_to_be_between": lambda rule: _outside(rule, _column(rule)),
    "expect_column_value_lengths_to_be_between": lambda rule: _outside(rule, f"length({_column(rule)})"),
    "expect_column_values_to_match_regex": lambda rule: (
        f"NOT regexp_matches({_column(rule)}, {literal(rule.kwargs['regex'])})"
    ),
    "expect_column_values_to_not_match_regex": lambda rule: (
        f"regexp_matches({_column(rule)}, {literal(rule.kwargs['regex'])})"
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair,
    "expect_column_pair_values_to_be_equal": lambda rule: (
        f"{name(rule.kwargs['column_A'])} IS DISTINCT FROM {name(rule.kwargs['column_B'])}"
    ),
    "unexpected_rows_expectation": _query,
}
