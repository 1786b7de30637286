"""Looking for what should be gone: every file, decompressed, every cell of every table, piece by piece."""

from __future__ import annotations

import gzip
import re
import sqlite3
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cja_pipeline import sql
from cja_pipeline.privacy.patterns import Scanner

if TYPE_CHECKING:
    from cja_pipeline.warehouse import Warehouse

ROWS = 50_000
PIECE = 8 << 20
HASH = re.compile(rb"[0-9a-f]{32}")
# declared types of columns without identifiers: of DuckDB (hashes are asked for by a query), and of SQLite
NO_IDENTIFIER = re.compile(r"(UUID|BOOLEAN|DATE|TIME|TIMESTAMP.*|DOUBLE|FLOAT|DECIMAL\(.*\)|INTERVAL)$")
NO_TEXT = re.compile(r"\w*INT|BOOL|DATE|TIME|DOUBLE|FLOAT|REAL|DECIMAL|NUMERIC")
DATABASE = re.compile(r"\.(db|duckdb)(-wal|-shm|\.wal)?$")
READ = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"
SKIPPED = ("world",)  # the simulated vendors' own systems


@dataclass
class Residue:
    """What a scan saw: files, bytes, tables and cells, and in which places it found how many patterns."""

    files: int = 0
    bytes: int = 0
    tables: int = 0
    patterns: int = 0
    found: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not self.found


def scan_files(
    root: Path, scanner: Scanner, residue: Residue, *, skip: Sequence[str] = SKIPPED, ignore: str = "\0"
) -> None:
    """Every file below `root` as it lies on disk, and what it holds once decompressed.

    Args:
        skip: folders directly below `root` that are left out. ignore: ending of file names left out.
    """
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if not path.is_file() or relative.parts[0] in skip or path.name.endswith(ignore):
            continue
        try:
            hits = scan_file(path, scanner, residue)
        except OSError:  # removed meanwhile: a log that was rotated, a temporary file
            continue
        if hits or scanner.in_bytes(str(relative).encode()):
            residue.found[str(relative)] += max(hits, 1)


def scan_file(path: Path, scanner: Scanner, residue: Residue) -> int:
    """Hits in one file: its bytes, its text, its cells."""
    residue.files += 1
    residue.bytes += path.stat().st_size
    pieces = _database_pieces(path) if DATABASE.search(path.name) else _file_pieces(path)
    head = next(pieces, b"")
    hits = scanner.in_pieces(chain([head], pieces))
    if head[:2] == b"\x1f\x8b":
        hits += scanner.in_pieces(_unzipped(path))
    elif head[:4] == b"PAR1":
        hits += _parquet(path, scanner)
    elif head[:15] == b"SQLite format 3":
        hits += _sqlite(path, scanner)
    return hits


def _read(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _read(file)


def _database_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a database, read by another process: whoever closes a file gives up all locks that their
    process has on it, and this one may have the database open."""
    command = [sys.executable, "-I", "-S", "-c", READ, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:  # noqa: S603
        assert reader.stdout is not None  # noqa: S101
        yield from _read(reader.stdout)
    if reader.returncode:
        raise OSError(f"{path.name} cannot be read")


def _unzipped(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            yield from _read(file)
    except (OSError, EOFError, zlib.error):
        from cja_pipeline.validated.lines import unpack

        yield unpack(path.read_bytes())[0]


def _parquet(path: Path, scanner: Scanner) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            batches = file.iter_batches(ROWS)
            return sum(scanner.in_table(pa.Table.from_batches([batch])) for batch in batches)
    except (pa.ArrowException, OSError):
        return 0


def _sqlite(path: Path, scanner: Scanner) -> int:
    """Rows of a SQLite database with a pattern in their texts."""
    hits = 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for table in (sql.name(row[0].decode()) for row in tables):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            texts = [sql.name(c[1].decode()) for c in columns if not NO_TEXT.match(c[2].decode().upper())]
            # one value per row: making an object of every cell would take longer than the search
            cells = " || char(10) || ".join(f"ifnull({text}, '')" for text in texts) or "''"
            rows = connection.execute(f"SELECT CAST({cells} AS TEXT) FROM {table}")
            while some := rows.fetchmany(ROWS):
                found = [text for (text,) in some]
                if scanner.in_text(b"\n".join(found)):
                    hits += sum(map(scanner.in_text, found))
    except sqlite3.Error:
        return hits  # no readable database: its bytes were searched
    finally:
        connection.close()
    return hits


def scan_warehouse(wh: Warehouse, scanner: Scanner, residue: Residue) -> None:
    """Every cell of every table of the warehouse that may hold an identifier: texts, numbers, hashes."""
    import pyarrow as pa

    tables = wh.sql(
        "SELECT schema_name || '.' || '\"' || table_name || '\"', schema_name || '.' || table_name "
        "FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY 1"
    ).fetchall()
    hashes = [p.decode() for p in scanner.patterns if HASH.fullmatch(p)]
    for place, name in tables:
        residue.tables += 1
        hits = 0
        kinds = {sql.name(row[0]): row[1] for row in wh.sql(f"DESCRIBE {place}").fetchall()}
        for column in (column for column, kind in kinds.items() if kind == "UUID"):
            among = f"{column} IN (SELECT CAST(unnest(?::VARCHAR[]) AS UUID))"
            hits += wh.scalar(f"SELECT count(*) FROM {place} WHERE {among}", [hashes])
        if others := [column for column, kind in kinds.items() if not NO_IDENTIFIER.match(kind)]:
            for batch in wh.batches(f"SELECT {', '.join(others)} FROM {place}", ROWS):
                hits += scanner.in_table(pa.Table.from_batches([batch]))
        if hits:
            residue.found[f"warehouse {name}"] += hits


def meet_others(wh: Warehouse, scanner: Scanner) -> None:
    """Show a scanner all addresses of the shop, so that it knows those that hold one it looks for."""
    import pyarrow as pa

    columns = wh.sql(
        "SELECT schema_name || '.' || '\"' || table_name || '\"', '\"' || column_name || '\"' FROM "
        "duckdb_columns() WHERE schema_name = 'validated' AND column_name LIKE '%email%' "
        "AND data_type = 'VARCHAR' ORDER BY ALL"
    ).fetchall()
    for place, column in columns:
        for batch in wh.batches(f"SELECT DISTINCT {column} FROM {place}", ROWS):
            scanner.in_table(pa.Table.from_batches([batch]))
