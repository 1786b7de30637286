"""Another key for all pseudonyms.

Everything keyed is made anew from the restricted tables: hashes of identifiers, of devices and of visits
change, so what was published under the old key can no longer be joined with what is published under the new
one. Customer ids stay: they are inherited from night to night by the records behind them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.config import StrictModel, load_lines
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.tombstones import read_tombstones
from cja_pipeline.settings import Settings
from cja_pipeline.store import open_warehouse

FILE = "key.json"


class RotationError(RuntimeError):
    """The key cannot be rotated; the message says which setting is missing."""


@dataclass(frozen=True)
class Rotated:
    """Names of the keys, what was made anew, and the names of keys that notes of erasures still need."""

    before: str
    after: str
    identifiers: int
    customers: int
    needed: list[str]


class _Line(StrictModel):
    key: str


def key_in_use(settings: Settings) -> str | None:
    """Name of the key that the tables were made with, or None before the first night."""
    path = settings.decisions_dir / FILE
    noted = load_lines(path, _Line, "not the name of a key; put the file back from a backup")
    return noted[0].key if noted else None


def refuse_other_key(settings: Settings) -> None:
    """Refuse to go on under another key than the tables were made with.

    Raises:
        RotationError: the key is not the one in use. ConfigError: the note of it cannot be read.
    """
    before, now = key_in_use(settings), Keys.of(settings).current
    if before not in (None, now):
        said = "is not set" if settings.uses_development_key else f"is the key {now}"
        raise RotationError(
            f"CJA_SECRET_KEY {said}, the tables were made with the key {before}. Put it back, or make "
            "the change on purpose: CJA_PREVIOUS_KEYS holds the old key, then `cja privacy rotate-key`."
        )


def check_key(settings: Settings) -> None:
    """Refuse to mix pseudonyms of two keys: a key that changed by accident would part every customer from
    what was published about them. The first key is noted.

    Raises:
        RotationError, ConfigError: as in `refuse_other_key`.
    """
    refuse_other_key(settings)
    if key_in_use(settings) is None:
        _note(settings, Keys.of(settings).current)


def rotate(settings: Settings) -> Rotated:
    """Make all pseudonyms anew under `CJA_SECRET_KEY`; `CJA_PREVIOUS_KEYS` must hold the key in use.

    Killed half-way, the next night makes the rest anew.

    The tables, pages and the published database are made anew in one run. If it fails or is killed, this
    command does it again.

    Raises:
        RotationError: nothing was built yet, the key is in use already, the old key is not given, or the run
            failed.
    """
    from cja_pipeline.privacy.erase import rebuild_rooms
    from cja_pipeline.privacy.finish import compact_published

    before, keys = key_in_use(settings), Keys.of(settings)
    if before is None:
        raise RotationError("Nothing was built under another key yet; there is nothing to rotate.")
    if before == keys.current:
        raise RotationError(
            f"The key {before} is in use already. Set CJA_SECRET_KEY to the new key and CJA_PREVIOUS_KEYS to "
            "the one in use."
        )
    if before not in keys.rings:
        raise RotationError(
            f"The tables were made with the key {before}. Name it in CJA_PREVIOUS_KEYS, so that erased "
            "people stay recognised."
        )
    ids = _customers(settings)
    _note(settings, keys.current)
    if not rebuild_rooms(settings, "key rotation"):
        _note(settings, before)
        raise RotationError(
            "The run that makes the pseudonyms anew failed; see its log, then run this again."
        )
    with open_warehouse(settings) as warehouse:
        warehouse.compact()
        identifiers = warehouse.count("customers.customer_identifiers")
    compact_published(settings.published_url)
    needed = {one.version for one in read_tombstones(settings.decisions_dir)} - {keys.current}
    return Rotated(before, keys.current, identifiers, len(ids & _customers(settings)), sorted(needed))


def _note(settings: Settings, key: str) -> None:
    settings.decisions_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(Path(settings.decisions_dir) / FILE, json.dumps({"key": key}).encode())


def _customers(settings: Settings) -> set[str]:
    with open_warehouse(settings) as warehouse:
        rows = warehouse.sql("SELECT DISTINCT customer_id FROM customers.identity_links").fetchall()
    return {row[0] for row in rows}
