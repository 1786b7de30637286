"""Looking for what should be gone: every file, decompressed, and every cell of every table.

A pattern is one spelling of one identifier: as written, lower case, URL-encoded, JSON-escaped, its MD5,
SHA-1 and SHA-256, and its keyed hashes. Short values are looked for as whole cells or words only, long ones
anywhere in the bytes, so that database pages and logs count as well.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from cja_pipeline import sql
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.privacy.identifiers import Recogniser

if TYPE_CHECKING:
    import pyarrow as pa

    from cja_pipeline.warehouse import Warehouse

LONG = 8  # shorter values occur by chance in compressed pages
PIECE = 8 << 20
OVERLAP = 512
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


def spellings(kind: str, value: str, rings: Iterable[Keyring], seen: Recogniser) -> set[str]:
    """Every form in which an identifier may have been stored."""
    plain = {value, value.strip(), value.lower(), value.upper()}
    if kind == "phone":
        plain.add("".join(char for char in value if char.isdigit()))
    found = set(plain)
    for text in plain:
        found |= {quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]}
        for digest in (hashlib.sha256, hashlib.md5, hashlib.sha1):
            found.add(digest(text.encode(), usedforsecurity=False).hexdigest())
    for ring in rings:
        for name, digest_ in seen.forms(kind, value):
            found |= {ring.of_hash(name, digest_), digest_}
    return {text for text in found if text}


class Scanner:
    """Counts patterns in bytes and cells; case does not matter."""

    def __init__(self, patterns: Iterable[str]) -> None:
        # the case of ASCII letters is ignored below, other letters are given in both
        self.patterns = sorted({p.lower() if p.isascii() else p for p in patterns if len(p) >= 4})
        self._long = _alternation([p for p in self.patterns if len(p) >= LONG], words=False)
        self._all = "|".join(
            part
            for part in (self._long, _alternation([p for p in self.patterns if len(p) < LONG], words=True))
            if part
        )

    def in_bytes(self, data: bytes) -> int:
        """Pieces of `data` that hold a long pattern."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._long or not data:
            return 0
        pieces = [data[at : at + PIECE + OVERLAP] for at in range(0, len(data), PIECE)]
        hits = pc.match_substring_regex(pa.array(pieces, pa.large_binary()), self._long, ignore_case=True)
        return int(pc.sum(hits).as_py() or 0)

    def in_column(self, column: pa.ChunkedArray) -> int:
        """Cells that hold a pattern."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._all:
            return 0
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = pc.cast(column, kind.value_type), kind.value_type
        if pa.types.is_integer(kind):
            column = pc.cast(column, pa.string())
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return 0
        hits = pc.match_substring_regex(pc.cast(column, pa.large_binary()), self._all, ignore_case=True)
        return int(pc.sum(hits).as_py() or 0)

    def in_table(self, table: pa.Table) -> int:
        """Cells of a table, nested ones included."""
        return sum(self.in_column(column) for column in _leaves(table))


def _alternation(texts: Sequence[str], *, words: bool) -> str:
    escaped = "|".join("".join(_escaped(char) for char in text) for text in texts)
    if not escaped:
        return ""
    return rf"\b(?:{escaped})\b" if words else f"(?:{escaped})"


def _escaped(char: str) -> str:
    if char.isalnum() and char.isascii():
        return char
    # the expression runs over bytes: what is not ASCII is given byte by byte
    return "".join(f"\\x{byte:02x}" for byte in char.encode()) if not char.isascii() else f"\\{char}"


def _leaves(table: pa.Table) -> Iterator[pa.ChunkedArray]:
    import pyarrow as pa
    import pyarrow.compute as pc

    waiting = list(table.columns)
    while waiting:
        column = waiting.pop()
        kind = column.type
        if pa.types.is_struct(kind):
            waiting += [pc.struct_field(column, number) for number in range(kind.num_fields)]
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            waiting.append(pc.list_flatten(column))
        elif pa.types.is_map(kind):
            waiting += [
                pa.chunked_array([half]) for part in column.chunks for half in (part.keys, part.items)
            ]
        else:
            yield column


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
    data = _read_by_another(path) if DATABASE.search(path.name) else path.read_bytes()
    residue.files += 1
    residue.bytes += len(data)
    hits = scanner.in_bytes(data)
    if data[:2] == b"\x1f\x8b":
        hits += scanner.in_bytes(_unzipped(data))
    elif data[:4] == b"PAR1":
        hits += _parquet(path, scanner)
    elif data[:15] == b"SQLite format 3":
        hits += _sqlite(path, scanner)
    return hits


def _read_by_another(path: Path) -> bytes:
    """The bytes of a database, read by another process: whoever closes a file gives up all locks that their
    process has on it, and this one may have the database open."""
    command = [sys.executable, "-I", "-S", "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise OSError(f"{path.name} cannot be read")
    return done.stdout


def _unzipped(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        from cja_pipeline.validated.lines import unpack

        return unpack(data)[0]


def _parquet(path: Path, scanner: Scanner) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return scanner.in_table(pq.read_table(path))
    except (pa.ArrowException, OSError):
        return 0


def _sqlite(path: Path, scanner: Scanner) -> int:
    import pyarrow as pa

    hits = 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for rows in _batches(connection.execute(f"SELECT * FROM {sql.name(name)}")):
                texts = [cell for row in rows for cell in row if isinstance(cell, str)]
                hits += scanner.in_column(pa.chunked_array([pa.array(texts, pa.string())]))
    except sqlite3.Error:
        return hits  # no readable database: its bytes were searched
    finally:
        connection.close()
    return hits


def _batches(cursor: sqlite3.Cursor) -> Iterator[list[Any]]:
    while rows := cursor.fetchmany(20_000):
        yield rows


def scan_warehouse(wh: Warehouse, scanner: Scanner, residue: Residue) -> None:
    """Every cell of every table of the warehouse."""
    import pyarrow as pa

    tables = wh.sql(
        "SELECT schema_name || '.' || '\"' || table_name || '\"', schema_name || '.' || table_name "
        "FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY 1"
    ).fetchall()
    for place, name in tables:
        residue.tables += 1
        # hashes that are kept as numbers are looked for as text
        hashes = [row[0] for row in wh.sql(f"DESCRIBE {place}").fetchall() if row[1] == "UUID"]
        texts = ", ".join(
            f"replace(CAST({sql.name(c)} AS VARCHAR), '-', '') AS {sql.name(c)}" for c in hashes
        )
        columns = f"* REPLACE ({texts})" if texts else "*"
        for batch in wh.batches(f"SELECT {columns} FROM {place}", 100_000):
            if hits := scanner.in_table(pa.Table.from_batches([batch])):
                residue.found[f"warehouse {name}"] += hits
