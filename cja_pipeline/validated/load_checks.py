"""Checks of loading itself, from the ledger, the quarantine and the drift findings: no pass over the data.

They belong to every table that the loader fills, beside its suite.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.outcomes import number, share
from cja_pipeline.validated.suites import Suite
from cja_pipeline.validated.volume import silent_hours, unusual_days
from cja_pipeline.warehouse import Warehouse

NAMES_TOLD = 6
STALE_DAYS = 1
SHAPE = ("unknown", "missing", "retyped")


@dataclass
class Finding:
    """Whether a check passed, and what it saw."""

    passed: bool
    observed: str
    rows_checked: int | None = None
    rows_failed: int | None = None


@dataclass(frozen=True)
class LoadCheck:
    """A check of every loaded table; `evaluate` gets the warehouse, the suite and the days of the run."""

    check_id: str
    description: str
    expected: str
    advice: str
    evaluate: Callable[[Warehouse, Suite, Sequence[dt.date]], Finding]
    blocking: bool = False

    @property
    def severity(self) -> str:
        return "critical" if self.blocking else "warning"

    @property
    def action(self) -> str:
        return "block" if self.blocking else "warn"

    def entry(self) -> dict[str, str]:
        """The check as the definitions need it."""
        names = ("check_id", "description", "severity", "action", "advice")
        return {name: getattr(self, name) for name in names}


def _conservation(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    wrong = unbalanced_days(warehouse, suite.table)
    total = _total(warehouse, suite.table, days, "offered")
    told = f"{len(wrong)} days do not balance" if wrong else f"{number(total)} offered rows accounted for"
    return Finding(not wrong, told + _named(wrong), total)


def _quarantine_share(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    """Every loaded day counts, not only this run's: a day stays open until it is repaired or waived."""
    limit = suite.breaker
    rows = warehouse.sql(
        "SELECT day, quarantined + rejected, offered FROM quality.ledger "
        "WHERE table_name = ? AND stage = 'validated' AND quarantined + rejected >= ? "
        "AND quarantined + rejected > ? * offered ORDER BY day",
        [suite.table, limit.min_rows, limit.max_share],
    ).fetchall()
    bad = [row for row in rows if row[0].isoformat() not in limit.waived]
    kept = _total(warehouse, suite.table, days, "quarantined + rejected")
    offered = _total(warehouse, suite.table, days, "offered")
    told = share(kept, offered) + " kept out"
    if bad:
        worst = max(bad, key=lambda row: row[1] / row[2])
        told += f"; worst day {worst[0]}: {share(worst[1], worst[2])}"
    return Finding(not bad, told + _named([row[0] for row in bad]), offered, kept)


