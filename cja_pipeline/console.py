"""What a person sees in the terminal: a line per finished step, tables, and where things are."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PROGRESS = "cja_pipeline.progress"


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
    """A console at least 110 characters wide: tables of figures are cut to nothing below that."""
    console = Console()
    return console if console.width >= 110 else Console(width=110)


def print_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None
) -> None:
    """A plain table; the first column is left-aligned text, the others are right-aligned."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else plain(value)) for value in row))
    console.print(table, soft_wrap=True)


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
