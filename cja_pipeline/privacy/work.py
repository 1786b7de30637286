"""Erasures under way: what is still to be done survives a crash, and is gone when it is done.

A work file (owner-readable) names the person in plain for as long as the erasure takes, because only then
can be shown that nothing is left. It is written before anything else and removed after the certificate.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cja_pipeline.config import ConfigError
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.person import Person, recogniser
from cja_pipeline.privacy.tombstones import Tombstone, add_tombstone, read_tombstones
from cja_pipeline.settings import Settings

SUFFIX = ".work.json"


@dataclass
class Work:
    """One erasure under way. `customer_id` is null if records of somebody else keep that id alive."""

    erasure: str
    at: str
    reason: str
    version: str
    customer_id: str | None
    records: list[str]
    review: int
    values: list[tuple[str, str]]
    shared: dict[str, int]
    keys: list[str]
    quotes: list[str] = field(default_factory=list)

    def tombstone(self) -> Tombstone:
        return Tombstone(self.erasure, self.version, self.at, tuple(self.keys))


def begin(settings: Settings, keys: Keys, person: Person, *, reason: str, quotes: list[str]) -> Work:
    """Note an erasure; from here on no pull and no load lets the person in. Beginning twice is harmless."""
    shared: dict[str, int] = {}
    for kind, _ in person.shared:
        shared[kind] = shared.get(kind, 0) + 1
    whole = person.customer_id if person.whole and person.customer_id else None
    work = Work(
        erasure="e" + keys.ring.of("erasure", whole or "/".join(person.records))[:15],
        at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        reason=reason,
        version=keys.current,
        customer_id=whole,
        records=person.records,
        review=len(person.review),
        values=person.own,
        shared=shared,
        keys=person.notes(keys, recogniser()),
        quotes=quotes,
    )
    settings.privacy_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(_path(settings, work.erasure), json.dumps(asdict(work)).encode())
    add_tombstone(settings.decisions_dir, work.tombstone())
    return work


def pending(settings: Settings) -> list[Work]:
    """Erasures that were begun and not finished; their notes are completed where a crash left them out."""
    found = []
    for path in sorted(settings.privacy_dir.glob(f"*{SUFFIX}")):
        try:
            found.append(TypeAdapter(Work).validate_json(path.read_bytes()))
        except ValidationError as error:
            # without what it says the erasure can be honoured, but not certified
            raise ConfigError(f"{path}: not an erasure under way; put it back from a backup, or remove it "
                              "and erase the person again") from error  # fmt: skip
    known = {one.erasure for one in read_tombstones(settings.decisions_dir)} if found else set()
    for work in found:
        if work.erasure not in known:
            add_tombstone(settings.decisions_dir, work.tombstone())
    return found


def done(settings: Settings, work: Work) -> None:
    _path(settings, work.erasure).unlink(missing_ok=True)


def _path(settings: Settings, erasure: str) -> Path:
    return settings.privacy_dir / f"{erasure}{SUFFIX}"
