"""The search for all patterns at once, against a search for each of them alone."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cja_pipeline.privacy.patterns import LONG, OVERLAP, Scanner
from cja_pipeline.privacy.scan import PIECE, Residue, scan_file

LETTERS = st.text("aB1_-.ü", max_size=30)
PATTERNS = st.lists(st.text("aB1-.ü", min_size=4, max_size=12), min_size=1, max_size=6)


def alone(patterns: list[str], text: str) -> bool:
    """Each pattern by itself: a long one anywhere, a short one where no letter or digit goes on beside it."""
    low = text.encode().lower()
    for pattern in (one.encode().lower() for one in patterns):
        for found in re.finditer(b"(?=" + re.escape(pattern) + b")", low):
            before, after = (
                low[max(found.start() - 1, 0) : found.start()],
                low[found.start() + len(pattern) :],
            )
            goes_on = re.match(rb"\w", before) and re.match(rb"\w", pattern)
            goes_on = goes_on or (re.match(rb"\w", after) and re.search(rb"\w$", pattern))
            if len(pattern) >= LONG or not goes_on:
                return True
    return False


@given(patterns=PATTERNS, text=LETTERS, place=st.integers(0, 30), chosen=st.integers(0, 5))
def test_all_at_once_finds_what_each_alone_does(
    patterns: list[str], text: str, place: int, chosen: int
) -> None:
    scanner = Scanner(patterns)
    planted = text[:place] + patterns[chosen % len(patterns)] + text[place:]
    for one in (text, planted, planted.upper()):
        assert scanner.in_text(one.encode()) == alone(patterns, one)
        long = [p for p in patterns if len(p.encode()) >= LONG]
        assert scanner.in_bytes(one.encode()) == alone(long, one)


@given(patterns=PATTERNS, cells=st.lists(st.none() | LETTERS, max_size=12), times=st.integers(1, 30))
def test_cells_are_told_apart(patterns: list[str], cells: list[str | None], times: int) -> None:
    """A pattern is in one cell or it is not: two cells beside each other make none."""
    cells = [*cells, patterns[0][:3], patterns[0][3:], patterns[0]] * times
    found = Scanner(patterns).in_column(pa.chunked_array([pa.array(cells, pa.string())]))
    assert found == sum(alone(patterns, cell) for cell in cells if cell is not None)


def test_a_short_pattern_hides_no_long_one() -> None:
    scanner = Scanner(["4917", "014917012345"])
    assert scanner.in_text(b"tel014917012345x")  # 4917 is no word there, and ends before the long one does


OTHERS = ["johanna@example.net", "jo.anna@example.net", "anna@example.network", "anna@example.net.example"]
MEANT = [
    "anna@example.net", "Mail ANNA@example.net.", "to:anna@example.net,bo@example.net", "<anna@example.net>",
    "https://shop.example/?mail%3Danna%40example.net%26a=1", '{"text": "Hello,\\nanna@example.net"}',
    "ask anna@example.net.Thanks", "my anna@example.net-account", "email:anna@example.net",
    "user=anna@example.net", "johanna@example.com;anna@example.net",
]  # fmt: skip


def test_an_address_may_be_the_end_of_another() -> None:
    scanner = Scanner(["anna@example.net", "anna%40example.net"])
    assert [text for text in OTHERS if scanner.in_text(text.encode())] == []
    assert [text for text in MEANT if not scanner.in_text(text.encode())] == []
    cells = pa.chunked_array([pa.array([*OTHERS, *MEANT, None], pa.string())])
    assert scanner.in_column(cells) == len(MEANT)


def test_an_address_that_nobody_is_known_to_have_counts() -> None:
    scanner = Scanner(["anna@example.net"])
    assert scanner.in_text(b"johanna@example.net wrote")
    assert not scanner.in_text(b"johanna@example.net")
    assert not scanner.in_text(b"johanna@example.net wrote")
    assert scanner.in_text(b"johanna@example.net wrote to anna@example.net")


def test_bytes_know_the_addresses_that_cells_have_shown() -> None:
    """On a page of a database one text follows the other: only a known address is somebody else's."""
    scanner = Scanner(["anna@example.net", "anna%40example.net"])
    pages = [b"\x00DEjohanna@example.net\x01", b"GET /?m=johanna%40example.net HTTP/1.1"]
    assert [scanner.in_bytes(page) for page in pages] == [True, True]
    assert not scanner.in_text(b"johanna@example.net")
    assert [scanner.in_bytes(page) for page in pages] == [False, False]
    assert scanner.in_bytes(b"\x00DEanna@example.net\x01")
    for cut in range(40):  # wherever one piece ends
        text = b"." * OVERLAP + b"johanna@example.net" + b"." * 40
        assert not scanner.in_pieces([text[: OVERLAP + cut], text[OVERLAP + cut :], b"." * OVERLAP])


