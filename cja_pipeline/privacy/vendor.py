"""What a vendor deleted for good is erased here too."""

from __future__ import annotations

from collections.abc import Iterable

from cja_pipeline.privacy.erase import note_erasure
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.person import NobodyError, Person, find_person
from cja_pipeline.privacy.suppress import read_suppression
from cja_pipeline.privacy.work import begin
from cja_pipeline.settings import Settings
from cja_pipeline.warehouse import Warehouse

REASON = "deleted by the CRM"


def note_deletions(settings: Settings, wh: Warehouse, contacts: Iterable[str]) -> int:
    """Note an erasure for every contact that the CRM deleted for good; returns how many are new.

    If the CRM still has another contact of the same customer, only the deleted record is erased: the person
    did not leave.
    """
    known, gone, noted = read_suppression(settings), set(contacts), 0
    for contact in sorted(gone):
        if known.holds("crm_id", contact):
            continue
        keys = Keys.of(settings)
        person = _person(wh, keys, contact)
        others = {
            record.removeprefix("contact:") for record in person.records if record.startswith("contact:")
        }
        if others - gone:
            person = _record_only(contact, [record for record in person.records if contact not in record])
        if person.whole and person.customer_id:
            note_erasure(settings, wh, person, reason=REASON)
        else:
            begin(settings, keys, person, reason=REASON, quotes=[])
        noted += 1
    return noted


def _record_only(contact: str, kept: list[str]) -> Person:
    """The contact's record without the rest of its customer."""
    return Person("", [f"contact:{contact}"], kept, own=[("crm_id", contact)])


def _person(wh: Warehouse, keys: Keys, contact: str) -> Person:
    """The person behind a contact; one that never reached the customer view is known by its id only."""
    if not wh.exists("customers.identity_links"):
        return _record_only(contact, [])
    try:
        return find_person(wh, keys, contact)
    except NobodyError:
        return _record_only(contact, [])
