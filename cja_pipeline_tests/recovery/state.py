"""What a home folder holds, as something that can be compared: equal for equal content, whatever the history
of crashes behind it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb

# what tells of the runs themselves: their ids, their clocks, their number
OWN = {"run_id", "checked_at", "claimed_at", "attempt"}
LEFT_OUT = ("quality.attempts", "quality.results", "journey_maps.published_")
PUBLISHED_LEFT_OUT = {"quality_results", "publication"}


def state(home: Path) -> dict[str, str]:
    """A digest of every table of the warehouse and the serving database, of every landed file and page."""
    found = warehouse_state(home / "warehouse.duckdb")
    found |= published_state(home / "published.db")
    for folder in ("landing", "reports"):
        for path in sorted((home / folder).rglob("*")):
            if path.is_file() and path.name != ".lock":
                digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
                found[f"file {path.relative_to(home)}"] = digest
    return found


def warehouse_state(path: Path) -> dict[str, str]:
    found = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('main', 'temp') ORDER BY 1"
        ).fetchall()
        for (name,) in tables:
            if name.startswith(LEFT_OUT):
                continue
            schema, _, table = name.partition(".")
            columns = [row[0] for row in connection.execute(f'DESCRIBE {schema}."{table}"').fetchall()]
            listed = ", ".join(f'"{column}"' for column in columns if column not in OWN)
            row = connection.execute(
                f'SELECT count(*), coalesce(sum(CAST(hash({listed}) AS HUGEINT)), 0) FROM {schema}."{table}"'
            ).fetchone()
            found[f"table {name}"] = str(row)
    return found


def published_state(path: Path) -> dict[str, str]:
    found = {}
    # closed at once: one that lingers keeps what SQLite knows of a log that the next night deletes
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
        ).fetchall()
        for (name,) in names:
            if name in PUBLISHED_LEFT_OUT:
                continue
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            listed = ", ".join(f'"{column}"' for column in columns if column not in OWN)
            rows = sorted(repr(row) for row in connection.execute(f'SELECT {listed} FROM "{name}"'))
            found[f"published {name}"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
    return found


def differences(golden: dict[str, str], found: dict[str, str]) -> list[str]:
    """What is missing, extra or different, by name."""
    names = sorted(golden.keys() | found.keys())
    return [name for name in names if golden.get(name) != found.get(name)]


def leftovers(home: Path) -> list[str]:
    """Temporary files and folders that a finished night must not leave behind."""
    patterns = ("landing/**/.new-*", "landing/**/.old-*", "landing/**/.*.new", "reports/**/.*.tmp",
                "publish.pending", "*.building", ".*.tmp")  # fmt: skip
    return sorted(str(path.relative_to(home)) for pattern in patterns for path in home.glob(pattern))


def unbalanced(home: Path) -> list[str]:
    """Days whose books do not balance: against the tables themselves, by sums written here anew."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT table_name, day, offered, accepted, rejected, valid, quarantined, duplicate, late, "
            "written FROM quality.ledger WHERE stage = 'validated'"
        ).fetchall()
        wrong = []
        for table, day, offered, accepted, rejected, valid, quarantined, duplicate, late, written in rows:
            there = connection.execute(f"SELECT count(*) FROM {table} WHERE _dt = ?", [day]).fetchone()
            kept = connection.execute(
                "SELECT coalesce(sum(records), 0) FROM quality.quarantine WHERE table_name = ? AND day = ?",
                [table, day],
            ).fetchone()
            assert there is not None
            assert kept is not None
            sums = (
                offered == accepted + rejected
                and accepted == valid + quarantined + duplicate + late
                and written == valid == there[0]
                and rejected + quarantined + late == kept[0]
            )
            if not sums:
                wrong.append(f"{table} {day}")
    return wrong
