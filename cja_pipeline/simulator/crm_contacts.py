"""The CRM's contacts with all their versions: creation, updates, duplicates, merges, archiving, erasure.

A version is a row: id, visible_from (= last modified, UTC µs), created_at, archived, gone (no trace left), properties.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np

from .columns import DAY, HOUR, MINUTE, NEVER, length, rng_for
from .ga4_strings import second_account
from .identity import Identities, chance, draw, referral_code
from .life import Life, login_text
from .web import traffic_list

FIRST_CONTACT_ID = 70_000_000_000


@dataclass
class Contacts:
    """Contacts of one world; `of_person` gives the first contact id, `duplicate` (person -> (id, since))."""

    versions: list[dict[str, object]] = field(default_factory=list)
    of_person: dict[int, str] = field(default_factory=dict)
    created: dict[int, int] = field(default_factory=dict)
    duplicate: dict[int, tuple[str, int]] = field(default_factory=dict)
    merges: list[tuple[str, str, int]] = field(default_factory=list)


def iso(moment: int) -> str:
    """ISO time of UTC microseconds with milliseconds and Z, as the CRM writes it."""
    stamp = dt.datetime.fromtimestamp(moment // 1_000_000, dt.UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{moment // 1000 % 1000:03d}Z"


def known_since(life: Life) -> np.ndarray:
    """When the CRM first hears of each person (NEVER: not at all; before the start: imported on the first day)."""
    people, orders, tickets = life.people, life.orders, life.tickets
    since = np.minimum(life.account_at, np.where(people["loyalty"] & (people["arrival"] < 0), -NEVER, NEVER))
    since = np.where(people["optin"] & (people["arrival"] < 0), -NEVER, since)
    first = np.full(len(since), NEVER)
    person = life.visits["person"]
    rows = np.flatnonzero((person >= 0) & (life.visits["robot"] == 0) & (life.visits["depth"] > 0))
    np.minimum.at(first, person[rows], life.visits["ts"][rows] + 4 * MINUTE)
    since = np.where(people["optin"], np.minimum(since, first), since)
    card = people["loyalty"][np.maximum(orders["person"], 0)]
    named = (orders["person"] >= 0) & ~orders["test"] & ((orders["sales"] != 1) | card)
    np.minimum.at(since, orders["person"][named], orders["at"][named])
    np.minimum.at(since, tickets["person"], tickets["at"])
    return since


def make_contacts(life: Life, identities: Identities, since: np.ndarray, crm_at: np.ndarray) -> Contacts:
    """All versions of all contacts; `crm_at` is when each order reaches the CRM."""
    rng = rng_for(life.seed, "contacts")
    calendar, noise = life.calendar, life.config.noise
    people = np.flatnonzero(since < NEVER)
    imported = since[people] < calendar.begin
    start = calendar.begin + 10 * MINUTE
    created = np.where(
        imported, calendar.begin - (rng.uniform(5, 900, len(people)) * DAY).astype(np.int64), since[people]
    )
    visible = np.where(
        imported, start + (rng.random(len(people)) * 40 * MINUTE).astype(np.int64), since[people] + 5_000_000
    )
    visible -= visible % 1000
    order = np.lexsort((people, created))
    ids = np.empty(len(people), np.int64)
    ids[order] = FIRST_CONTACT_ID + 37 * np.arange(len(people)) + draw(life.seed, 3) % 1000
    first_order = np.full(length(life.people), NEVER)
    named = (life.orders["person"] >= 0) & ~life.orders["test"]
    np.minimum.at(first_order, life.orders["person"][named], crm_at[named])
    left = np.full(length(life.people), NEVER)
    goes = life.email["kind"] == 4
    np.minimum.at(left, life.email["person"][goes], life.email["ts"][goes])
    twice = second_account(life, life.people["person"])
    referrers = _referrers(life)
    contacts = Contacts()
    moves = rng.random(len(people))
    later = visible + ((calendar.finish - visible) * rng.uniform(0.1, 0.95, len(people))).astype(np.int64)
    later -= later % 1000
    next_id = int(ids.max(initial=FIRST_CONTACT_ID)) + 74
    for i, person in enumerate(people.tolist()):
        base = _properties(life, identities, person, 1, int(created[i]))
        base["referred_by_code"] = referrers.get(person)
        contact = str(ids[i])
        contacts.of_person[person], contacts.created[person] = contact, int(visible[i])
        account = int(life.account_at[person])
        changes: list[tuple[int, dict[str, str | None]]] = []
        if account < NEVER:
            account_at = int(visible[i]) if account < calendar.begin else account + 3_000_000
            changes.append(
                (
                    account_at,
                    {"shop_login_id": login_text(person, False), "referral_code": referral_code(person)},
                )
            )
        if first_order[person] < NEVER:
            street, code, city = identities.address(person)
            changes.append(
                (
                    int(first_order[person]) + 2_000_000,
                    {"lifecyclestage": "customer", "address": street, "zip": code, "city": city},
                )
            )
        if left[person] < NEVER:
            changes.append(
                (int(left[person]) + 60_000_000, {"hs_email_optout": "true", "consent_marketing": "false"})
            )
        fate = moves[i]
        if fate < noise["moved"]:
            street, code, city = identities.address(person, moved=True)
            changes.append((int(later[i]), {"address": street, "zip": code, "city": city}))
        end = None
        if noise["moved"] <= fate < noise["moved"] + noise["archived"]:
            end = "archived"
        elif fate > 1 - noise["erased"]:
            end = "gone"
        _write(
            contacts,
            contact,
            int(created[i]),
            int(visible[i]),
            base,
            changes,
            (end, int(later[i])) if end else None,
        )
        if end is None and (
            (twice[person] and account < NEVER) or chance(person, 130, noise["duplicate_contact"])
        ):
            next_id += 37
            _duplicate(
                life,
                identities,
                contacts,
                person,
                contact,
                int(visible[i]),
                str(next_id),
                bool(twice[person] and account < NEVER),
            )
    return contacts


def _properties(
    life: Life, identities: Identities, person: int, place: int, created: int
) -> dict[str, str | None]:
    first, last = identities.name_at(person, place)
    people, noise = life.people, life.config.noise
    phone = identities.phone_at(person, place)
    street, code, city = identities.address(person)
    has_address = chance(person, 100 + place, 0.35)
    born = identities.birth_date(person) if chance(person, 103, noise["birth_date"]) else None
    return {
        "email": identities.email_at(person, place),
        "phone": phone,
        "mobilephone": identities.mobile(person) if chance(person, 105 + place, 0.15) else None,
        "firstname": first,
        "lastname": last,
        "date_of_birth": born,
        "address": street if has_address else None,
        "city": city if has_address else None,
        "zip": code if has_address else None,
        "country": identities.country(person),
        "hs_language": identities.language(person),
        "lifecyclestage": "subscriber" if people["optin"][person] else "lead",
        "createdate": iso(created),
        "hs_email_optout": "false" if people["optin"][person] else "true",
        "hs_analytics_source": _source(life, person),
        "hs_merged_object_ids": None,
        "shop_login_id": None,
        "loyalty_id": identities.loyalty_id(person) if people["loyalty"][person] and place == 1 else None,
        "referral_code": None,
        "referred_by_code": None,
        "consent_analytics": "true" if people["consent"][person] else "false",
        "consent_marketing": "true" if people["optin"][person] else "false",
    }


def _source(life: Life, person: int) -> str:
    sources = [
        "DIRECT_TRAFFIC",
        "ORGANIC_SEARCH",
        "PAID_SEARCH",
        "PAID_SOCIAL",
        "SOCIAL_MEDIA",
        "REFERRALS",
        "OFFLINE",
    ]
    return sources[draw(person, 110) % len(sources)]


def _referrers(life: Life) -> dict[int, str]:
    """Code of the friend who sent each referred person."""
    campaigns = np.array([row[3] for row in traffic_list(life.config)])[life.visits["traffic"]]
    came = np.unique(life.visits["person"][(campaigns == "bring_a_friend") & (life.visits["depth"] >= 2)])
    glad = np.flatnonzero((life.account_at < NEVER) & (life.people["satisfaction"] > 0.5))
    if len(glad) == 0:
        return {}
    return {int(p): referral_code(int(glad[draw(int(p), 120) % len(glad)])) for p in came if p >= 0}


def _write(contacts, contact, created, visible, base, changes, end) -> None:  # type: ignore[no-untyped-def]
    state = dict(base)
    moments: dict[int, dict[str, str | None]] = {}
    for moment, change in sorted(changes, key=lambda item: item[0]):
        moments.setdefault(max(moment - moment % 1000, visible), {}).update(change)
    state |= moments.pop(visible, {})
    last = [(visible, state, False, False)]
    for moment, change in moments.items():
        if end and moment >= end[1]:
            break
        last.append((moment, last[-1][1] | change, False, False))
    if end:
        last.append((end[1], last[-1][1], end[0] == "archived", end[0] == "gone"))
    for moment, properties, archived, gone in last:
        contacts.versions.append(
            {
                "id": contact,
                "visible_from": moment,
                "created_at": created,
                "archived": archived,
                "gone": gone,
                "properties": properties,
            }
        )


def _duplicate(life, identities, contacts, person, winner, visible, loser, second) -> None:  # type: ignore[no-untyped-def]
    """A second contact of the same person, and for some of them the merge that ends it."""
    finish = life.calendar.finish
    born = visible + int((finish - visible) * (0.1 + draw(person, 131) % 500 / 1000))
    born -= born % 1000
    properties = _properties(life, identities, person, 2, born)
    if second:
        properties |= {"shop_login_id": login_text(person, True)}
    merged = chance(person, 132, life.config.noise["merged"])
    at = born + int((finish - born) * (0.2 + draw(person, 133) % 600 / 1000)) + HOUR
    at -= at % 1000
    end = ("gone", at) if merged and at < finish else None
    _write(contacts, loser, born, born, properties, [], end)
    contacts.duplicate[person] = (loser, born)
    if end:
        contacts.merges.append((loser, winner, at))
        _merge_into(contacts, winner, at, loser)


def _merge_into(contacts: Contacts, winner: str, at: int, loser: str) -> None:
    """Insert the winner's version at the merge and mark its later versions."""
    position = len(contacts.versions) - 1
    while contacts.versions[position]["id"] != winner:
        position -= 1
    own = []
    while position >= 0 and contacts.versions[position]["id"] == winner:
        own.append(position)
        position -= 1
    before = max(
        (contacts.versions[p] for p in own if contacts.versions[p]["visible_from"] <= at),
        key=lambda v: v["visible_from"],
    )  # type: ignore[operator, type-var]
    merged = dict(before["properties"]) | {"hs_merged_object_ids": loser}  # type: ignore[call-overload]
    for p in own:
        if contacts.versions[p]["visible_from"] > at:  # type: ignore[operator]
            contacts.versions[p]["properties"] = dict(contacts.versions[p]["properties"]) | {
                "hs_merged_object_ids": loser
            }  # type: ignore[call-overload]
    contacts.versions.append(
        {
            "id": winner,
            "visible_from": at,
            "created_at": before["created_at"],
            "archived": False,
            "gone": False,
            "properties": merged,
        }
    )
