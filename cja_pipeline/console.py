"""What a person sees in the terminal: a line per finished step, tables, and where things are."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

PROGRESS = "cja_pipeline.progress"
LONGEST_WORD = 200  # longer ones are no ids that somebody copies: they may be broken
BETWEEN = 2  # blanks between two columns


class _Lines(logging.Handler):
    """Prints one line per finished step and keeps the records."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.console = console
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = getattr(record, "record", None)
        if found is None:
            style = "red" if record.levelno >= logging.ERROR else ""  # a vendor's words: no markup
            self.console.print(Text(plain(record.getMessage()), style))
            return
        self.records.append(found)
        notes = [f"{found['checks']} checks"] if found["checks"] else []
        notes += [f"[yellow]{len(found['warnings'])} warned[/]"] if found["warnings"] else []
        notes += (
            [f"[red]{len(found['errors'])} failed: {', '.join(found['errors'])}[/]"]
            if found["errors"]
            else []
        )
        self.console.print(
            f"  {found['group'][2:]:14} {found['step']:16} {found['rows']:>11,} rows "
            f"{found['cost'].seconds:>7.1f} s   {', '.join(notes)}",
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def watching(console: Console) -> Iterator[list[dict[str, Any]]]:
    """Print progress while the block runs; yields the list that fills with the steps' records."""
    handler = _Lines(console)
    logger = logging.getLogger(PROGRESS)
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


def wide_console() -> Console:
    """A console as wide as the terminal; at least 110 characters in a pipe or a file."""
    console = Console()
    return console if console.is_terminal or console.width >= 110 else Console(width=110)


def print_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None
) -> None:
    """A plain table; the first column is left-aligned text, the others are right-aligned.

    Ids can be copied: the first column is never folded, the others only at blanks. Where even that is too
    wide for the console, the lines are longer than it.
    """
    texts = [["" if value is None else plain(value) for value in row] for row in rows]
    cells = [[column, *(row[index] for row in texts)] for index, column in enumerate(columns)]
    widths = _widths(cells, console.width)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.width = _breadth(widths)  # else what does not fit the console is broken or left out
    for index, column in enumerate(columns):
        justify: JustifyMethod = "right" if index else "left"
        table.add_column(column, justify=justify, overflow="fold", width=widths[index])
    for row in texts:
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=True)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """The width of each column: what its lines need, and less where the table does not fit, down to its
    longest word."""
    needed = [_longest(line for cell in cells for line in cell.split("\n")) for cells in columns]
    least = [
        min(LONGEST_WORD, _longest(word for cell in cells for word in cell.split())) for cells in columns
    ]
    least[:1] = [min(LONGEST_WORD, width) for width in needed[:1]]
    widths = [min(width, max(room, low)) for width, low in zip(needed, least, strict=True)]
    while _breadth(widths) > room:
        foldable = [place for place, low in enumerate(least) if widths[place] > low]
        if not foldable:
            break
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _breadth(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN * (len(widths) - 1)


def _longest(texts: Iterable[str]) -> int:
    """How many places on the screen the longest text takes."""
    return max(map(cell_len, texts), default=0)


def plain(value: object) -> str:
    """Text from outside as a terminal may show it: characters that move the cursor, set a title, write to the
    clipboard or turn the direction of reading are spelled out."""
    return "".join(
        char.encode("unicode_escape").decode()
        if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs"}
        else char
        for char in str(value)
    )


def print_json(value: Any) -> None:
    """Machine-readable output: one JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))
