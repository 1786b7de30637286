"""The patterns by which a person is looked for, and the search for all of them at once.

A pattern is one spelling of one identifier: as written, lower case, URL-encoded, JSON-escaped, its MD5,
SHA-1 and SHA-256, and its keyed hashes: hundreds for a person. Short ones count as whole words of cells only,
long ones anywhere in the bytes, so that database pages and logs count as well.

An address may be the end of somebody else's: anna@example.net is in johanna@example.net. A cell that is one
address, and another one, makes that address known; wherever it stands, what it holds does not count. Whatever
is not known counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick, Implementation

from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.privacy.identifiers import Recogniser

if TYPE_CHECKING:
    import pyarrow as pa

LONG = 8  # shorter values occur by chance in compressed pages
MANY = 5_000  # patterns
NUMBER_DIGITS = 18  # what fits into 64 bits
SAMPLE = 1_000  # cells
OVERLAP = 512  # bytes: no pattern is longer
WITHIN = re.compile(rb"\w\w")
ADDRESS = re.compile(rb"[\w.+'\x80-\xff-]+@[\w.\x80-\xff-]+")


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
    """Looks for all patterns at once, in bytes and in cells; case does not matter."""

    def __init__(self, patterns: Iterable[str]) -> None:
        # ASCII letters are compared in lower case; of other letters the patterns are given in both
        self.patterns = sorted({p.encode().lower() for p in patterns if len(p) >= 4})
        self._all = _automaton(self.patterns)
        self._long = _automaton([p for p in self.patterns if len(p) >= LONG])
        self._numbers = [int(p) for p in self.patterns if p.isdigit() and len(p) <= NUMBER_DIGITS]
        self._known, self._others = set(self.patterns), set[bytes]()

    def in_bytes(self, data: bytes, seen: int = 0) -> bool:
        """Whether a long pattern occurs behind the first `seen` bytes, in whatever this is."""
        low = data.lower()
        return any(
            end > seen and not self._is_of_other(low, start, end)
            for _, start, end in self._long.find_matches_as_indexes(low)
        )

    def in_pieces(self, pieces: Iterable[bytes]) -> int:
        """How many pieces of a stream of bytes hold a long pattern."""
        hits, end = 0, b""
        for piece in pieces:
            hits += self.in_bytes(end + piece, seen=len(end))
            end = piece[-OVERLAP:]
        return hits

    def in_text(self, text: bytes) -> bool:
        """Whether a pattern occurs in one of the cells, a line each; a short one as a word."""
        low = text.lower()
        found = self._all.find_matches_as_indexes(low, overlapping=True)
        # all of them are looked at: each may be in the address of somebody else, which is learnt
        return any([self._is_meant(low, start, end) for _, start, end in found])

    def _is_meant(self, text: bytes, start: int, end: int) -> bool:
        """Whether a pattern that occurs in one of the lines is what it looks like."""
        if b"@" in text[start:end]:
            ends = text.find(b"\n", end)
            self._learn(text[text.rfind(b"\n", 0, start) + 1 : len(text) if ends < 0 else ends])
        if self._is_of_other(text, start, end):
            return False
        return end - start >= LONG or _is_word(text, start, end)

    def _learn(self, cell: bytes) -> None:
        """Know the address of somebody else, if the cell is one."""
        if cell not in self._known and ADDRESS.fullmatch(cell):
            self._others |= {cell, quote(cell, safe="").lower().encode()}

    def _is_of_other(self, text: bytes, start: int, end: int) -> bool:
        """Whether this part of a text lies within the known address of somebody else."""
        found = text[start:end]
        for other in self._others:
            begin = start - other.find(found)
            if found in other and text[max(begin, 0) : begin + len(other)] == other:
                return True
        return False

    def in_column(self, column: pa.ChunkedArray) -> int:
        """Cells that hold a pattern; of a column of numbers, cells that are one."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = pc.cast(column, kind.value_type), kind.value_type
        if pa.types.is_integer(kind):
            numbers = pc.is_in(pc.cast(column, pa.int64(), safe=False), pa.array(self._numbers, pa.int64()))
            return int(pc.sum(numbers).as_py() or 0)
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return 0
        cells = pc.cast(column, pa.string()).combine_chunks().drop_null()
        some = cells[:SAMPLE]
        seen = pc.unique(cells) if 2 * len(pc.unique(some)) < len(some) else cells
        # one text of all cells: a search of its own for each would cost more than what it reads
        whole = pc.binary_join(pa.ListArray.from_arrays([0, len(seen)], seen), "\n")[0]
        if not len(seen) or not self.in_text(whole.as_buffer().to_pybytes()):
            return 0
        return sum(map(self.in_text, pc.cast(cells, pa.binary()).to_pylist()))

    def in_table(self, table: pa.Table) -> int:
        """Cells of a table, nested ones included."""
        return sum(self.in_column(column) for column in _leaves(table))


def _automaton(patterns: Sequence[bytes]) -> BytesAhoCorasick:
    # twice as fast, but of tens of thousands of patterns it would fill hundreds of megabytes
    return BytesAhoCorasick(patterns, implementation=Implementation.DFA if len(patterns) < MANY else None)


def _is_word(text: bytes, start: int, end: int) -> bool:
    """Whether letters and digits end where this part of a text does."""
    before, after = text[start - 1 : start + 1] if start else b"", text[end - 1 : end + 1]
    return not (WITHIN.fullmatch(before) or WITHIN.fullmatch(after))


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
