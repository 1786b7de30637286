"""Looking for identifiers with code of its own: what the product's scanner says is never taken for proof."""

from __future__ import annotations

import gzip
import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP = 400


def forms(values: Iterable[str]) -> set[bytes]:
    """Plain, lower case, URL-encoded, SHA-256, MD5 of every value."""
    found: set[str] = set()
    for value in values:
        for text in (value, value.lower()):
            found |= {text, quote(text, safe=""), hashlib.sha256(text.encode()).hexdigest()}
            found.add(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    return {text.lower().encode() for text in found if len(text) >= 6}


def places(home: Path, values: Iterable[str], skip: tuple[str, ...] = ("world",)) -> dict[str, list[bytes]]:
    """Files and tables below `home` with any form of the values."""
    wanted = forms(values)
    found: dict[str, list[bytes]] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home)
        if path.is_file() and name.parts[0] not in skip and (hits := _hits(path, wanted)):
            found[str(name)] = hits
    return found


def _hits(path: Path, wanted: set[bytes]) -> list[bytes]:
    """The forms in a file: searched together first, because few files have any."""
    text = b"\n".join(_texts(path)).lower()
    held = pa.array([text], pa.large_binary())
    forms, found = sorted(wanted), []
    for start in range(0, len(forms), GROUP):
        group = forms[start : start + GROUP]
        pattern = "|".join("".join(f"\\x{byte:02x}" for byte in form) for form in group)
        if pc.match_substring_regex(held, pattern)[0].as_py():
            found += [form for form in group if form in text]
    return found


def _texts(path: Path) -> list[bytes]:
    data = path.read_bytes()
    texts = [data]
    if data[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(data))
    elif data[:4] == b"PAR1":
        texts.append(repr(pq.read_table(path).to_pylist()).encode())
    elif data[:15] == b"SQLite format 3":
        with sqlite3.connect(path) as connection:
            texts += [line.encode("utf-8", "replace") for line in connection.iterdump()]
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute(
                "SELECT schema_name || '.\"' || table_name || '\"' FROM duckdb_tables()"
            ).fetchall()
            for (table,) in tables:
                texts.append(repr(connection.execute(f"SELECT * FROM {table}").fetchall()).encode())
    return texts
