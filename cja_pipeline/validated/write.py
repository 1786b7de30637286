"""Writing a staged batch of days: duplicates, counts, rows, quarantine, drift, ledger."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from cja_pipeline.sql import literal, name
from cja_pipeline.tables import Table
from cja_pipeline.validated.drift import Finding
from cja_pipeline.validated.landed import Day
from cja_pipeline.validated.ledger import DayCounts
from cja_pipeline.validated.lines import Lost
from cja_pipeline.validated.profile import write_profile
from cja_pipeline.validated.streams import Stream
from cja_pipeline.validated.suites import Suite
from cja_pipeline.warehouse import Warehouse

PAYLOAD_LIMIT = 20_000
ROWS_PER_INSERT = 200


def mark_duplicates(warehouse: Warehouse, table: Table, stream: Stream, suite: Suite) -> None:
    """Mark the staged clean rows that repeat another of the same day, by an empty list of rules."""
    keys = [rule.key for rule in suite.row_rules if rule.action == "dedupe"] or [table.key]
    order = "_source_file, _source_row"
    if stream.keep == "last":
        order = "_landed_at DESC, _source_file DESC, _source_row DESC"
    for key in keys:
        columns = ", ".join(dict.fromkeys(["_dt", *map(name, key)]))
        digest = f"hash({columns})"
        # most keys occur once: find the few that may not by a narrow aggregate, rank only those
        warehouse.execute(
            f"CREATE OR REPLACE TEMP TABLE stage_suspects AS SELECT {digest} AS digest FROM stage "
            f"WHERE _rules IS NULL GROUP BY {digest} HAVING count(*) > 1"
        )
        if not warehouse.count("stage_suspects"):
            continue
        warehouse.execute(
            "UPDATE stage SET _rules = [] WHERE rowid IN (SELECT id FROM ("
            f"SELECT stage.rowid AS id, row_number() OVER (PARTITION BY {columns} ORDER BY {order}) AS place "
            f"FROM stage SEMI JOIN stage_suspects ON {digest} = stage_suspects.digest WHERE _rules IS NULL"
            ") AS ranked WHERE place > 1)"
        )


def late_only(suite: Suite) -> str:
    """SQL: whether the rules that a row breaks only say that it came late."""
    late = [rule.code for rule in suite.row_rules if rule.action == "late"]
    codes = ", ".join(literal(code) for code in late)
    return f"(len(_rules) > 0 AND list_has_all([{codes}], _rules))" if late else "FALSE"


def count_stage(
    warehouse: Warehouse, stream: Stream, suite: Suite, days: Sequence[Day], lost: Sequence[Lost]
) -> list[DayCounts]:
    """What became of the rows of each day, by the stage; `lost` are the records that could not be read."""
    money = "CAST(NULL AS DECIMAL(18,4)), CAST(NULL AS VARCHAR)"
    if stream.money is not None:
        only = f"FILTER (_rules IS NULL AND ({stream.money.only}))"
        value, unit = name(stream.money.column), name(stream.money.currency)
        money = (
            f"sum({value}) {only}, CASE count(DISTINCT {unit}) {only} "
            f"WHEN 0 THEN NULL WHEN 1 THEN any_value({unit}) {only} ELSE 'mixed' END"
        )
    late = late_only(suite)
    rows = warehouse.sql(
        "SELECT _dt, count(*) FILTER (_rules IS NULL), "
        f"count(*) FILTER (len(_rules) > 0 AND NOT {late}), count(*) FILTER (len(_rules) = 0), "
        f"count(*) FILTER ({late}), {money} FROM stage GROUP BY _dt"
    ).fetchall()
    counts = {day.day: DayCounts(day.day) for day in days}
    for date, valid, quarantined, repeated, came_late, total, currency in rows:
        counts[date] = DayCounts(date, 0, valid, quarantined, repeated, came_late, total, currency)
    for date, records in _sum_lost(lost).items():
        counts[date].rejected = records
    return list(counts.values())


def _sum_lost(lost: Sequence[Lost]) -> Counter[dt.date]:
    found: Counter[dt.date] = Counter()
    for one in lost:
        found[one.file.day] += one.records
    return found


def note_unfinished(warehouse: Warehouse, table: str, folders: Sequence[tuple[dt.date, str]]) -> None:
    """Replace what is known about landed folders of a table that cannot be loaded."""
    with warehouse.transaction():
        warehouse.execute("DELETE FROM quality.drift WHERE table_name = ? AND kind = 'unfinished'", [table])
        for day, folder in folders:
            warehouse.execute(
                "INSERT INTO quality.drift VALUES (?, ?, 'unfinished', ?, ?, NULL)",
                [table, day, folder, "no manifest that can be read: nothing of this folder is loaded"],
            )


class Writing:
    """Writes one batch inside the caller's transaction; each method replaces what the days held before."""

    TABLES = tuple(
        f"quality.{name}"
        for name in (
            "ledger",
            "ledger_reasons",
            "quarantine",
            "quarantine_summary",
            "drift",
            "profile",
            "results",
        )
    )

    def __init__(
        self, warehouse: Warehouse, table: Table, stream: Stream, suite: Suite, rules: str, run_id: str
    ) -> None:
        self.warehouse, self.table, self.stream, self.suite = warehouse, table, stream, suite
        self.rules, self.run_id = rules, run_id

    def rows(self, days: Sequence[Day]) -> None:
        """Replace the rows of the days by the clean rows of the stage."""
        dates = [day.day for day in days]
        columns = ", ".join(map(name, self.table.columns))
        self.warehouse.replace_window(
            self.table.full_name, f"SELECT {columns} FROM stage WHERE _rules IS NULL", days=dates
        )

    def quarantine(self, days: Sequence[Day], lost: Sequence[Lost]) -> None:
        """Replace what is kept of the days: rows that broke rules, and records that could not be read."""
        self._delete("quality.quarantine", days)
        texts = {rule.code: rule.description for rule in self.suite.row_rules}
        known = "MAP {" + ", ".join(f"{literal(code)}: {literal(text)}" for code, text in texts.items()) + "}"
        unreadable = (
            "CASE WHEN _unreadable IS NOT NULL "
            "THEN ' Cannot be read: ' || array_to_string(_unreadable, ', ') || '.' ELSE '' END"
        )
        if texts:
            self.warehouse.execute(
                "INSERT INTO quality.quarantine SELECT ?, _dt, "
                f"CASE WHEN {late_only(self.suite)} THEN 'late' ELSE 'quarantined' END, "
                "array_to_string(_rules, ';'), 'Broken: ' || "
                f"array_to_string(list_transform(_rules, lambda code: {known}[code]), ' ') || {unreadable}, "
                f"_source_file, _source_row, 1, substr(_payload, 1, {PAYLOAD_LIMIT}), ? "
                "FROM stage WHERE len(_rules) > 0",
                [self.table.full_name, self.run_id],
            )
        self._insert(
            "quality.quarantine",
            [
                [
                    self.table.full_name, one.file.day, "rejected", one.rule, one.cause, one.file.name,
                    one.row, one.records, (one.payload or "")[:PAYLOAD_LIMIT] or None, self.run_id,
                ]
                for one in lost
            ],
        )  # fmt: skip

    def drift(self, days: Sequence[Day], findings: Sequence[Finding]) -> None:
        """Replace what is known about the shape of the days' data."""
        self._delete("quality.drift", days)
        self._insert(
            "quality.drift",
            [
                [self.table.full_name, one.day, one.kind, one.field, one.detail, one.records]
                for one in findings
            ],
        )

    def profile(self, days: Sequence[Day]) -> None:
        """Replace the days' series that the suite watches."""
        self._delete("quality.profile", days)
        write_profile(self.warehouse, self.suite, "stage", "_rules IS NULL")

    def ledger(self, days: Sequence[Day], counts: Sequence[DayCounts]) -> None:
        """Replace the days' two entries; `written` is counted in the table itself."""
        self._delete("quality.ledger", days)
        written = dict(
            self.warehouse.sql(
                f"SELECT _dt, count(*) FROM {self.table.full_name} "
                "WHERE _dt IN (SELECT unnest(?::DATE[])) GROUP BY _dt",
                [[day.day for day in days]],
            ).fetchall()
        )
        by_day = {one.day: one for one in counts}
        entries: list[list[object]] = []
        for day in days:
            one = by_day[day.day]
            head = [self.run_id, self.stream.source, self.stream.stream, self.table.full_name, day.day]
            tail = [day.fingerprint, self.rules, day.as_of]
            landed = [
                day.offered,
                day.kept + day.repeated,
                day.refused,
                day.kept,
                0,
                day.repeated,
                0,
                day.kept,
            ]
            checked = [one.offered, one.accepted, one.rejected, one.valid]
            checked += [one.quarantined, one.duplicate, one.late]
            entries.append([*head, "landed", *landed, None, None, *tail, day.announced])
            entries.append(
                [*head, "validated", *checked, written.get(day.day, 0), one.money, one.currency, *tail, None]
            )
        self._insert("quality.ledger", entries)

    def summary(self, days: Sequence[Day]) -> None:
        """Replace the days' counts per rule."""
        self._delete("quality.quarantine_summary", days)
        advice = {rule.code: rule.advice for rule in self.suite.row_rules} | UNREADABLE_ADVICE
        known = (
            "MAP {" + ", ".join(f"{literal(code)}: {literal(text)}" for code, text in advice.items()) + "}"
        )
        self.warehouse.execute(
            "INSERT INTO quality.quarantine_summary "
            f"SELECT table_name, ?, ?, day, outcome, rule, sum(records), max(offered), {known}[rule] FROM ("
            "SELECT kept.table_name, kept.day, kept.outcome, unnest(string_split(kept.rules, ';')) AS rule, "
            "kept.records, ledger.offered FROM quality.quarantine AS kept JOIN quality.ledger AS ledger "
            "ON ledger.table_name = kept.table_name AND ledger.day = kept.day AND ledger.stage = 'validated' "
            "WHERE kept.table_name = ? AND kept.day IN (SELECT unnest(?::DATE[]))) AS told "
            "GROUP BY table_name, day, outcome, rule",
            [self.stream.source, self.stream.stream, self.table.full_name, [day.day for day in days]],
        )

    def _insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows, many per statement: one statement per row would cost a millisecond each."""
        for start in range(0, len(rows), ROWS_PER_INSERT):
            part = rows[start : start + ROWS_PER_INSERT]
            row = "(" + ", ".join("?" * len(part[0])) + ")"
            self.warehouse.execute(
                f"INSERT INTO {table} VALUES {', '.join([row] * len(part))}",
                [value for values in part for value in values],
            )

    def _delete(self, table: str, days: Sequence[Day]) -> None:
        only = " AND kind <> 'unfinished'" if table == "quality.drift" else ""
        self.warehouse.execute(
            f"DELETE FROM {table} WHERE table_name = ? AND day IN (SELECT unnest(?::DATE[])){only}",
            [self.table.full_name, [day.day for day in days]],
        )


UNREADABLE_ADVICE = {
    "malformed_line": "Look at the line in quarantine; a cut-off transfer leaves one, a broken export many.",
    "oversized_line": "One record of this size is a fault of the export; tell the vendor's side.",
    "lost_rows": "The file is damaged or incomplete: pull the day again.",
    "not_json": "The vendor answered with a web page: pull the day again.",
    "unreadable_file": "The file is damaged or has other columns: pull the day again, or adapt the mapping.",
    "missing_file": "The file is gone: pull the day again.",
}
