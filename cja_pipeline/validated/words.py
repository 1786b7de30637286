"""What an expectation expects, in words for a person."""

from __future__ import annotations

from typing import Any

from cja_pipeline.validated.suites import Expectation

MEMBERS_TOLD = 12
PARAMETERS = {
    "fresh_after": "the begin of the newest loaded day",
    "week_before": "a week before the newest loaded day",
    "week_before_day": "a week before the newest loaded day",
    "rows_before": "as many as at the last check",
    "rows_least": "90 % of those at the last check",
}
_OPERATORS = {"==": "is", "!=": "is not", "is null": "is missing", "is not null": "is present"}


def expected_of(entry: Expectation) -> str:
    """The expectation as a short sentence, its condition and tolerance included."""
    text = _core(entry)
    if entry.conditions:
        parts = [
            " ".join(str(part) for part in (one[0], _OPERATORS.get(one[1], one[1]), *one[2:]))
            for one in entry.conditions
        ]
        text += " where " + " and ".join(parts)
    mostly = entry.kwargs.get("mostly")
    if mostly is not None and mostly < 1:
        text += f", for at least {100 * mostly:g} % of the rows"
    return text


def _core(entry: Expectation) -> str:
    kwargs, column = entry.kwargs, entry.kwargs.get("column", "")
    match entry.type:
        case "expect_column_values_to_not_be_null":
            return f"{column} is present"
        case "expect_column_values_to_be_null":
            return f"{column} is missing"
        case "expect_column_values_to_be_in_set" | "expect_column_distinct_values_to_be_in_set":
            return f"{column} is one of {_members(kwargs['value_set'])}"
        case "expect_column_values_to_not_be_in_set":
            return f"{column} is none of {_members(kwargs['value_set'])}"
        case "expect_column_distinct_values_to_contain_set":
            return f"{column} contains {_members(kwargs['value_set'])}"
        case "expect_column_values_to_match_regex":
            return f"{column} matches {kwargs['regex']}"
        case "expect_column_values_to_not_match_regex":
            return f"{column} does not match {kwargs['regex']}"
        case "expect_column_values_to_be_unique":
            return f"{column} occurs once"
        case "expect_compound_columns_to_be_unique":
            return f"{', '.join(kwargs['column_list'])} occur once together"
        case "expect_column_pair_values_a_to_be_greater_than_b":
            words = "is not below" if kwargs.get("or_equal") else "is above"
            return f"{kwargs['column_A']} {words} {kwargs['column_B']}"
        case "expect_column_pair_values_to_be_equal":
            return f"{kwargs['column_A']} equals {kwargs['column_B']}"
        case "expect_table_row_count_to_be_between":
            return f"rows {_range(kwargs)}"
        case "expect_column_value_lengths_to_be_between":
            return f"length of {column} {_range(kwargs)}"
        case "unexpected_rows_expectation":
            query = kwargs["unexpected_rows_query"]
            simple = query.startswith("SELECT * FROM {batch} WHERE ")
            return f"no row where {query.split('WHERE ', 1)[1].strip()}" if simple else "no such row"
        case "expect_multicolumn_sum_to_equal":
            return f"{' + '.join(kwargs['column_list'])} = {kwargs['sum_total']}"
        case "expect_table_columns_to_match_set":
            names = kwargs["column_set"]
            return "the declared columns" if isinstance(names, dict) else f"columns {_members(names)}"
        case "expect_column_values_to_be_between":
            return f"{column} {_range(kwargs)}"
        case _:
            subject = (
                entry.type.removeprefix("expect_column_").removesuffix("_to_be_between").replace("_", " ")
            )
            return f"{subject} of {column} {_range(kwargs)}"


def _members(values: list[Any]) -> str:
    told = ", ".join(str(value) for value in values[:MEMBERS_TOLD])
    return told + (f" and {len(values) - MEMBERS_TOLD} more" if len(values) > MEMBERS_TOLD else "")


def _range(kwargs: dict[str, Any]) -> str:
    low, high = (_bound(kwargs.get(key)) for key in ("min_value", "max_value"))
    if low is not None and high is not None:
        return f"between {low} and {high}"
    if low is not None:
        return f"{'above' if kwargs.get('strict_min') else 'at least'} {low}"
    return f"{'below' if kwargs.get('strict_max') else 'at most'} {high}"


def _bound(value: Any) -> str | None:
    if isinstance(value, dict):
        return PARAMETERS.get(str(value.get("$PARAMETER")), f"<{value.get('$PARAMETER')}>")
    return None if value is None else str(value)
