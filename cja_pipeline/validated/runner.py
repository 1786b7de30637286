"""Check a table of the warehouse against its suite and keep the outcome of every check.

One outcome per declared check, always: what could not be evaluated has failed. Row rules are checked twice,
on purpose: Great Expectations looks at the rows that were kept, the ledger knows how many were not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from cja_pipeline.quality.across import across_outcomes
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.load_checks import load_checks
from cja_pipeline.validated.outcomes import RESULTS, Outcome, number, share, store
from cja_pipeline.validated.outcomes import now as moment
from cja_pipeline.validated.suites import COLUMNS, ROW_ACTIONS, VOLUME, Expectation, Suite, load_suite
from cja_pipeline.validated.words import expected_of
from cja_pipeline.warehouse import Warehouse

BATCH = "quality_batch"
WEEK = 7
KEPT_SHARE = 0.9


def check(
    warehouse: Warehouse, table: str, run_id: str, params: Mapping[str, Any] | None = None
) -> list[Outcome]:
    """Run the suite of a table and store the outcomes in ``quality.results``.

    Args:
        table: ``schema.table``; a table without a suite has no outcomes.
        run_id: the run that asks. Suites of scope ``days`` look at the days that this run loaded and at those
            of the newest pull: a night that is tried again loads what is left, and finds the same.
        params: values for ``$PARAMETER`` entries, beside those of `run_parameters`; ``days`` (list of dates)
            overrides the scope.

    Returns:
        One outcome per check of `suite_checks`, in its order. No outcome holds a value of the data.
    """
    suite = load_suite(table)
    if suite is None:
        return []
    now = _moment(warehouse, run_id)
    given = dict(params or {})
    days = _days(warehouse, suite, run_id, given.pop("days", None))
    outcomes = _suite_outcomes(
        warehouse, suite, run_id, now, days, run_parameters(warehouse, table, run_id, days) | given
    )
    if table.startswith("validated."):
        outcomes += _load_outcomes(warehouse, suite, run_id, now, days)
    outcomes += across_outcomes(warehouse, table, run_id, now)
    store(warehouse, table, run_id, outcomes)
    return outcomes


def run_parameters(warehouse: Warehouse, table: str, run_id: str, days: Sequence[dt.date]) -> dict[str, Any]:
    """What every suite may refer to as ``$PARAMETER``.

    `columns`: the declared ones. `fresh_after`: begin (UTC) of the newest loaded day of the scope, or for
    tables of later rooms of all sources; `week_before`: seven days earlier (`week_before_day`: as a
    date). `rows_before`: rows of the table
    at its last check by another run, `rows_least` 90 % of them (0 before the first).
    """
    newest = max(days, default=None)
    if newest is None and warehouse.exists("quality.ledger"):
        newest = warehouse.scalar("SELECT max(day) FROM quality.ledger WHERE stage = 'validated'")
    newest = newest or dt.date(1970, 1, 2)
    before = 0
    if warehouse.exists("quality.results"):
        before = warehouse.scalar(
            "SELECT max_by(rows_checked, checked_at) FROM quality.results "
            "WHERE table_name = ? AND run_id <> ? AND check_id = 'not_empty'",
            [table, run_id],
        )
    fresh = dt.datetime.combine(newest, dt.time())
    return {
        "columns": list(TABLES[table].columns) if table in TABLES else [],
        "fresh_after": fresh,
        "week_before": fresh - dt.timedelta(days=WEEK),
        "week_before_day": newest - dt.timedelta(days=WEEK),
        "rows_before": int(before or 0),
        "rows_least": int(KEPT_SHARE * (before or 0)),
    }


def _moment(warehouse: Warehouse, run_id: str) -> dt.datetime:
    """Now (UTC), but later than what earlier runs found: which result is the newest must not depend on a
    clock that was set back."""
    now, last = moment(), None
    if warehouse.exists(RESULTS):
        last = warehouse.scalar(f"SELECT max(checked_at) FROM {RESULTS} WHERE run_id <> ?", [run_id])
    return now if last is None else max(now, last + dt.timedelta(seconds=1))


def _days(warehouse: Warehouse, suite: Suite, run_id: str, given: Sequence[dt.date] | None) -> list[dt.date]:
    """The loaded days that the checks are about."""
    if given is not None:
        return list(given)
    if not suite.table.startswith("validated.") or not warehouse.exists("quality.ledger"):
        return []
    rows = warehouse.sql(
        "SELECT day, run_id = ? OR as_of = max(as_of) OVER () FROM quality.ledger "
        "WHERE table_name = ? AND stage = 'validated' ORDER BY day",
        [run_id, suite.table],
    ).fetchall()
    own = [day for day, mine in rows if mine]
    return own or [day for day, _ in rows]


def _suite_outcomes(
    warehouse: Warehouse,
    suite: Suite,
    run_id: str,
    now: dt.datetime,
    days: Sequence[dt.date],
    parameters: Mapping[str, Any],
) -> list[Outcome]:
    found: dict[str, dict[str, Any]] = {}
    rows, problem = 0, None
    if warehouse.exists(suite.table):
        rows = _batch(warehouse, suite, days)
        asked = suite.expectations if rows else [one for one in suite.expectations if one.type == VOLUME]
        try:
            from cja_pipeline.validated.gx import validate

            found = validate(warehouse, BATCH, asked, parameters)
        except Exception as error:  # whatever Great Expectations raises is a failed check, not a crash
            problem = f"could not be evaluated: {type(error).__name__}"
        warehouse.execute(f"DROP VIEW IF EXISTS {BATCH}")
    else:
        problem = "could not be evaluated: the table does not exist"
    kept_out = _kept_out(warehouse, suite, days)
    outcomes = []
    for entry in suite.expectations:
        outcome = Outcome(
            run_id, now, suite.table, entry.code, entry.description, entry.severity, entry.action, False, "",
            expected_of(entry), rows, advice=entry.advice,
        )  # fmt: skip
        if problem is not None:
            outcome.error, outcome.observed = problem, "not evaluated"
        elif not rows and entry.type != VOLUME:
            outcome.passed, outcome.observed, outcome.rows_failed = True, "no rows", 0
        else:
            _fill(outcome, entry, found.get(entry.code))
        if entry.action in ROW_ACTIONS and outcome.error is None:
            _add_kept_out(outcome, entry, suite, kept_out)
        if outcome.rows_checked and outcome.rows_failed is not None:
            outcome.share_failed = outcome.rows_failed / outcome.rows_checked
        outcomes.append(outcome)
    return outcomes


def _batch(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> int:
    """Make the view that is checked; returns its rows."""
    where = ""
    if suite.scope == "days" and days:
        where = " WHERE _dt IN (" + ", ".join(f"DATE '{day.isoformat()}'" for day in days) + ")"
    warehouse.execute(f"CREATE OR REPLACE TEMP VIEW {BATCH} AS SELECT * FROM {suite.table}{where}")
    return warehouse.count(BATCH)


def _fill(outcome: Outcome, entry: Expectation, answer: Mapping[str, Any] | None) -> None:
    """Take over what Great Expectations found."""
    if answer is None or answer["error"]:
        outcome.error = (answer or {}).get("error") or "could not be evaluated: no result came back"
        outcome.observed = "not evaluated"
        return
    result = answer["result"]
    outcome.passed = bool(answer["success"])
    if "unexpected_count" in result:
        outcome.rows_checked = int(result["element_count"])
        outcome.rows_failed = int(result["unexpected_count"] or 0)  # null where no row meets the condition
        outcome.observed = share(outcome.rows_failed, outcome.rows_checked) + " break it"
    elif entry.type == "unexpected_rows_expectation":
        outcome.rows_failed = int(result["observed_value"])
        outcome.observed = share(outcome.rows_failed, outcome.rows_checked or 0) + " break it"
    else:
        outcome.observed = _plain(
            result.get("observed_value"), "columns" if entry.type == COLUMNS else "different"
        )


def _plain(value: Any, many: str) -> str:
    """An observed number or time; lists of values are only counted."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "none"
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, (list, tuple, set)):
        return f"{len(value)} {many}"
    return "a value"


