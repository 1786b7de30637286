"""Which incidents are open and who has been told: a small file beside the warehouse, no data of customers."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.redact import clean
from cja_pipeline.sources.credentials import redact

Kind = Literal["failure", "late", "stale", "check", "anomaly"]
LENGTH = 200
FILE = "alerts.json"


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now. `key` stays the same for as long as it is one incident."""

    kind: Kind
    key: str
    title: str
    link: str


@dataclass
class Incident:
    """A condition from when it was first seen until everybody who heard of it knows that it is over.

    Times are UTC, ISO 8601. `told` and `told_over` are names of channels.
    """

    kind: str
    key: str
    title: str
    link: str
    opened_at: str
    over_at: str | None = None
    told: list[str] = field(default_factory=list)
    told_over: list[str] = field(default_factory=list)


class Book:
    """The incidents in a file; use `opened`, which holds a lock while the book is changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.incidents: dict[str, Incident] = {}
        # a book that is lost tells an incident twice, no more
        with contextlib.suppress(OSError, ValueError):
            entries = TypeAdapter(list[Incident]).validate_json(path.read_bytes())
            self.incidents = {entry.key: entry for entry in entries}

    def observe(self, found: Iterable[Condition], kinds: Collection[str], now: dt.datetime) -> None:
        """Open what is new and close what is gone; only of these kinds, the others were not looked at."""
        at = now.astimezone(dt.UTC).isoformat(timespec="seconds")
        # a figure may be of a campaign or a page that somebody put an e-mail address into
        wrong = {redact(condition.key): condition for condition in found}
        for key, condition in wrong.items():
            known = self.incidents.get(key)
            if known is None or known.over_at is not None:
                title = clean(redact(condition.title), LENGTH)
                self.incidents[key] = Incident(condition.kind, key, title, condition.link, at)
        for key, incident in self.incidents.items():
            if incident.kind in kinds and key not in wrong and incident.over_at is None:
                incident.over_at = at

    def due(self, channel: str) -> tuple[list[Incident], list[Incident]]:
        """What this channel has not heard yet: incidents that began, incidents that are over."""
        known = self.incidents.values()
        began = [one for one in known if one.over_at is None and channel not in one.told]
        over = [one for one in known if one.over_at and channel in one.told and channel not in one.told_over]
        return began, over

    def save(self) -> None:
        """Keep what is open, and what is over until all who heard of it know."""
        kept = [
            asdict(one)
            for one in self.incidents.values()
            if one.over_at is None or set(one.told) - set(one.told_over)
        ]
        write_atomically(self.path, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Book]:
    """The book of an installation, for one process at a time, saved at the end."""
    with (home / ".alerts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        book = Book(home / FILE)
        try:
            yield book
        finally:
            book.save()
