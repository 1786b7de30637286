"""Expectation suites as data: one YAML file per table, read and checked without loading Great Expectations.

Entries are native to Great Expectations (`type`, `kwargs`) plus a `code` that names the check, a `severity`
(critical stops the night), an `action` and an `advice`. Entries with the action quarantine, late or dedupe
are row rules as well: the loader splits rows by the same declaration (see ``rules.py``).
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cja_pipeline.config import ConfigError, StrictModel, load_file
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.streams import FOLDER, own_file

ROW_ACTIONS = ("quarantine", "late", "dedupe")
SETS = "sets.yml"
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "is null", "is not null")
COLUMN_KEYS = ("column", "column_A", "column_B")
ROW_TYPES = frozenset({
    "expect_column_values_to_not_be_null", "expect_column_values_to_be_in_set",
    "expect_column_values_to_not_be_in_set", "expect_column_values_to_be_between",
    "expect_column_value_lengths_to_be_between", "expect_column_values_to_match_regex",
    "expect_column_values_to_not_match_regex", "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_pair_values_to_be_equal", "unexpected_rows_expectation",
})  # fmt: skip
UNIQUE_TYPES = frozenset({"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"})
TABLE_TYPES = frozenset({
    "expect_column_values_to_be_null", "expect_column_max_to_be_between", "expect_column_min_to_be_between",
    "expect_column_mean_to_be_between", "expect_column_sum_to_be_between",
    "expect_column_unique_value_count_to_be_between", "expect_column_distinct_values_to_be_in_set",
    "expect_column_distinct_values_to_contain_set", "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_proportion_of_non_null_values_to_be_between", "expect_table_row_count_to_be_between",
    "expect_table_columns_to_match_set", "expect_multicolumn_sum_to_equal",
})  # fmt: skip
KNOWN_TYPES = ROW_TYPES | UNIQUE_TYPES | TABLE_TYPES
VOLUME = "expect_table_row_count_to_be_between"
COLUMNS = "expect_table_columns_to_match_set"


class Expectation(StrictModel):
    """One check of a table. `kwargs` may name parameters of the run as ``{"$PARAMETER": "as_of"}``."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{2,50}$")
    type: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    description: str
    advice: str
    severity: Literal["critical", "warning", "info"] = "warning"
    action: Literal["block", "warn", "quarantine", "late", "dedupe"] = "warn"

    @field_validator("kwargs")
    @classmethod
    def _with_sets(cls, value: dict[str, Any]) -> dict[str, Any]:
        """``value_set: iso_4217`` names one of the sets of ``sets.yml``."""
        name = value.get("value_set")
        if not isinstance(name, str):
            return value
        sets = load_sets()
        if name not in sets:
            raise ValueError(
                f"value_set: {name!r} is not a set of {SETS}; there are: {', '.join(sorted(sets))}"
            )
        return value | {"value_set": sets[name]}

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in KNOWN_TYPES:
            raise ValueError(
                f"unknown expectation type {value!r}; supported are: {', '.join(sorted(KNOWN_TYPES))}"
            )
        return value

    @model_validator(mode="after")
    def _fitting(self) -> Expectation:
        if self.action in ("quarantine", "late") and self.type not in ROW_TYPES:
            raise ValueError(
                f"{self.type} says nothing about single rows: action {self.action} cannot be used"
            )
        if self.action == "dedupe" and self.type not in UNIQUE_TYPES:
            raise ValueError(f"action dedupe needs an expectation of uniqueness, not {self.type}")
        for condition in self.conditions:
            if len(condition) not in (2, 3) or condition[1] not in OPERATORS:
                raise ValueError(
                    f"row_condition: expected [column, operator, value] with an operator of {OPERATORS}"
                )
        if "{batch}" not in self.kwargs.get("unexpected_rows_query", "{batch}"):
            raise ValueError("unexpected_rows_query must read from {batch}, the rows that are checked")
        if self.action == "block" and self.severity != "critical":
            raise ValueError("action block needs severity critical")
        return self

    @property
    def conditions(self) -> list[list[Any]]:
        """The rows that it is about: ``row_condition`` as ``[column, operator, value]`` or a list of such."""
        found = self.kwargs.get("row_condition") or []
        return [found] if found and isinstance(found[0], str) else list(found)

    @property
    def columns(self) -> list[str]:
        """Every column that the entry names, its condition included."""
        named = [self.kwargs[key] for key in COLUMN_KEYS if key in self.kwargs]
        named += self.kwargs.get("column_list", [])
        return named + [column for column, *_ in self.conditions]

    @property
    def key(self) -> list[str]:
        """Columns that an expectation of uniqueness is about."""
        return self.kwargs.get("column_list") or [self.kwargs["column"]]


