"""The e-mail tool's events and profiles in its JSON:API wire format, ready to be served as text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .columns import HOUR, MINUTE, NEVER, length, rng_for
from .email import campaigns
from .identity import Identities, chance, draw, sha256
from .life import Life, login_text
from .names import mix

METRICS = [
    "Received Email",
    "Opened Email",
    "Clicked Email",
    "Bounced Email",
    "Unsubscribed",
    "Marked as Spam",
]
METRIC_IDS = ["RcvdE1", "OpndE2", "ClckE3", "BncdE4", "UnsbE5", "SpamE6"]
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def crockford(value: int, width: int) -> str:
    """A number in Crockford's base 32, the alphabet of the tool's ids."""
    text = ""
    for _ in range(width):
        value, digit = divmod(value, 32)
        text = _ALPHABET[digit] + text
    return text


def profile_id(person: int) -> str:
    """Profile id of a person: 26 characters."""
    return "01" + crockford(draw(person, 151), 12) + crockford(draw(person, 152), 12)


def profile(life: Life, identities: Identities, person: int) -> dict[str, Any]:
    """The profile resource of a person; some are known by the hash of their address only."""
    first, last = identities.name_at(person, 3)
    email = identities.email_at(person, 3).strip()
    hashed = chance(person, 153, float(life.config.email.hash_only))
    external = life.account_at[person] < NEVER and chance(person, 154, 0.6) and not hashed
    _, code, city = identities.address(person)
    located = not hashed and chance(person, 155, 0.5)
    attributes = {
        "email": None if hashed else email,
        "phone_number": None if hashed else identities.phone_at(person, 3),
        "external_id": login_text(person, False) if external else None,
        "first_name": None if hashed else first,
        "last_name": None if hashed else last,
        "organization": None,
        "locale": f"{identities.language(person)}-{identities.country(person)}",
        "title": None,
        "location": {
            "city": city if located else None,
            "country": identities.country(person),
            "zip": code if located else None,
        },
        "properties": {"email_sha256": sha256(email)} if hashed else {},
    }
    id_ = profile_id(person)
    return {
        "type": "profile",
        "id": id_,
        "attributes": attributes,
        "links": {"self": f"https://a.klaviyo.com/api/profiles/{id_}"},
    }


def metric(kind: int) -> dict[str, Any]:
    """The metric resource of an event kind."""
    return {
        "type": "metric",
        "id": METRIC_IDS[kind],
        "attributes": {
            "name": METRICS[kind],
            "created": "2024-03-01T09:00:00+00:00",
            "updated": "2024-03-01T09:00:00+00:00",
            "integration": {
                "object": "integration",
                "id": "0rG4eQ",
                "name": "Klaviyo",
                "category": "Internal",
            },
        },
        "links": {"self": f"https://a.klaviyo.com/api/metrics/{METRIC_IDS[kind]}"},
    }


def event_rows(life: Life) -> dict[str, Any]:
    """Columns of the event stream sorted by visible_from: id, ts (whole seconds), visible_from, person,
    kind, json, copy.

    copy: 0 original, 1 the same id a second time, 3 damaged.
    """
    rng = rng_for(life.seed, "email_rows")
    mails, noise = life.email, life.config.noise
    n = length(mails)
    ts = mails["ts"] - mails["ts"] % 1_000_000
    late = rng.random(n) < noise["klaviyo_late"]
    visible = (
        ts
        + 40_000_000
        + np.where(late, rng.uniform(3, 50, n) * HOUR, rng.exponential(1.0, n) * MINUTE).astype(np.int64)
    )
    twice = np.flatnonzero(rng.random(n) < noise["klaviyo_duplicates"])
    broken = np.flatnonzero(rng.random(n) < noise["malformed"] / 4)
    row = np.r_[np.arange(n), twice, broken]
    copy = np.r_[np.zeros(n, np.int8), np.ones(len(twice), np.int8), np.full(len(broken), 3, np.int8)]
    visible = visible[row] + np.where(copy == 1, 600_000_000, 0)
    order = np.lexsort((copy, mix(row, 7), visible))
    row, copy, visible = row[order], copy[order], visible[order]
    return {"row": row, "copy": copy, "visible_from": visible, "ts": ts[row], "late": late[row] & (copy == 0)}


def event_texts(life: Life, identities: Identities, rows: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(ids, JSON text) of the events of `event_rows`; text is assembled from parts that are escaped once."""
    mails, row = life.email, rows["row"]
    people = np.unique(mails["person"]).tolist()
    profiles = {p: profile_id(p) for p in people}
    domains = {p: json.dumps(identities.email(p).split("@")[1]) for p in people}
    german = {p: identities.language(p) == "de" for p in people}
    names = campaigns(life.config, life.calendar)
    heads = [
        (_head(k, name, subject), _head(k, name, subject_de))
        for k, (name, subject, subject_de, _) in enumerate(names)
    ]
    address = f"https://{life.config.host}/?utm_source=klaviyo&utm_medium=email&utm_campaign="
    marks = mails["kind"].astype(np.uint64) * np.uint64(77) + mails["machine"] * np.uint64(13)
    damaged = rows["copy"] == 3
    codes = mix(mails["message"] ^ marks, 9)[row] ^ np.where(damaged, np.uint64(0xABCDEF), np.uint64(0))
    ids = crockford_column(codes, 13)
    moments = np.datetime_as_string(rows["ts"].astype("datetime64[us]"), "s").tolist()
    columns = [mails[name][row].tolist() for name in ("person", "kind", "campaign", "machine", "hard")]
    stamps = (rows["ts"] // 1_000_000).tolist()
    texts = []
    for id_, code, stamp, moment, broken, person, kind, campaign, machine, hard in zip(
        ids, codes.tolist(), stamps, moments, damaged.tolist(), *columns, strict=True
    ):
        extra = ""
        if kind == 1:
            extra = ',"machine_open":true' if machine else ',"machine_open":false'
        elif kind == 2:
            extra = f',"URL":"{address}{names[campaign][0]}"'
        elif kind == 3:
            extra = ',"Bounce Type":"Hard"' if hard else ',"Bounce Type":"Soft"'
        tail = f"{code & 0xFFFFFFFFFFFF:012x}"
        uuid = f"{stamp:08x}-{code >> 48:04x}-4{code >> 36 & 0xFFF:03x}-8{code >> 24 & 0xFFF:03x}-{tail}"
        properties = "null"
        owner = "null"
        if not broken:
            head = heads[campaign][german[person]]
            properties = f'{{{head},"Email Domain":{domains[person]},"$event_id":"{code}"{extra}}}'
            owner = f'{{"type":"profile","id":"{profiles[person]}"}}'
        texts.append(
            f'{{"type":"event","id":"{id_}","attributes":{{"timestamp":{stamp},"event_properties":{properties},'
            f'"datetime":"{moment}+00:00","uuid":"{uuid}"}},"relationships":{{"profile":{{"data":{owner}}},'
            f'"metric":{{"data":{{"type":"metric","id":"{METRIC_IDS[kind]}"}}}}}},'
            f'"links":{{"self":"https://a.klaviyo.com/api/events/{id_}"}}}}'
        )
    return ids, texts


def _head(number: int, name: str, subject: str) -> str:
    """The part of the event properties that all events of one message share."""
    fields = {
        "Subject": subject,
        "Campaign Name": name,
        "$message": crockford(number * 7_919 + 40_000_000, 6),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]


def crockford_column(values: np.ndarray, width: int) -> list[str]:
    """`crockford` for a column of 64-bit numbers."""
    letters = np.frombuffer(_ALPHABET.encode(), np.uint8)
    digits = np.empty((len(values), width), np.uint8)
    for place in range(width):
        shift = np.uint64(5 * (width - 1 - place))
        digits[:, place] = letters[((values >> shift) & np.uint64(31)).astype(np.int64)]
    return digits.view(f"S{width}").ravel().astype(str).tolist() if len(values) else []