def _readable_files(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    notes = _drift(warehouse, suite.table, days, ("file", "vendor"))
    rejected = _total(warehouse, suite.table, days, "rejected")
    causes = warehouse.sql(
        "SELECT rules, sum(records) FROM quality.quarantine WHERE table_name = ? AND outcome = 'rejected' "
        "AND day IN (SELECT unnest(?::DATE[])) GROUP BY rules ORDER BY rules",
        [suite.table, list(days)],
    ).fetchall()
    told = [f"{cause.replace('_', ' ')}: {number(int(count))}" for cause, count in causes]
    told += [f"{field}: {detail}" for _, field, detail, *_ in notes[:NAMES_TOLD]]
    offered = _total(warehouse, suite.table, days, "offered")
    return Finding(not notes and not rejected, "; ".join(told) or "everything read", offered, rejected)


def _readable_values(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    by_column: dict[str, int] = {}
    for _, column, _, records, _ in _drift(warehouse, suite.table, days, ("unreadable",)):
        by_column[column] = by_column.get(column, 0) + (records or 0)
    told = [f"{column}: {number(count)}" for column, count in sorted(by_column.items())]
    offered = _total(warehouse, suite.table, days, "offered")
    failed = max(by_column.values(), default=0)
    return Finding(not by_column, "; ".join(told) or "every value read", offered, failed)


def _schema_drift(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    since: dict[tuple[str, str], dt.date] = {}
    for kind, field, _, _, day in _drift(warehouse, suite.table, days, SHAPE):
        since.setdefault((kind, field), day)
    told = [f"{kind} {field} since {day}" for (kind, field), day in list(since.items())[:NAMES_TOLD]]
    if len(since) > NAMES_TOLD:
        told.append(f"{len(since) - NAMES_TOLD} more")
    return Finding(not since, "; ".join(told) or "fields as declared")


def _usual_volume(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    series = warehouse.sql(
        "SELECT day, valid FROM quality.ledger WHERE table_name = ? AND stage = 'validated' ORDER BY day",
        [suite.table],
    ).fetchall()
    odd = unusual_days([row[0] for row in series], [row[1] for row in series], set(days))
    told = [f"{one.day}: {number(one.rows)} rows, usual {number(one.low)}-{number(one.high)}" for one in odd]
    return Finding(not odd, "; ".join(told[-NAMES_TOLD:]) or "as usual")


def _no_silence(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    silent = silent_hours(warehouse, suite.table, days)
    told = [f"{hours} hours on {day}" for day, hours in silent.items()]
    return Finding(not silent, "; ".join(told[-NAMES_TOLD:]) or "rows in every busy hour")


def _fresh(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    newest_day = "SELECT max(day) FROM quality.ledger WHERE stage = 'validated'"
    own = warehouse.scalar(f"{newest_day} AND table_name = ?", [suite.table])
    newest = warehouse.scalar(newest_day)
    if own is None:
        return Finding(False, "nothing was ever loaded")
    behind = (newest - own).days
    return Finding(behind <= STALE_DAYS, f"newest day {own}, {behind} days behind the newest of all sources")


LOAD_CHECKS = (
    LoadCheck(
        "conservation",
        "Every offered row is accounted for.",
        "offered = accepted + rejected; accepted = valid + quarantined + duplicate + late; table = valid",
        "Do not trust the days named: load them again. If it stays, the mapping drops or multiplies rows.",
        _conservation,
        blocking=True,
    ),
    LoadCheck(
        "quarantine_share",
        "Few rows are kept out.",
        "no day above the limits of the suite's breaker",
        "Find the rule in quarantine_summary. Repair the data, change the rule, or waive the day there.",
        _quarantine_share,
        blocking=True,
    ),
    LoadCheck(
        "readable_files",
        "Every landed file and line can be read.",
        "nothing rejected",
        "The entries in quarantine name file, line and cause; pull the days again if the file is damaged.",
        _readable_files,
    ),
    LoadCheck(
        "readable_values",
        "Every value has the declared type.",
        "no value that cannot be cast",
        "The vendor changed a format; such values are null until the mapping is adapted.",
        _readable_values,
    ),
    LoadCheck(
        "schema_drift",
        "The vendor's fields are as declared.",
        "no new, missing or retyped field",
        "Adapt fields, required or ignored in streams.yml, and the mapping if a field was renamed.",
        _schema_drift,
    ),
    LoadCheck(
        "usual_volume",
        "A day brings as many rows as such days do.",
        "within the usual range of the weekday, by the days before",
        "Compare with campaigns and holidays; otherwise look for a tracking or delivery fault.",
        _usual_volume,
    ),
    LoadCheck(
        "no_silence",
        "No busy hour of a day is without rows.",
        "rows in every hour that usually has at least 200",
        "Look for an outage of the tag or the export in those hours; the numbers of that day are too low.",
        _no_silence,
    ),
    LoadCheck(
        "fresh",
        "The table is as recent as the other sources.",
        f"at most {STALE_DAYS} day behind",
        "The source was not pulled or had nothing to give: look at its last run.",
        _fresh,
    ),
)


def _total(warehouse: Warehouse, table: str, days: Sequence[dt.date], expression: str) -> int:
    return int(
        warehouse.scalar(
            f"SELECT coalesce(sum({expression}), 0) FROM quality.ledger WHERE table_name = ? "
            "AND stage = 'validated' AND day IN (SELECT unnest(?::DATE[]))",
            [table, list(days)],
        )
    )


def _drift(
    warehouse: Warehouse, table: str, days: Sequence[dt.date], kinds: Sequence[str]
) -> list[tuple[str, str, str, int | None, dt.date]]:
    """(kind, field, detail, records, day) of what was found on the days."""
    return warehouse.sql(
        "SELECT kind, field, detail, records, day FROM quality.drift WHERE table_name = ? "
        "AND kind IN (SELECT unnest(?::VARCHAR[])) AND day IN (SELECT unnest(?::DATE[])) "
        "ORDER BY day, kind, field",
        [table, list(kinds), list(days)],
    ).fetchall()


def _named(days: Sequence[dt.date]) -> str:
    if not days:
        return ""
    told = ", ".join(day.isoformat() for day in days[:NAMES_TOLD])
    return f" ({told}{', …' if len(days) > NAMES_TOLD else ''})"
