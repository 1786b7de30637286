"""The truth of a world, computed from its true state alone: who is who, what happened, what was damaged,
true effects.

Written to ``truth/*.parquet``; only tests and quality measurement read it. Times are timestamps UTC, money
is decimal text-free float in the stated currency, person ids are ``P`` with seven digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .columns import NEVER, Table, length
from .crm_contacts import Contacts
from .email_rows import profile_id
from .ga4_strings import Vocabulary, second_account
from .identity import Identities
from .life import Life, login_text
from .orders import SALES, currency_codes
from .people import CATEGORIES, DEVICES_PER_PERSON
from .tracking import tracked_orders
from .truth_counts import count_rows
from .truth_defects import defect_rows
from .truth_effects import effect_rows, incident_rows
from .truth_kpis import kpi_rows
from .web import traffic_list


@dataclass
class Emitted:
    """What was written for the vendors, in memory, for counting."""

    vocabulary: Vocabulary
    measured: Table
    index: pa.Table
    numbers: np.ndarray
    crm_at: np.ndarray
    order_ids: np.ndarray
    identities: Identities
    contacts: Contacts
    versions: dict[str, list[dict[str, Any]]]
    broken: dict[str, list[tuple[str, dict[str, Any]]]]
    mail_rows: dict[str, Any]
    mail_ids: list[str]
    insights: list[dict[str, Any]]
    posts: list[dict[str, Any]]
    comments: list[dict[str, Any]]


def write_truth(life: Life, emitted: Emitted, folder: Path) -> None:
    """Write all truth tables of a world."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "persons": _persons(life, emitted),
        "identifiers": _identifiers(life, emitted),
        "sessions": _sessions(life, emitted),
        "orders": _orders(life, emitted),
        "texts": _texts(life, emitted),
        "defects": pa.Table.from_pylist(defect_rows(life, emitted)),
        "incidents": pa.Table.from_pylist(incident_rows(life)),
        "effects": pa.Table.from_pylist(effect_rows(life)),
        "kpis": pa.Table.from_pylist(kpi_rows(life, emitted)),
        "counts": pa.Table.from_pylist(count_rows(life, emitted)),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")


def stamps(values: np.ndarray, mask: np.ndarray | None = None) -> pa.Array:
    """Timestamps from UTC microseconds; `mask` marks nulls."""
    values = np.where(mask, 0, values) if mask is not None else values
    return pa.array(values.astype("datetime64[us]"), mask=mask)


def person_names(person: np.ndarray) -> pa.Array:
    """Person ids as text, null below 0."""
    texts = [f"P{p:07d}" if p >= 0 else None for p in person.tolist()]
    return pa.array(texts, pa.string())


def _persons(life: Life, emitted: Emitted) -> pa.Table:
    people = life.people
    known = np.zeros(length(people), bool)
    known[np.fromiter(emitted.contacts.of_person, np.int64, len(emitted.contacts.of_person))] = True
    columns = {
        "person_id": person_names(people["person"]),
        "household_id": pa.array([f"H{h:07d}" for h in people["household"].tolist()]),
        "segment": pa.array(list(life.config.segments)).take(pa.array(people["segment"])),
        "country": pa.array(list(life.config.countries)).take(pa.array(people["country"])),
        "known": known,
        "arrival_day": people["arrival"],
        "departure_day": people["departure"],
        "inclination": people["inclination"],
        "satisfaction": people["satisfaction"],
        "consent_analytics": people["consent"],
        "opted_in": people["optin"],
        "holdout": people["holdout"],
        "adblock": people["adblock"],
        "account_at": stamps(life.account_at, np.abs(life.account_at) >= NEVER),
        "has_account": life.account_at < NEVER,
    }
    return pa.table(columns)


def _identifiers(life: Life, emitted: Emitted) -> pa.Table:
    rows: list[tuple[int, str, str, int | None, int | None]] = []
    contacts, identities = emitted.contacts, emitted.identities
    ended = {loser: at for loser, _, at in contacts.merges}
    for person, contact in contacts.of_person.items():
        rows.append((person, "contact", contact, contacts.created[person], None))
        if life.people["loyalty"][person]:
            rows.append((person, "loyalty", identities.loyalty_id(person), contacts.created[person], None))
    for person, (contact, since) in contacts.duplicate.items():
        rows.append((person, "contact", contact, since, ended.get(contact)))
    for person in identities.spelled.tolist():
        rows.append((person, "email", identities.email(person), None, None))
        second = identities.second_email(person)
        if second:
            rows.append((person, "email", second, None, None))
        rows.append((person, "phone", identities.mobile(person), None, None))
    twice = second_account(life, life.people["person"])
    for person in np.flatnonzero(life.account_at < NEVER).tolist():
        since = int(life.account_at[person])
        rows.append((person, "login", login_text(person, False), None if since < 0 else since, None))
        if twice[person]:
            rows.append((person, "login", login_text(person, True), None if since < 0 else since, None))
    for person in np.unique(life.email["person"]).tolist():
        rows.append((person, "profile", profile_id(person), None, None))
    visits, words = life.visits, emitted.vocabulary
    human = np.flatnonzero(
        (visits["person"] >= 0) & (visits["robot"] != 2) & visits["consent"] & ~visits["adblock"]
    )
    pair = words.cookie_of_visit[human] * (length(life.people) + 1) + visits["person"][human]
    keys = np.unique(pair)
    spans_start = np.full(len(keys), NEVER)
    spans_end = np.zeros(len(keys), np.int64)
    position = np.searchsorted(keys, pair)
    np.minimum.at(spans_start, position, visits["ts"][human])
    np.maximum.at(spans_end, position, visits["ts"][human])
    cookies, owners = np.divmod(keys, length(life.people) + 1)
    spans = zip(cookies.tolist(), owners.tolist(), spans_start.tolist(), spans_end.tolist(), strict=True)
    for c, p, a, b in spans:
        rows.append((p, "cookie", str(words.cookie_text[c]), a, b))
    return pa.table(
        {
            "person_id": person_names(np.array([r[0] for r in rows])),
            "kind": [r[1] for r in rows],
            "value": [r[2] for r in rows],
            "valid_from": pa.array([r[3] for r in rows], pa.int64()).cast(pa.timestamp("us")),
            "valid_to": pa.array([r[4] for r in rows], pa.int64()).cast(pa.timestamp("us")),
        }
    )