class Breaker(StrictModel):
    """When bad rows stop the night: at least `min_rows` of a day, and more than `max_share` of the offered
    ones or more than `max_jump` times the share that is usual for the table (median of four weeks, at
    least 0.1 %). Days in `waived` were looked at by a person and do not stop anything any more."""

    max_share: float = Field(default=0.02, gt=0, le=1)
    max_jump: float = Field(default=10, gt=1)
    min_rows: int = Field(default=20, ge=1)
    waived: list[str] = Field(default_factory=list)


class Monitor(StrictModel):
    """A daily series of a table that is compared with its own past: one of the three forms.

    `nulls` names columns whose share of missing values is watched; `mix` is an expression whose values are
    the parts of a whole (null: not counted); `share` and `of` are counts (SQL aggregates) of a part and its
    whole. The expressions must not yield personal data: their values are kept and shown.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{2,50}$")
    description: str
    nulls: list[str] = Field(default_factory=list)
    mix: str | None = None
    share: str | None = None
    of: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Monitor:
        forms = [bool(self.nulls), self.mix is not None, self.share is not None and self.of is not None]
        if sum(forms) != 1 or (self.share is None) != (self.of is None):
            raise ValueError("expected one of: nulls; mix; share and of")
        return self


class SetsFile(StrictModel):
    sets: dict[str, list[str]]


class Suite(StrictModel):
    """All checks of one table. `scope` days: a run checks the days that it loaded; table: all rows."""

    table: str
    scope: Literal["days", "table"] = "table"
    breaker: Breaker = Breaker()
    monitors: list[Monitor] = Field(default_factory=list)
    expectations: list[Expectation]

    @model_validator(mode="after")
    def _complete(self) -> Suite:
        codes = [entry.code for entry in self.expectations] + [entry.code for entry in self.monitors]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"codes must be unique; used twice: {', '.join(twice)}")
        if not any(entry.type == VOLUME for entry in self.expectations):
            raise ValueError(f"a suite needs {VOLUME}: most other checks pass on an empty table")
        return self

    @property
    def row_rules(self) -> list[Expectation]:
        return [entry for entry in self.expectations if entry.action in ROW_ACTIONS]

    @property
    def rows_digest(self) -> str:
        """Digest of the row rules and of what is watched: another value means to read the rows anew."""
        rules: list[Any] = [[rule.code, rule.type, rule.kwargs, rule.action] for rule in self.row_rules]
        rules += [monitor.model_dump() for monitor in self.monitors]
        return hashlib.sha256(json.dumps(rules, sort_keys=True, default=str).encode()).hexdigest()


@cache
def load_sets() -> dict[str, list[str]]:
    """Sets of values that several suites use, by name."""
    return load_file(own_file(SETS), SetsFile).sets


@cache
def load_suite(table: str) -> Suite | None:
    """The suite of ``schema.table``, or None if it has none.

    Raises:
        ConfigError: naming file, line and key for an unknown type, an unknown column or a missing advice.
    """
    path = own_file(f"suites/{table}.yml")
    if not path.exists():
        return None
    suite = load_file(path, Suite)
    if suite.table != table:
        raise ConfigError(f"{path}: table: expected {table!r}, got {suite.table!r}")
    if table in TABLES:
        known = TABLES[table].columns
        for entry in suite.expectations:
            unknown = [column for column in entry.columns if column not in known]
            if unknown:
                raise ConfigError(f"{path}: {entry.code}: {', '.join(unknown)}: no such column in {table}")
    return suite


def suites() -> list[str]:
    """Names of all tables that have a suite."""
    override = get_settings().config
    places = [FOLDER / "suites", *([override / "suites"] if override else [])]
    return sorted({path.name.removesuffix(".yml") for place in places for path in place.glob("*.yml")})


def suite_checks(table: str) -> list[dict[str, str]]:
    """The checks of a table for the definitions: check_id, description, severity, action, advice.

    Tables filled by the loader also have its own checks (conservation, readable files, drift and so on),
    tables of later rooms those that go across rooms.
    """
    from cja_pipeline.quality.across import across_checks
    from cja_pipeline.validated.load_checks import load_checks

    suite = load_suite(table)
    entries = [
        {
            "check_id": entry.code,
            "description": entry.description,
            "severity": entry.severity,
            "action": entry.action,
            "advice": entry.advice,
        }
        for entry in (suite.expectations if suite else [])
    ]
    if suite and table.startswith("validated."):
        entries += [check.entry() for check in load_checks(suite)]
    entries += across_checks(table) if suite else []
    return entries
