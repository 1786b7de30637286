"""Checks of loading itself, from the ledger, the quarantine and the drift findings: no pass over the data.

They belong to every table that the loader fills, beside its suite.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load_check import NAMES_TOLD, Finding, LoadCheck, named
from cja_pipeline.validated.outcomes import number, share
from cja_pipeline.validated.streams import stream_of
from cja_pipeline.validated.suites import Suite
from cja_pipeline.validated.usual_checks import USUAL_CHECKS
from cja_pipeline.warehouse import Warehouse

STALE_DAYS = 1
USUAL_DAYS = 28
LEAST_USUAL = 0.001  # usual share of rows kept out, at least: no table is expected to be spotless
SHAPE = ("unknown", "missing", "renamed", "retyped")


def _conservation(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    wrong = unbalanced_days(warehouse, suite.table)
    total = _total(warehouse, suite.table, days, "offered")
    told = f"{len(wrong)} days do not balance" if wrong else f"{number(total)} offered rows accounted for"
    return Finding(not wrong, told + named(wrong), total)


def _quarantine_share(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    """Every loaded day counts, not only this run's: a day stays open until it is repaired or waived. It is
    closed if its share is too large, or far larger than the table's days before it had."""
    limit = suite.breaker
    rows = warehouse.sql(
        "SELECT day, bad, offered FROM (SELECT day, quarantined + rejected AS bad, offered, "
        "median((quarantined + rejected) / greatest(offered, 1)) OVER (ORDER BY day ROWS BETWEEN "
        f"{USUAL_DAYS} PRECEDING AND 1 PRECEDING) AS usual, row_number() OVER (ORDER BY day) AS place "
        "FROM quality.ledger WHERE table_name = ? AND stage = 'validated') AS days "
        "WHERE bad >= ? AND (bad > ? * offered OR (place > 7 AND bad > ? * greatest(usual, ?) * offered)) "
        "ORDER BY day",
        [suite.table, limit.min_rows, limit.max_share, limit.max_jump, LEAST_USUAL],
    ).fetchall()
    bad = [row for row in rows if row[0].isoformat() not in limit.waived]
    kept = _total(warehouse, suite.table, days, "quarantined + rejected")
    offered = _total(warehouse, suite.table, days, "offered")
    told = share(kept, offered) + " kept out"
    if bad:
        worst = max(bad, key=lambda row: row[1] / row[2])
        told += f"; worst day {worst[0]}: {share(worst[1], worst[2])}"
    return Finding(not bad, told + named([row[0] for row in bad]), offered, kept)


def _readable_files(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    notes = _drift(warehouse, suite.table, days, ("file", "vendor"))
    notes += _drift(warehouse, suite.table, None, ("unfinished",))
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


def _known_values(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    found: dict[str, tuple[int, dt.date]] = {}
    for _, field, _, records, day in _drift(warehouse, suite.table, days, ("value",)):
        before, since = found.get(field, (0, day))
        found[field] = (before + (records or 0), since)
    ranked = sorted(found.items(), key=lambda item: -item[1][0])
    told = [f"{field}: {number(count)} rows since {since}" for field, (count, since) in ranked[:NAMES_TOLD]]
    if len(ranked) > NAMES_TOLD:
        told.append(f"{len(ranked) - NAMES_TOLD} more")
    offered = _total(warehouse, suite.table, days, "offered")
    rows = sum(count for count, _ in found.values())
    return Finding(not found, "; ".join(told) or "known values only", offered, rows)


def _vendor_totals(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    rows = warehouse.sql(
        "SELECT day, announced, offered FROM quality.ledger WHERE table_name = ? AND stage = 'landed' "
        "AND announced IS NOT NULL ORDER BY day",
        [suite.table],
    ).fetchall()
    short = [row for row in rows if row[2] < row[1]]
    announced, landed = (sum(row[place] for row in rows) for place in (1, 2))
    if not rows:
        return Finding(True, "this vendor announces no totals")
    told = f"{number(landed)} landed of {number(announced)} announced"
    missing = sum(row[1] - row[2] for row in short)
    return Finding(not short, told + named([row[0] for row in short]), announced, missing)


def _fresh(warehouse: Warehouse, suite: Suite, days: Sequence[dt.date]) -> Finding:
    newest_day = "SELECT max(day) FROM quality.ledger WHERE stage = 'validated'"
    own = warehouse.scalar(f"{newest_day} AND table_name = ?", [suite.table])
    newest = warehouse.scalar(newest_day)
    if own is None:
        return Finding(False, "nothing was ever loaded")
    behind = (newest - own).days
    return Finding(behind <= STALE_DAYS, f"newest day {own}, {behind} days behind the newest of all sources")


BOOK_CHECKS = (
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
        "no day with more rows kept out than the suite's breaker allows",
        "Find the rule in quarantine_summary. Repair the data, change the rule, or waive the day there.",
        _quarantine_share,
        blocking=True,
    ),
    LoadCheck(
        "readable_files",
        "Every landed folder, file and line can be read.",
        "nothing rejected, no folder without its manifest",
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
        "no new, missing, renamed or retyped field",
        "Adapt fields, required or ignored in streams.yml, and the mapping if a field was renamed.",
        _schema_drift,
    ),
    LoadCheck(
        "known_values",
        "Names and kinds are known; others are kept as other.",
        "no value beyond those of the stream's enums",
        "Decide what the new value means, then add it to enums in streams.yml; its days are loaded again.",
        _known_values,
        applies=lambda suite: bool(stream_of(suite.table)[1].enums),
    ),
    LoadCheck(
        "vendor_totals",
        "All rows that the vendor announced have landed.",
        "landed rows are at least those announced",
        "The vendor announced more rows than it gave: pull the days named again.",
        _vendor_totals,
        blocking=True,
    ),
    LoadCheck(
        "fresh",
        "The table is as recent as the other sources.",
        f"at most {STALE_DAYS} day behind",
        "The source was not pulled or had nothing to give: look at its last run.",
        _fresh,
    ),
)


LOAD_CHECKS = (*BOOK_CHECKS, *USUAL_CHECKS)


def load_checks(suite: Suite) -> list[LoadCheck]:
    """Those checks of loading that say something about this table."""
    return [check for check in LOAD_CHECKS if check.applies(suite)]


def _total(warehouse: Warehouse, table: str, days: Sequence[dt.date], expression: str) -> int:
    return int(
        warehouse.scalar(
            f"SELECT coalesce(sum({expression}), 0) FROM quality.ledger WHERE table_name = ? "
            "AND stage = 'validated' AND day IN (SELECT unnest(?::DATE[]))",
            [table, list(days)],
        )
    )


def _drift(
    warehouse: Warehouse, table: str, days: Sequence[dt.date] | None, kinds: Sequence[str]
) -> list[tuple[str, str, str, int | None, dt.date]]:
    """(kind, field, detail, records, day) of what was found on the days (None: on any day)."""
    return warehouse.sql(
        "SELECT kind, field, detail, records, day FROM quality.drift WHERE table_name = ? "
        "AND kind IN (SELECT unnest(?::VARCHAR[])) "
        "AND (?::DATE[] IS NULL OR day IN (SELECT unnest(?::DATE[]))) "
        "ORDER BY day, kind, field",
        [table, list(kinds), *[None if days is None else list(days)] * 2],
    ).fetchall()
