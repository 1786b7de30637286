"""``decisions/erased.jsonl``: who must not come back, as keyed hashes only.

One line per erasure: its id, the name of the key, the time, and the hashes of every identifier that was the
person's alone. The file is read by every pull and load; it holds nothing that could be read without the
key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.config import StrictModel, load_lines
from cja_pipeline.journey_maps.atomic import write_atomically

FILE = "erased.jsonl"


@dataclass(frozen=True)
class Tombstone:
    """One erased person: `keys` are ``kind:hash`` under the key named `version`."""

    erasure: str
    version: str
    at: str
    keys: tuple[str, ...]

    def line(self) -> str:
        return json.dumps(
            {"erasure": self.erasure, "key": self.version, "at": self.at, "identifiers": list(self.keys)}
        )


class _Line(StrictModel):
    erasure: str
    key: str
    at: str
    identifiers: list[str]


def read_tombstones(decisions: Path) -> list[Tombstone]:
    """All erasures ever noted, in order; empty without the file.

    Raises:
        ConfigError: a line cannot be read. Nothing is guessed: an unread line would bring somebody back.
    """
    words = "not a note of an erasure; put the file back from a backup"
    return [
        Tombstone(line.erasure, line.key, line.at, tuple(line.identifiers))
        for line in load_lines(decisions / FILE, _Line, words)
    ]


def add_tombstone(decisions: Path, new: Tombstone) -> None:
    """Note an erasure, whole or not at all; noting it again replaces the earlier line."""
    decisions.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = [one for one in read_tombstones(decisions) if one.erasure != new.erasure]
    write_atomically(decisions / FILE, "".join(one.line() + "\n" for one in [*kept, new]).encode())


def mark_of(tombstones: Iterable[Tombstone]) -> str:
    """Digest of a set of erasures: a landed folder that carries it was cleared of all of them."""
    lines = sorted(one.line() for one in tombstones)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if lines else ""
