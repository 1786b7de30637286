"""``config/privacy.yml``: who is responsible, for what purposes, and how long data are kept."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field

from cja_pipeline.config import ConfigError, StrictModel, config_path, load_file
from cja_pipeline.tables import TABLES

FILE = "privacy.yml"


class Purpose(StrictModel):
    """A purpose of the processing: its legal basis, and the consent it needs (null: none)."""

    name: str
    basis: str
    consent: str | None = None
    rooms: list[str]


class Recipient(StrictModel):
    """Who gets data, which, and where."""

    name: str
    gets: str
    where: str


class Privacy(StrictModel):
    """Facts for the record of processing, and limits that differ from those of the declared tables."""

    controller: str
    contact: str
    subjects: list[str]
    purposes: list[Purpose]
    recipients: list[Recipient]
    transfers: str
    measures: list[str]
    categories: dict[str, list[str]]
    retention_days: dict[str, int] = Field(default_factory=dict)


def load_privacy() -> Privacy:
    """The configuration, checked.

    Raises:
        ConfigError: a limit is set for a table that is not declared.
    """
    return _load(config_path(FILE))


@lru_cache(maxsize=4)
def _load(path: Path) -> Privacy:
    found = load_file(path, Privacy)
    unknown = sorted(name for name in found.retention_days if name not in TABLES)
    if unknown:
        raise ConfigError(f"{FILE}: retention_days: {', '.join(unknown)}: expected a declared table")
    return found


def limit_of(table: str) -> int | None:
    """Days that rows of a table are kept; None means as long as they are needed."""
    return load_privacy().retention_days.get(table, TABLES[table].retention_days)