def _kept_out(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> dict[str, tuple[int, int]]:
    """Per rule of a loaded table: rows kept out by it, rows offered, over the days."""
    if not suite.table.startswith("validated.") or not warehouse.exists("quality.ledger"):
        return {}
    offered, repeated = warehouse.sql(
        "SELECT coalesce(sum(offered), 0), coalesce(sum(duplicate), 0) FROM quality.ledger "
        "WHERE table_name = ? AND stage = 'validated' AND day IN (SELECT unnest(?::DATE[]))",
        [suite.table, list(days)],
    ).fetchall()[0]
    rows = warehouse.sql(
        "SELECT rule, sum(records) FROM quality.quarantine_summary WHERE table_name = ? "
        "AND day IN (SELECT unnest(?::DATE[])) GROUP BY rule",
        [suite.table, list(days)],
    ).fetchall()
    counts = {rule: (int(records), int(offered)) for rule, records in rows}
    for entry in suite.row_rules:
        if entry.action == "dedupe":
            counts[entry.code] = (int(repeated), int(offered))
        counts.setdefault(entry.code, (0, int(offered)))
    return counts


def _add_kept_out(
    outcome: Outcome, entry: Expectation, suite: Suite, kept_out: Mapping[str, tuple[int, int]]
) -> None:
    """A row rule holds if no row that breaks it was kept, and if those kept out are few."""
    left = outcome.rows_failed or 0
    records, offered = kept_out.get(entry.code, (0, 0))
    verb = {"dedupe": "dropped as repetitions", "late": "came late", "quarantine": "in quarantine"}[
        entry.action
    ]
    outcome.observed = f"{share(records, offered)} {verb}; {number(left)} left in the table"
    outcome.rows_checked, outcome.rows_failed = offered, records + left
    limit = suite.breaker
    if entry.action == "quarantine" and records >= limit.min_rows and records > limit.max_share * offered:
        outcome.passed = False


def _load_outcomes(
    warehouse: Warehouse, suite: Suite, run_id: str, now: dt.datetime, days: Sequence[dt.date]
) -> list[Outcome]:
    outcomes = []
    ready = warehouse.exists("quality.ledger") and warehouse.exists(suite.table)
    for one in load_checks(suite):
        outcome = Outcome(
            run_id, now, suite.table, one.check_id, one.description, one.severity, one.action, False,
            "not evaluated", one.expected, advice=one.advice,
        )  # fmt: skip
        if not ready:
            outcome.error = "could not be evaluated: nothing was ever loaded"
        else:
            finding = one.evaluate(warehouse, suite, days)
            outcome.passed, outcome.observed = finding.passed, finding.observed
            outcome.rows_checked, outcome.rows_failed = finding.rows_checked, finding.rows_failed
            if finding.rows_checked and finding.rows_failed is not None:
                outcome.share_failed = finding.rows_failed / finding.rows_checked
        outcomes.append(outcome)
    return outcomes
