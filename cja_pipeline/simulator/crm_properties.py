"""What a CRM contact says about a person when it is created, and where the person is said to come from."""

from __future__ import annotations

import numpy as np

from .crm_versions import iso
from .identity import Identities, chance, draw, referral_code
from .life import Life, has_account
from .web import traffic_list

SOURCES = {
    "Direct": "DIRECT_TRAFFIC",
    "Organic Search": "ORGANIC_SEARCH",
    "Paid Search": "PAID_SEARCH",
    "Paid Social": "PAID_SOCIAL",
    "Organic Social": "SOCIAL_MEDIA",
    "Referral": "REFERRALS",
    "Email": "EMAIL_MARKETING",
}
HOSTILE_NAMES = [
    "<b>Anna</b>",
    "Robert'); DROP TABLE customers;--",
    '=HYPERLINK("https://evil.example")',
    "\u202eannA",
]


class Origins:
    """First channel and sending friend of each person."""

    def __init__(self, life: Life) -> None:
        visits = life.visits
        human = np.flatnonzero((visits["person"] >= 0) & (visits["robot"] == 0))
        order = human[np.lexsort((visits["ts"][human], visits["person"][human]))]
        people, first = np.unique(visits["person"][order], return_index=True)
        channels = list(life.config.channels)
        self._first = dict(zip(people.tolist(), visits["channel"][order][first].tolist(), strict=True))
        self._names = [SOURCES.get(name, "OTHER_CAMPAIGNS") for name in channels]
        campaigns = np.array([row[3] for row in traffic_list(life.config)])[visits["traffic"]]
        invited = (campaigns == "bring_a_friend") & (visits["depth"] >= 2) & (visits["person"] >= 0)
        glad = np.flatnonzero(has_account(life) & (life.people["satisfaction"] > 0.5))
        friends = np.unique(visits["person"][invited]).tolist() if len(glad) else []
        self._codes = {p: referral_code(int(glad[draw(p, 120) % len(glad)])) for p in friends}

    def source(self, person: int) -> str:
        """The CRM's original source; people who never visited came offline."""
        channel = self._first.get(person)
        return "OFFLINE" if channel is None else self._names[channel]

    def referred_by(self, person: int) -> str | None:
        """Code of the friend who sent the person, if any."""
        return self._codes.get(person)


def first_properties(
    life: Life, identities: Identities, origins: Origins, person: int, place: int, created: int
) -> dict[str, str | None]:
    """Properties of a new contact; `place` 1 is the usual contact, 2 a duplicate of the same person."""
    first, last = identities.name_at(person, place)
    people, noise = life.people, life.config.noise
    if chance(person, 95, noise["hostile"]):
        first = HOSTILE_NAMES[draw(person, 96) % len(HOSTILE_NAMES)]
    street, code, city = identities.address(person)
    has_address = chance(person, 100 + place, 0.35)
    born = identities.birth_date(person) if chance(person, 103, noise["birth_date"]) else None
    return {
        "email": identities.email_at(person, place),
        "phone": identities.phone_at(person, place),
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
        "hs_email_optout": "false",
        "hs_analytics_source": origins.source(person),
        "hs_merged_object_ids": None,
        "shop_login_id": None,
        "loyalty_id": identities.loyalty_id(person) if people["loyalty"][person] and place == 1 else None,
        "referral_code": None,
        "referred_by_code": origins.referred_by(person) if place == 1 else None,
        "consent_analytics": "true" if people["consent"][person] else "false",
        "consent_marketing": "true" if people["optin"][person] else "false",
    }
