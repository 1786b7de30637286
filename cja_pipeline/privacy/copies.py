"""Files that left the home folder: an erasure has to find them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cja_pipeline.config import StrictModel, load_lines
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.settings import Settings

FILE = "copies.jsonl"


@dataclass(frozen=True)
class Copy:
    """A written file: a published `table`, or (null) one person's own data."""

    path: Path
    table: str | None
    form: Literal["parquet", "csv"] = "parquet"


class _Line(StrictModel):
    path: str
    table: str | None
    form: Literal["parquet", "csv"]


def note_copy(settings: Settings, copy: Copy) -> None:
    """Remember where a copy was written."""
    settings.privacy_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    here = Copy(copy.path.resolve(), copy.table, copy.form)
    if here not in (known := noted_copies(settings)):
        _write(settings, [*known, here])


def forget_copy(settings: Settings, copy: Copy) -> None:
    """The copy is gone: forget where it was."""
    _write(settings, [one for one in noted_copies(settings) if one != copy])


def _write(settings: Settings, copies: list[Copy]) -> None:
    lines = [{"path": str(one.path), "table": one.table, "form": one.form} for one in copies]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(settings.privacy_dir / FILE, text.encode())


def noted_copies(settings: Settings) -> list[Copy]:
    """Every copy ever noted, whether it is still there or not.

    Raises:
        ConfigError: a line cannot be read; an erasure would miss that file.
    """
    words = "not a note of an exported file; correct or remove the line, and look after that file yourself"
    return [
        Copy(Path(line.path), line.table, line.form)
        for line in load_lines(settings.privacy_dir / FILE, _Line, words)
    ]