def test_both_may_be_looked_for_at_once() -> None:
    scanner = Scanner(["anna@example.net", "johanna@example.net"])
    for text in (b"johanna@example.net", b"anna@example.net"):
        assert scanner.in_text(text)
        assert scanner.in_bytes(b"\x00DE" + text)
    assert not scanner.in_text(b"mariejohanna@example.net")
    assert not scanner.in_bytes(b"\x00DEmariejohanna@example.net")


def test_a_pattern_across_two_pieces() -> None:
    scanner = Scanner(["somebody@example.net"])
    for cut in range(1, 20):
        text = b"." * 100 + b"somebody@example.net" + b"." * OVERLAP
        assert scanner.in_pieces([text[: 100 + cut], text[100 + cut :]])
    assert not scanner.in_pieces([b"somebody@", b"example.com"])


def test_thousands_of_people_at_once(tmp_path: Path) -> None:
    """A clearing out of old customers is one search, and no limit of an expression ends the night."""
    values = [f"customer{number}@example.net" for number in range(30_000)]
    path = tmp_path / "mail.jsonl"
    path.write_text("\n".join(f'{{"email": "customer{number}@example.org"}}' for number in range(1_000)))
    assert scan_file(path, Scanner(values), Residue()) == 0
    path.write_text(path.read_text().replace("customer500@example.org", "Customer500@example.NET"))
    assert scan_file(path, Scanner(values), Residue()) > 0


def test_numbers_are_identifiers_as_a_whole() -> None:
    numbers = pa.chunked_array([pa.array([4917012, 14917012, None, 5], pa.int64())])
    assert Scanner(["4917012", "0005", "x" * 30, "9" * 40]).in_column(numbers) == 2


@pytest.mark.parametrize("name", ["published.db", "kept.sqlite"])
def test_a_database_of_any_size_is_searched_by_cell_and_by_byte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE said (id INTEGER, who VARCHAR, words TEXT, amount DOUBLE)")
        rows = [(number, f"c{number}", "x" * 900, 1.5) for number in range(PIECE // 700)]
        database.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)
    database.close()
    assert path.stat().st_size > PIECE
    residue = Residue()
    assert scan_file(path, Scanner(["c123", "somebody@example.net"]), residue) == 1  # not c1230 and not 123
    assert residue.bytes == path.stat().st_size
    with sqlite3.connect(path) as database:
        database.execute("UPDATE said SET words = ? WHERE id = 9000", ["Written by somebody@example.net"])
    database.close()
    assert scan_file(path, Scanner(["somebody@example.net"]), Residue()) == 2  # its bytes, its row


def test_nested_cells_of_an_export(tmp_path: Path) -> None:
    path = tmp_path / "part-000.parquet"
    events = [{"params": [{"key": "user", "value": {"text": f"u{n}", "number": n}}]} for n in range(60_000)]
    pq.write_table(pa.Table.from_pylist(events), path)
    assert scan_file(path, Scanner(["u51234"]), Residue()) == 1
    assert scan_file(path, Scanner(["51234"]), Residue()) == 1  # the number
    assert scan_file(path, Scanner(["u71234", "71234"]), Residue()) == 0
