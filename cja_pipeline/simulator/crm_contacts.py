"""The CRM's contacts with all their versions: creation, updates, duplicates, merges, archiving, erasure.

A version is a row: id, visible_from (= last modified, UTC µs), created_at, archived, gone (no trace left),
properties.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .columns import DAY, HOUR, MINUTE, NEVER, length, rng_for
from .crm_properties import Origins, first_properties
from .crm_versions import Version
from .ga4_strings import second_account
from .identity import Identities, chance, draw, referral_code
from .life import Life, identifiable, login_text

FIRST_CONTACT_ID = 70_000_000_000
Change = tuple[int, dict[str, str | None]]


@dataclass
class Contacts:
    """Contacts of one world; `of_person` gives the first contact id, `duplicate` (person -> (id, since))."""

    versions: list[Version] = field(default_factory=list)
    of_person: dict[int, str] = field(default_factory=dict)
    created: dict[int, int] = field(default_factory=dict)
    duplicate: dict[int, tuple[str, int]] = field(default_factory=dict)
    merges: list[tuple[str, str, int]] = field(default_factory=list)


def contact_at(contacts: Contacts, person: int, moment: int, salt: int) -> str | None:
    """The contact that a record of a person hangs on: a duplicate takes some of those after it came to be."""
    other = contacts.duplicate.get(person)
    if other and moment >= other[1] and draw(person, salt) % 2 == 0:
        return other[0]
    return contacts.of_person.get(person)


def known_since(life: Life) -> np.ndarray:
    """When the CRM first hears of each person (NEVER: not at all; before the start: imported on day one)."""
    people, orders, tickets = life.people, life.orders, life.tickets
    since = np.minimum(life.account_at, np.where(people["loyalty"] & (people["arrival"] < 0), -NEVER, NEVER))
    since = np.where(people["optin"] & (people["arrival"] < 0), -NEVER, since)
    first = np.full(len(since), NEVER)
    person = life.visits["person"]
    rows = np.flatnonzero((person >= 0) & (life.visits["robot"] == 0) & (life.visits["depth"] > 0))
    np.minimum.at(first, person[rows], life.visits["ts"][rows] + 4 * MINUTE)
    since = np.where(people["optin"], np.minimum(since, first), since)
    named = identifiable(life) & ~orders["test"]
    np.minimum.at(since, orders["person"][named], orders["at"][named])
    np.minimum.at(since, tickets["person"], tickets["at"])
    return since


def _earliest(life: Life, person: np.ndarray, moment: np.ndarray) -> np.ndarray:
    first = np.full(length(life.people), NEVER)
    np.minimum.at(first, person, moment)
    return first


def make_contacts(life: Life, identities: Identities, since: np.ndarray, crm_at: np.ndarray) -> Contacts:
    """All versions of all contacts; `crm_at` is when each order reaches the CRM."""
    rng = rng_for(life.seed, "contacts")
    calendar, noise = life.calendar, life.config.noise
    people = np.flatnonzero(since < NEVER)
    n = len(people)
    imported = since[people] < calendar.begin
    age = (rng.uniform(5, 900, n) * DAY).astype(np.int64)
    created = np.where(imported, calendar.begin - age, since[people])
    import_at = calendar.begin + 10 * MINUTE + (rng.random(n) * 40 * MINUTE).astype(np.int64)
    visible = np.where(imported, import_at, since[people] + 5_000_000)
    visible -= visible % 1000
    ids = np.empty(n, np.int64)
    ids[np.lexsort((people, created))] = FIRST_CONTACT_ID + 37 * np.arange(n) + draw(life.seed, 3) % 1000
    named = identifiable(life) & ~life.orders["test"]
    first_order = _earliest(life, life.orders["person"][named], crm_at[named])
    goes = life.email["kind"] == 4
    left = _earliest(life, life.email["person"][goes], life.email["ts"][goes])
    twice = second_account(life, life.people["person"]) & (life.account_at < NEVER)
    fates = rng.random(n)
    later = visible + ((calendar.finish - visible) * rng.uniform(0.1, 0.95, n)).astype(np.int64)
    later -= later % 1000
    origins, contacts = Origins(life), Contacts()
    next_id = int(ids.max(initial=FIRST_CONTACT_ID)) + 74
    for i, person in enumerate(people.tolist()):
        contact, born, fate = str(ids[i]), int(created[i]), fates[i]
        base = first_properties(life, identities, origins, person, 1, born)
        contacts.of_person[person], contacts.created[person] = contact, int(visible[i])
        changes = _changes(
            life, identities, person, int(visible[i]), int(first_order[person]), int(left[person])
        )
        if fate < noise["moved"]:
            changes.append((int(later[i]), _place(identities, person, moved=True)))
        end = None
        if noise["moved"] <= fate < noise["moved"] + noise["archived"]:
            end = ("archived", int(later[i]))
        elif fate > 1 - noise["erased"]:
            end = ("gone", int(later[i]))
        doubled = end is None and (twice[person] or chance(person, 130, noise["duplicate_contact"]))
        if doubled:
            next_id += 37
            merge = _duplicate(life, identities, origins, contacts, person, int(visible[i]), str(next_id))
            if merge:
                changes.append((merge, {"hs_merged_object_ids": str(next_id)}))
                contacts.merges.append((str(next_id), contact, merge))
        _write(contacts, contact, born, int(visible[i]), base, changes, end)
    return contacts


def _place(identities: Identities, person: int, moved: bool) -> dict[str, str | None]:
    street, code, city = identities.address(person, moved)
    return {"address": street, "zip": code, "city": city}


def _changes(
    life: Life, identities: Identities, person: int, visible: int, first_order: int, left: int
) -> list[Change]:
    """What changes on a contact over time: account, first order, end of the subscription, consent."""
    changes: list[Change] = []
    account = int(life.account_at[person])
    if account < NEVER:
        known: dict[str, str | None] = {
            "shop_login_id": login_text(person, False),
            "referral_code": referral_code(person),
        }
        changes.append((visible if account < life.calendar.begin else account + 3_000_000, known))
    if first_order < NEVER:
        place = _place(identities, person, moved=False)
        changes.append((first_order + 2_000_000, {"lifecyclestage": "customer", **place}))
    if left < NEVER:
        changes.append((left + MINUTE, {"hs_email_optout": "true", "consent_marketing": "false"}))
    if life.people["withdraws"][person] < life.calendar.total:
        moment = int(life.calendar.moment(life.people["withdraws"][person : person + 1])[0])
        changes.append((max(moment, visible), {"consent_analytics": "false"}))
    return changes


def _write(
    contacts: Contacts,
    contact: str,
    created: int,
    visible: int,
    base: dict[str, str | None],
    changes: list[Change],
    end: tuple[str, int] | None,
) -> None:
    """Append the versions of one contact; changes before it is visible belong to its first version."""
    moments: dict[int, dict[str, str | None]] = {visible: {}}
    for moment, change in sorted(changes, key=lambda item: item[0]):
        moments.setdefault(max(moment - moment % 1000, visible), {}).update(change)
    state = dict(base)
    for moment in sorted(moments):
        if end and moment >= end[1] and moment > visible:
            break
        state = state | moments[moment]
        contacts.versions.append(_version(contact, moment, created, state))
    if end:
        last = _version(contact, max(end[1], contacts.versions[-1]["visible_from"] + 1000), created, state)
        contacts.versions.append(last | {"archived": end[0] == "archived", "gone": end[0] == "gone"})


def _version(contact: str, moment: int, created: int, state: dict[str, str | None]) -> Version:
    return {
        "id": contact,
        "visible_from": moment,
        "created_at": created,
        "archived": False,
        "gone": False,
        "properties": state,
    }


def _duplicate(
    life: Life,
    identities: Identities,
    origins: Origins,
    contacts: Contacts,
    person: int,
    visible: int,
    contact: str,
) -> int | None:
    """A second contact of the same person; returns when it is merged into the first, if it is."""
    finish = life.calendar.finish
    born = visible + int((finish - visible) * (0.1 + draw(person, 131) % 500 / 1000))
    born -= born % 1000
    properties = first_properties(life, identities, origins, person, 2, born)
    if life.account_at[person] < NEVER and bool(second_account(life, np.array([person]))[0]):
        properties["shop_login_id"] = login_text(person, True)
    merged = chance(person, 132, life.config.noise["merged"])
    at = born + int((finish - born) * (0.2 + draw(person, 133) % 600 / 1000)) + HOUR
    at -= at % 1000
    end = ("gone", at) if merged and at < finish else None
    _write(contacts, contact, born, born, properties, [], end)
    contacts.duplicate[person] = (contact, born)
    return at if end else None
