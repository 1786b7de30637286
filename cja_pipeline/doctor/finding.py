"""What the doctor says: a state, a sentence, and the one command or the remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from cja_pipeline.settings import Settings

State = Literal["ok", "note", "problem", "healed"]


@dataclass(frozen=True)
class Place:
    """The installation that is looked at; `night_running` tells whether a run is at work in it."""

    settings: Settings
    night_running: bool


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    `name` is its stable id; `command` the one command that helps, where the doctor cannot; `mend` what
    ``--fix`` does, returning a sentence about it. `outside` marks remedies that do not touch the home's data.
    """

    name: str
    state: State
    words: str
    command: str = ""
    mend: Callable[[], str] | None = None
    outside: bool = False

    def done(self, words: str) -> Finding:
        return replace(self, state="healed", words=words, command="", mend=None)

    def failed(self, error: Exception) -> Finding:
        return replace(self, words=f"{self.words} It could not be mended: {error}", mend=None)

    def as_dict(self) -> dict[str, str | bool]:
        """For ``--json``."""
        return {
            "name": self.name, "state": self.state, "words": self.words, "command": self.command,
            "fix": self.mend is not None,
        }  # fmt: skip


def well(name: str, words: str) -> Finding:
    return Finding(name, "ok", words)
