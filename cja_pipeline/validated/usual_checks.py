"""Checks of a table's days against its own past: volume, missing values, shares, mixes, silent hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cja_pipeline.validated.load_check import NAMES_TOLD, Finding, LoadCheck
from cja_pipeline.validated.outcomes import number
from cja_pipeline.validated.profile import Judged, judge
from cja_pipeline.validated.streams import stream_of
from cja_pipeline.validated.suites import Suite
from cja_pipeline.validated.volume import Range, silent_hours, usual_ranges
from cja_pipeline.warehouse import Warehouse


def volumes(warehouse: Warehouse, table: str, days: Sequence[dt.date]) -> list[Range]:
    """The days' rows with the usual range, by the ledger."""
    series = warehouse.sql(
        "SELECT day, valid FROM quality.ledger WHERE table_name = ? AND stage = 'validated' ORDER BY day",
        [table],
    ).fetchall()
    return usual_ranges([row[0] for row in series], [row[1] for row in series], days)


def odd_days(warehouse: Warehouse, suite: Suite) -> list[tuple[dt.date, str]]:
    """Every loaded day of a table that is unusual in some figure: (day, figure)."""
    days = _loaded(warehouse, suite.table)
    found = [(one.day, "rows") for one in volumes(warehouse, suite.table, days) if one.unusual]
    found += [(day, "silent hours") for day in silent_hours(warehouse, suite.table, days)]
    for one in judge(warehouse, suite, days):
        if one.unusual:
            found.append((one.day, " ".join(filter(None, (one.series, one.part)))))
    return found


def judged_days(warehouse: Warehouse, suite: Suite) -> int:
    """How many daily figures of a table have enough history to be judged."""
    days = _loaded(warehouse, suite.table)
    return len(volumes(warehouse, suite.table, days)) + len(judge(warehouse, suite, days))


def _loaded(warehouse: Warehouse, table: str) -> list[dt.date]:
    rows = warehouse.sql(
        "SELECT day FROM quality.ledger WHERE table_name = ? AND stage = 'validated' ORDER BY day", [table]
    ).fetchall()
    return [row[0] for row in rows]


def _usual_volume(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    ranges = volumes(warehouse, suite.table, days)
    odd = [one for one in ranges if one.unusual]
    told = [f"{one.day}: {number(one.rows)} rows, usual {number(one.low)}-{number(one.high)}" for one in odd]
    return _of_days(told, len(ranges), len(odd))


def _usual_nulls(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    judged = judge(warehouse, suite, days, ("nulls",))
    return _of_days(
        [
            f"{one.day}: {_percent(one.seen)} of {one.part} missing, {_usual(one)}"
            for one in judged
            if one.unusual
        ],
        len(judged),
    )


def _usual_shares(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    judged = judge(warehouse, suite, days, ("share",))
    words = {monitor.code: monitor.description.rstrip(".") for monitor in suite.monitors}
    return _of_days(
        [
            f"{one.day}: {words[one.series]} {_percent(one.seen)}, {_usual(one)}"
            for one in judged
            if one.unusual
        ],
        len(judged),
    )


def _usual_mix(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    judged = judge(warehouse, suite, days, ("mix",))
    words = {monitor.code: monitor.description.rstrip(".") for monitor in suite.monitors}
    return _of_days(
        [
            f"{one.day}: {words[one.series]} shifted by {one.seen:.2f} (limit {one.high:.2f}), "
            f"most of all {one.part}"
            for one in judged
            if one.unusual
        ],
        len(judged),
    )


def _no_silence(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    silent = silent_hours(warehouse, suite.table, days)
    told = [f"{hours} hours on {day}" for day, hours in silent.items()]
    return Finding(not silent, "; ".join(told[-NAMES_TOLD:]) or "rows at every busy time")


def _of_days(told: list[str], judged: int, odd: int | None = None) -> Finding:
    """The newest of the findings; `judged` counts days of series with enough history."""
    if not judged:
        return Finding(True, "less than four weeks of history", 0, 0)
    text = "; ".join(told[-NAMES_TOLD:]) or f"{number(judged)} daily figures as usual"
    return Finding(not told, text, judged, len(told) if odd is None else odd)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _usual(one: Judged) -> str:
    return f"usual {_percent(one.low)} to {_percent(one.high)}"


ADVICE = "Compare with campaigns, releases and the vendor's news; find the rows of the day that differ."
USUAL_CHECKS = (
    LoadCheck(
        "usual_volume",
        "A day brings as many rows as such days do.",
        "within the usual range of the weekday, by the days before",
        "Compare with campaigns and holidays; otherwise look for a tracking or delivery fault.",
        _usual_volume,
    ),
    LoadCheck(
        "usual_nulls",
        "As many values are missing as usual.",
        "shares of missing values within their usual range, by the days before",
        "A form, a tag or a consent banner changed: ask who released what on that day.",
        _usual_nulls,
        applies=lambda suite: any(monitor.nulls for monitor in suite.monitors),
    ),
    LoadCheck(
        "usual_shares",
        "Rates that tell of faults are as usual.",
        "within the usual range of the weekday, by the days before",
        ADVICE,
        _usual_shares,
        applies=lambda suite: any(monitor.share is not None for monitor in suite.monitors),
    ),
    LoadCheck(
        "usual_mix",
        "The rows are made up as usual.",
        "stability index below 0.1 and below its own usual range",
        ADVICE,
        _usual_mix,
        applies=lambda suite: any(monitor.mix is not None for monitor in suite.monitors),
    ),
    LoadCheck(
        "no_silence",
        "No busy time of a day is without rows.",
        "no hours on end without a row where at least 200 rows are usual",
        "Look for an outage of the tag or the export in those hours; the numbers of that day are too low.",
        _no_silence,
        applies=lambda suite: stream_of(suite.table)[1].event_time is not None,
    ),
)
