"""The end of an erasure: what no rebuild reaches is cleared, files are rewritten, absence is shown."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.restricted import LINKS
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.privacy.certificate import Certificate, write_certificate
from cja_pipeline.privacy.copies import forget_copy, noted_copies
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.patterns import Scanner, spellings
from cja_pipeline.privacy.person import recogniser
from cja_pipeline.privacy.scan import Residue, meet_others, scan_file, scan_files, scan_warehouse
from cja_pipeline.privacy.suppress import read_suppression
from cja_pipeline.privacy.sweep import sweep
from cja_pipeline.privacy.tombstones import FILE
from cja_pipeline.privacy.work import SUFFIX, Work, done, pending
from cja_pipeline.settings import Settings
from cja_pipeline.sources.manifest import folders, read_manifest
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

CUSTOMER_COLUMNS = ("customer_id", "other_customer_id")
RECORD_COLUMNS = ("record_key", "other_key")


def finish_erasures(settings: Settings, wh: Warehouse) -> list[Certificate]:
    """Finish every erasure that is under way, once the tables, the pages and the published database were
    made anew without the people concerned; returns the certificates. May be killed and called again."""
    works = pending(settings)
    if not works:
        return []
    keys = Keys.of(settings)
    sweep(settings.landing_dir, read_suppression(settings))
    patterns = {work.erasure: _patterns(work, keys) for work in works}
    everyone = Scanner(set().union(*patterns.values()))
    meet_others(wh, everyone)
    _clear_tables(wh, works)
    _clear_decisions(settings.decisions_dir, everyone)
    _clear_archives(settings.reports_dir, {quote for work in works for quote in work.quotes})
    _clear_exports(settings, everyone)
    _clear_runs(settings, everyone)
    wh.compact()
    compact_published(settings.published_url)
    certificates = []
    whole = _scan(settings, wh, everyone)
    for work in works:
        residue = whole
        if len(works) > 1:  # who is left where is asked only if anybody is
            own = Scanner(patterns[work.erasure])
            residue = replace(whole, patterns=len(own.patterns)) if whole.clean else _scan(settings, wh, own)
        certificate = Certificate.of(work, residue, erased_rows(settings.landing_dir))
        write_certificate(settings.privacy_dir, certificate)
        certificates.append(certificate)
        if residue.clean:
            done(settings, work)
    return certificates


def erased_rows(landing: Path) -> dict[str, int]:
    """Records that were taken out of the landing or kept out of it, by stream, over all erasures."""
    found: dict[str, int] = {}
    for folder in folders(landing):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.erased_rows:
            stream = f"{manifest.vendor}/{manifest.stream}"
            found[stream] = found.get(stream, 0) + manifest.erased_rows
    return dict(sorted(found.items()))


def compact_published(url: str) -> None:
    """Write the serving database anew, so that no page holds rows that were deleted."""
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if engine.dialect.name == "sqlite":
                connection.connection.driver_connection.executescript(  # type: ignore[union-attr]
                    "PRAGMA secure_delete = ON; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"
                )
            elif engine.dialect.name == "postgresql":
                inspector = sa.inspect(connection)
                present = set(inspector.get_table_names()) & set(TABLES.published())
                places = [f'"{name}"' for name in sorted(present)]
                if inspector.has_table(LINKS.name, schema=LINKS.schema):
                    places.append(f"{LINKS.schema}.{LINKS.name}")
                for place in places:
                    connection.exec_driver_sql(f"VACUUM FULL {place}")
    finally:
        engine.dispose()


def _patterns(work: Work, keys: Keys) -> set[str]:
    seen = recogniser()
    found: set[str] = {work.customer_id} if work.customer_id else set()
    for kind, value in work.values:
        found |= spellings(kind, value, keys.rings.values(), seen)
    return found


def _scan(settings: Settings, wh: Warehouse, scanner: Scanner) -> Residue:
    residue = Residue(patterns=len(scanner.patterns))
    scan_warehouse(wh, scanner, residue)
    # the work files name the person until the certificate is written
    scan_files(settings.home, scanner, residue, ignore=SUFFIX)
    return residue


def _clear_tables(wh: Warehouse, works: list[Work]) -> None:
    """Delete what the tables remember of past nights."""
    customers = [work.customer_id for work in works if work.customer_id]
    records = [record for work in works for record in work.records]
    rows = wh.sql(
        "SELECT schema_name || '.' || '\"' || table_name || '\"', column_name FROM duckdb_columns() "
        "WHERE NOT internal AND column_name IN (SELECT unnest(?::VARCHAR[])) AND data_type = 'VARCHAR' "
        "AND (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables()) "
        "ORDER BY ALL",
        [[*CUSTOMER_COLUMNS, *RECORD_COLUMNS]],
    ).fetchall()
    for place, column in rows:
        gone = customers if column in CUSTOMER_COLUMNS else records
        if gone:
            wh.execute(f"DELETE FROM {place} WHERE {column} IN (SELECT unnest(?::VARCHAR[]))", [gone])


def _clear_decisions(folder: Path, scanner: Scanner) -> None:
    """Decisions of people that name an erased person are void."""
    for path in folder.glob("*.jsonl"):
        if path.name == FILE:
            continue
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not scanner.in_bytes(line)]
        if len(kept) != len(lines):
            write_atomically(path, b"".join(kept))


def _clear_archives(reports: Path, quotes: set[str]) -> None:
    """Take the person's words off the archived pages; the figures on them are of groups."""
    from cja_pipeline.journey_maps.page.head import file_name
    from cja_pipeline.journey_maps.page.render import render
    from cja_pipeline.journey_maps.report import DATA, map_json, read_json

    if not quotes:
        return
    for path in sorted(reports.glob(f"*/{DATA}")):
        rows = json.loads(path.read_bytes())
        kept = [{key: value for key, value in row.items() if value not in quotes} for row in rows]
        if kept == rows:
            continue
        frame = read_json(json.dumps(kept).encode())
        for segment in dict.fromkeys(frame["segment"]):
            write_atomically(path.with_name(file_name(segment)), render(frame, segment).encode())
        write_atomically(path, map_json(frame))


def _clear_exports(settings: Settings, scanner: Scanner) -> None:
    """Write again what `cja export` wrote, and remove copies of the person's own data, where still there."""
    from cja_pipeline.journey_maps.export import export_tables

    for copy in noted_copies(settings):
        if not copy.path.is_file() or not scan_file(copy.path, scanner, Residue()):
            continue
        if copy.table is None:
            copy.path.unlink()
            forget_copy(settings, copy)
        else:
            export_tables(copy.path.parent, [copy.table], copy.form)


def _clear_runs(settings: Settings, scanner: Scanner) -> None:
    """Forget runs whose logs or events name the person. None should: events hold counts, never values."""
    from cja_pipeline.orchestration.run_history import forget_runs, run_files, runs_with

    named = runs_with(scanner.in_bytes)
    for run, path in run_files(settings.home / "dagster"):
        with contextlib.suppress(OSError):  # the log of a run that is going on
            if scan_file(path, scanner, Residue()):
                named.add(run)
    forget_runs(named)
