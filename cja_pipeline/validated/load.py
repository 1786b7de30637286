"""Load landed days into a validated table: read, type, split, write, account; all or nothing per batch of
days.

A day is loaded when its landed content, its pull time or the rules differ from what the ledger says is
loaded. So a crashed run heals by itself, and a changed rule replays exactly the days it concerns.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.privacy.retention import write_removals
from cja_pipeline.privacy.suppress import read_suppression
from cja_pipeline.privacy.sweep import sweep
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import Table
from cja_pipeline.validated.drift import Finding, findings_of
from cja_pipeline.validated.landed import Day, read_landed
from cja_pipeline.validated.ledger import DayCounts, broken_days, loaded_days
from cja_pipeline.validated.lookups import create_lookups, lookups_digest
from cja_pipeline.validated.stage import Stage, day_batches
from cja_pipeline.validated.streams import Stream, model_sql, stream_of
from cja_pipeline.validated.suites import Suite, load_suite
from cja_pipeline.validated.views import create_views
from cja_pipeline.validated.write import Writing, count_stage, mark_duplicates, note_unfinished
from cja_pipeline.warehouse import Warehouse

log = logging.getLogger("cja_pipeline.validated")
ROWS_PER_BATCH = 1_000_000  # enough row groups for every core, each a good part of a batch
PARSER_VERSION = "2"
PROBLEMS_TOLD = 20


@dataclass
class LoadReport:
    """What a load did. Counts are of the days loaded by it; `days` are those days."""

    table: str
    days: list[dt.date] = field(default_factory=list)
    offered: int = 0
    accepted: int = 0
    rejected: int = 0
    valid: int = 0
    quarantined: int = 0
    duplicate: int = 0
    late: int = 0
    problems: list[str] = field(default_factory=list)
    broken_days: list[dt.date] = field(default_factory=list)

    @property
    def conserved(self) -> bool:
        """offered = accepted + rejected, accepted = valid + quarantined + duplicate + late, and the tables
        say so."""
        return not self.broken_days

    def add(self, counts: DayCounts) -> None:
        self.days.append(counts.day)
        self.offered += counts.offered
        self.accepted += counts.accepted
        self.rejected += counts.rejected
        self.valid += counts.valid
        self.quarantined += counts.quarantined
        self.duplicate += counts.duplicate
        self.late += counts.late


def load(
    warehouse: Warehouse, table: str, landing: Path, days: Sequence[dt.date] | None, run_id: str
) -> LoadReport:
    """Bring a validated table up to date with the landing.

    Loads every landed day that the ledger does not know in its present state, and those in `days` in any
    case. Bad rows go to ``quality.quarantine``, unreadable lines and files too; neither stops the load.
    First the landing is cleared of erased people, whoever put their records there.

    Args:
        table: for example ``validated.web_events`` (the schema may be left out).
        landing: the landing folder.
        days: business days to load again even if nothing changed, or None.
        run_id: written into ledger and quarantine.

    Raises:
        KeyError: no stream makes the table.
        ConfigError: its suite or mapping is wrong.
    """
    declared, stream = stream_of(table)
    create_lookups(warehouse)
    for name in (declared.full_name, *Writing.TABLES):
        warehouse.ensure(name)
    create_views(warehouse, declared.name)
    loader = _Loader(warehouse, declared, stream, _suite(declared), run_id)
    sweep(landing, read_suppression(get_settings()), stream.stream)
    landed = read_landed(landing, stream.stream)
    note_unfinished(warehouse, declared.full_name, landed.unfinished)
    known, again = loaded_days(warehouse, declared.full_name), set(days or ())
    wanted = [
        day
        for date, day in landed.days.items()
        if date in again or known.get(date) != (day.fingerprint, loader.rules, day.as_of)
    ]
    for batch in day_batches(wanted, ROWS_PER_BATCH):
        loader.load(batch)
    write_removals(warehouse, declared.full_name, landed.days.values())
    report = loader.report
    report.days.sort()
    report.broken_days = broken_days(warehouse, declared.full_name, report.days)
    return report


class _Loader:
    """Loads batches of days of one table and sums up what happened."""

    def __init__(
        self, warehouse: Warehouse, declared: Table, stream: Stream, suite: Suite, run_id: str
    ) -> None:
        self.warehouse, self.declared, self.stream, self.suite = warehouse, declared, stream, suite
        self.run_id, self.rules = run_id, rules_hash(declared.full_name)
        self.report = LoadReport(declared.full_name)

    def load(self, days: Sequence[Day]) -> None:
        """Stage the days' files, then replace the days in one transaction."""
        stage = Stage(self.warehouse, self.declared, self.stream, self.suite)
        stage.fill([file for day in days for file in day.files])
        mark_duplicates(self.warehouse, self.declared, self.stream, self.suite)
        counts = count_stage(self.warehouse, self.stream, self.suite, days, stage.lost)
        findings = findings_of(stage, days)
        writing = Writing(self.warehouse, self.declared, self.stream, self.suite, self.rules, self.run_id)
        crashpoint("load:staged")
        with self.warehouse.transaction():
            writing.rows(days)
            crashpoint("load:rows_written")
            writing.quarantine(days, stage.lost)
            writing.drift(days, findings)
            writing.profile(days)
            writing.ledger(days, counts)
            writing.summary(days)
            crashpoint("load:before_commit")
        crashpoint("load:committed")
        self.warehouse.execute("DROP TABLE IF EXISTS stage")
        for one in counts:
            self.report.add(one)
        _tell(stage, findings, self.report)


def rules_hash(table: str) -> str:
    """Digest of everything that turns a landed row into a row of this table: mapping, types, rules, look-
    ups."""
    declared, stream = stream_of(table)
    suite = _suite(declared)
    parts = [
        PARSER_VERSION,
        model_sql(declared.name),
        json.dumps({column: spec.type for column, spec in declared.columns.items()}),
        stream.model_dump_json(),
        suite.rows_digest,
        lookups_digest(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _suite(declared: Table) -> Suite:
    suite = load_suite(declared.full_name)
    return suite or Suite.model_construct(table=declared.full_name, expectations=[])


def _tell(stage: Stage, findings: Sequence[Finding], report: LoadReport) -> None:
    """Say what is wrong with the input: source, file, row and cause, never a value."""
    told = [f"{one.file.name}, line {one.row}: {one.cause}" for one in stage.lost if one.row]
    told += [f"{one.file.name}: {one.cause} ({one.records} rows)" for one in stage.lost if not one.row]
    changed: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.kind not in ("file", "unreadable"):
            changed.setdefault((finding.kind, finding.field), []).append(finding)
    for (kind, name), many in changed.items():
        since = f"{many[0].day}" + (f" and {len(many) - 1} more days" if len(many) > 1 else "")
        told.append(f"{stage.stream.stream} {since}: {kind} {name}: {many[0].detail}")
    report.problems += told
    for text in told[:PROBLEMS_TOLD]:
        log.warning("%s: %s", stage.table.full_name, text)
    if len(told) > PROBLEMS_TOLD:
        more = len(told) - PROBLEMS_TOLD
        log.warning("%s: %d more problems, see quality.quarantine", stage.table.full_name, more)
