"""Erasing a person: note it, make everything anew without them, finish with a certificate.

The order makes it safe to kill at any moment. The note comes first, and whatever runs next (this command, a
night, a rebuild) honours it; the last step of any run finishes what is under way.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from typing import Any

from cja_pipeline.privacy.certificate import Certificate
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.person import Person
from cja_pipeline.privacy.work import Work, begin, pending
from cja_pipeline.settings import Settings
from cja_pipeline.sources.manifest import folders, read_manifest
from cja_pipeline.warehouse import Warehouse


def plan_of(person: Person) -> dict[str, Any]:
    """What an erasure would do, in counts; names the customer by id only."""

    def counted(kinds: list[str]) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kinds).items())) or "none"

    return {
        "customer": person.customer_id,
        "records": counted([record.partition(":")[0] for record in person.records]),
        "own_identifiers": counted([kind for kind, _ in person.own]),
        "shared_and_kept": counted([kind for kind, _ in person.shared]),
        "visits_on_shared_devices": len(person.visits),
        "left_for_review": counted([record.partition(":")[0] for record in person.review]),
    }


def note_erasure(settings: Settings, wh: Warehouse, person: Person, *, reason: str) -> Work:
    """Decide an erasure: from now on nothing lets the person in."""
    return begin(settings, Keys.of(settings), person, reason=reason, quotes=_quotes(wh, person))


def erase_people(settings: Settings) -> list[Certificate]:
    """Run all rooms again from the landing, which drops everybody noted, and read the certificates.

    Empty if the run failed: its cause is in the log, the notes stay, and the next run goes on.
    """
    works = pending(settings)
    rebuild_rooms(settings, "erasure")
    return [one for work in works if (one := read_certificate(settings, work)) is not None]


def rebuild_rooms(settings: Settings, reason: str) -> bool:
    """Run every room but the sources on what is landed; True if all went well."""
    from cja_pipeline.orchestration.jobs import REBUILD
    from cja_pipeline.orchestration.nightly import run_nights

    days = [manifest.dt for folder in folders(settings.landing_dir) if (manifest := read_manifest(folder))]
    last = dt.date.fromisoformat(max(days))
    return run_nights(last, last, reason=reason, job=REBUILD)


def read_certificate(settings: Settings, work: Work) -> Certificate | None:
    """The certificate of an erasure, if it was written since it was requested."""
    path = settings.privacy_dir / f"{work.erasure}.json"
    if not path.exists():
        return None
    found = Certificate(**json.loads(path.read_text(encoding="utf-8")))
    return found if found.requested_at == work.at else None


def _quotes(wh: Warehouse, person: Person) -> list[str]:
    """What pages may have quoted of the person's words."""
    from cja_pipeline.journey_maps.redact import quote

    if not person.whole:
        return []
    texts = wh.sql(
        "SELECT DISTINCT text FROM customers.feedback WHERE customer_id = ? AND text IS NOT NULL ORDER BY 1",
        [person.customer_id],
    ).fetchall()
    names = wh.sql(
        "SELECT DISTINCT lower(name) FROM (SELECT unnest([first_name, last_name]) AS name "
        "FROM validated.contacts_current) AS named WHERE name IS NOT NULL"
    ).fetchall()
    known = {row[0] for row in names}
    found = set()
    for (text,) in texts:
        words = {word.lower() for word in re.findall(r"[^\W\d_]+", text)}
        found |= {quote(text), quote(text, known & words)}
    return sorted(found - {""})
