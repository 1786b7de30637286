"""The list of everything that was injected: damaged, late, doubled, lost and misleading records."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import length
from .crm_orders import order_rates
from .identity import JUNK_EMAILS, JUNK_PHONES
from .life import Life
from .steps import NAMES
from .tracking import DAMAGE, LOST

if TYPE_CHECKING:
    from .truth import Emitted

Row = dict[str, Any]


def defect_rows(life: Life, emitted: Emitted) -> list[Row]:
    """One row per injected defect: source, stream, kind, key (finds the record there), day, detail."""
    listed = _List(life)
    _web(life, emitted, listed)
    _robots(life, emitted, listed)
    _orders(life, emitted, listed)
    _contacts(emitted, listed)
    _email(life, emitted, listed)
    _social(emitted, listed)
    return listed.rows


class _List:
    """Collects rows; days are looked up from moments (UTC µs)."""

    def __init__(self, life: Life) -> None:
        self.rows: list[Row] = []
        self._calendar = life.calendar

    def add(self, where: str, kind: str, key: str, moment: int | None, detail: str = "") -> None:
        source, stream = where.split("/")
        day: dt.date | None = None
        if moment is not None:
            number = int(np.searchsorted(self._calendar.edges, moment, side="right")) - 1
            day = self._calendar.dates[number] if 0 <= number < len(self._calendar.dates) else None
        row = {"source": source, "stream": stream, "kind": kind, "key": key, "day": day, "detail": detail}
        self.rows.append(row)


def _web(life: Life, emitted: Emitted, listed: _List) -> None:
    measured, words = emitted.measured, emitted.vocabulary
    kind = np.full(length(measured), "", dtype="<U24")
    kind[measured["late"]] = "late"
    kind[measured["rewrite"] == LOST] = "lost"
    kind[measured["copy"] == 1] = "duplicate"
    kind[measured["copy"] == 2] = "double_purchase"
    broken = measured["copy"] == 3
    kind[broken] = np.array(DAMAGE)[measured["damage"][broken]]
    at = np.flatnonzero(kind != "")
    event = measured["event"][at]
    cookie = words.cookie_text[words.cookie_of_visit[life.events["visit"][event]]]
    names = life.events["name"][event].tolist()
    for c, k, ts, name in zip(cookie, kind[at], measured["ts"][at].tolist(), names, strict=True):
        listed.add("ga4/events", str(k), f"{c}|{ts}|{NAMES[name]}", ts)
    for entry in emitted.index.to_pylist():
        day = int(life.calendar.edges[entry["day"]])
        for number in range(entry["damaged_lines"]):
            listed.add("ga4/events", "truncated_line", f"{entry['name']}#{number}", day)


def _robots(life: Life, emitted: Emitted, listed: _List) -> None:
    visits, words = life.visits, emitted.vocabulary
    robots = np.flatnonzero(visits["robot"] > 0)
    kinds = ["", "bot", "credential_bot", "store_tablet"]
    _, first = np.unique(visits["cookie"][robots], return_index=True)
    for row in robots[first].tolist():
        cookie = str(words.cookie_text[words.cookie_of_visit[row]])
        listed.add("ga4/events", kinds[int(visits["robot"][row])], cookie, int(visits["ts"][row]))


def _orders(life: Life, emitted: Emitted, listed: _List) -> None:
    orders, numbers = life.orders, emitted.numbers
    late = emitted.crm_at - orders["at"] > 86_400_000_000
    flags = {
        "ga4/events tag_failure": orders["tag_fails"],
        "hubspot/orders test_order": orders["test"],
        "hubspot/orders late_in_crm": late,
        "hubspot/orders missing_rate": np.isnan(order_rates(life)),
    }
    for name, mask in flags.items():
        where, kind = name.split()
        for row in np.flatnonzero(mask).tolist():
            listed.add(where, kind, str(numbers[row]), int(orders["at"][row]))
    for stream, items in emitted.broken.items():
        for kind, version in items:
            listed.add(f"hubspot/{stream}", kind, version["id"], version["visible_from"])


def _contacts(emitted: Emitted, listed: _List) -> None:
    contacts = emitted.contacts
    for person, (contact, since) in contacts.duplicate.items():
        listed.add("hubspot/contacts", "duplicate_contact", contact, since, contacts.of_person[person])
    merged = {loser for loser, _, _ in contacts.merges}
    for loser, winner, at in contacts.merges:
        listed.add("hubspot/contacts", "merge", loser, at, winner)
    seen: set[str] = set()
    for version in contacts.versions:
        id_, moment, properties = version["id"], version["visible_from"], version["properties"]
        if version["archived"] or (version["gone"] and id_ not in merged):
            listed.add("hubspot/contacts", "archived" if version["archived"] else "erased", id_, moment)
        if id_ in seen:
            continue
        seen.add(id_)
        for kind, name, junk in (("junk_email", "email", JUNK_EMAILS), ("junk_phone", "phone", JUNK_PHONES)):
            if properties[name] in junk:
                listed.add("hubspot/contacts", kind, id_, moment)


def _email(life: Life, emitted: Emitted, listed: _List) -> None:
    mail = emitted.mail_rows
    machine = life.email["machine"][mail["row"]]
    kind = np.select(
        [mail["copy"] == 1, mail["copy"] == 3, mail["late"], machine],
        ["duplicate", "without_properties", "late", "machine_open"],
        "",
    )
    for row in np.flatnonzero(kind != "").tolist():
        listed.add("klaviyo/events", str(kind[row]), emitted.mail_ids[row], int(mail["ts"][row]))


def _social(emitted: Emitted, listed: _List) -> None:
    for row in emitted.insights:
        if row["damaged"]:
            listed.add("meta/insights", "negative_spend", f"{row['ad_id']}|{row['day']}", row["visible_from"])
    for row in emitted.comments:
        if row["topic"] in ("hostile", "sticker"):
            kind = "hostile_text" if row["topic"] == "hostile" else "empty_text"
            listed.add("meta/comments", kind, row["id"], row["created_at"])
