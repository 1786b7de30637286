"""Files that left the home folder: an erasure has to find them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.settings import Settings

FILE = "copies.jsonl"


@dataclass(frozen=True)
class Copy:
    """A written file: a published `table`, or (null) one person's own data."""

    path: Path
    table: str | None
    form: Literal["parquet", "csv"] = "parquet"


def note_copy(settings: Settings, copy: Copy) -> None:
    """Remember where a copy was written."""
    settings.privacy_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = _line(copy)
    path = settings.privacy_dir / FILE
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if line not in known:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def forget_copy(settings: Settings, copy: Copy) -> None:
    """The copy is gone: forget where it was."""
    kept = [one for one in noted_copies(settings) if one != copy]
    lines = "".join(_line(one) + "\n" for one in kept)
    write_atomically(settings.privacy_dir / FILE, lines.encode())


def _line(copy: Copy) -> str:
    return json.dumps({"path": str(copy.path.resolve()), "table": copy.table, "form": copy.form})


def noted_copies(settings: Settings) -> list[Copy]:
    """Every copy ever noted, whether it is still there or not."""
    path = settings.privacy_dir / FILE
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Copy(Path(line["path"]), line["table"], line["form"]) for line in lines]