def _sessions(life: Life, emitted: Emitted) -> pa.Table:
    visits, words = life.visits, emitted.vocabulary
    traffic = traffic_list(life.config)
    channels = pa.array(list(life.config.channels))
    n = length(visits)
    orders = np.bincount(np.maximum(life.orders["visit"], 0), weights=life.orders["visit"] >= 0, minlength=n)
    seen = np.bincount(life.events["visit"][emitted.measured["event"]], minlength=n) > 0
    device = visits["device"]
    columns = {
        "visit_id": np.arange(n),
        "person_id": person_names(visits["person"]),
        "cookie": words.cookies.take(pa.array(words.cookie_of_visit)),
        "device_id": device,
        "shared_device": device % DEVICES_PER_PERSON == 3,
        "started_at": stamps(visits["ts"]),
        "channel": channels.take(pa.array(visits["channel"])),
        "source": pa.array([t[1] for t in traffic]).take(pa.array(visits["traffic"])),
        "medium": pa.array([t[2] for t in traffic]).take(pa.array(visits["traffic"])),
        "device": pa.array(CATEGORIES).take(pa.array(visits["category"])),
        "depth": visits["depth"],
        "orders": orders.astype(np.int32),
        "cause": channels.take(pa.array(np.maximum(visits["cause"], 0), mask=visits["cause"] < 0)),
        "stopped_by_incident": visits["stopped"],
        "experiment": pa.array([each.id for each in life.config.experiments]).take(
            pa.array(np.maximum(visits["test"], 0), mask=visits["test"] < 0)
        ),
        "variant": pa.array(["A", "B"]).take(
            pa.array(np.maximum(visits["variant"], 0), mask=visits["variant"] < 0)
        ),
        "robot": pa.array(["", "crawler", "credential_bot", "store_tablet"]).take(pa.array(visits["robot"])),
        "consent": visits["consent"],
        "measured": seen,
    }
    return pa.table(columns)


def _orders(life: Life, emitted: Emitted) -> pa.Table:
    orders = life.orders
    never = orders["refund"] == 0
    channels = pa.array(list(life.config.channels))
    day = life.calendar.day_of(orders["at"])
    rate = life.rates[orders["currency"], np.clip(day, 0, life.rates.shape[1] - 1)]
    columns = {
        "order_number": emitted.numbers,
        "crm_order_id": pa.array(emitted.order_ids.astype(str)),
        "person_id": person_names(orders["person"]),
        "visit_id": pa.array(orders["visit"], mask=orders["visit"] < 0),
        "ordered_at": stamps(orders["at"]),
        "in_crm_at": stamps(emitted.crm_at),
        "sales_channel": pa.array(SALES).take(pa.array(orders["sales"])),
        "currency": pa.array(currency_codes(life.config)).take(pa.array(orders["currency"])),
        "exchange_rate": rate,
        "gross": orders["gross"] / 100,
        "discount": orders["discount"] / 100,
        "refund": orders["refund"] / 100,
        "net": (orders["gross"] - orders["discount"] - orders["refund"]) / 100,
        "refunded_at": stamps(orders["refund_at"], never),
        "canceled": orders["cancel_at"] < NEVER,
        "is_test": orders["test"],
        "slow_delivery": orders["slow"],
        "tracked": tracked_orders(life, emitted.measured),
        "cause": channels.take(pa.array(np.maximum(orders["cause"], 0), mask=orders["cause"] < 0)),
        "sold_by_variant_b": orders["nudged"],
    }
    return pa.table(columns)


def _texts(life: Life, emitted: Emitted) -> pa.Table:
    """True feeling and topic of every social comment, for measuring sentiment."""
    rows = [
        {k: c[k] for k in ("id", "topic", "feeling", "language")} | {"source": "comment"}
        for c in emitted.comments
    ]
    schema = pa.schema(
        {
            "id": pa.string(),
            "topic": pa.string(),
            "feeling": pa.int8(),
            "language": pa.string(),
            "source": pa.string(),
        }
    )
    return pa.Table.from_pylist(rows, schema)
