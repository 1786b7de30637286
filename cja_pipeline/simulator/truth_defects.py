"""The list of everything that was injected: damaged, late, doubled and lost records, incidents, planted effects."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import NEVER, length
from .events import NAMES
from .identity import JUNK_EMAILS, JUNK_PHONES, chance
from .life import Life
from .tracking import DAMAGE, LOST
from .web import incident_window

if TYPE_CHECKING:
    from .truth import Emitted

Row = dict[str, Any]


def _row(source: str, stream: str, kind: str, key: str, day: dt.date | None, detail: str = "") -> Row:
    return {"source": source, "stream": stream, "kind": kind, "key": key, "day": day, "detail": detail}


def defect_rows(life: Life, emitted: Emitted) -> list[Row]:
    """One row per injected defect; `key` finds the record in the vendor's stream."""
    return [*_web(life, emitted), *_crm(life, emitted), *_email(life, emitted)]


def _web(life: Life, emitted: Emitted) -> list[Row]:
    rows: list[Row] = []
    measured, visits, words = emitted.measured, life.visits, emitted.vocabulary
    dates = life.calendar.dates
    kind = np.full(length(measured), "", dtype="<U24")
    kind[measured["late"]] = "late"
    kind[measured["rewrite"] == LOST] = "lost"
    kind[measured["copy"] == 1] = "duplicate"
    kind[measured["copy"] == 2] = "double_purchase"
    broken = measured["copy"] == 3
    kind[broken] = np.array(DAMAGE)[measured["damage"][broken]]
    at = np.flatnonzero(kind != "")
    event = measured["event"][at]
    visit = life.events["visit"][event]
    cookie = words.cookie_text[words._cookie_of_visit[visit]]
    for i, position in enumerate(at.tolist()):
        day = dates[int(measured["day"][position])]
        key = f"{cookie[i]}|{int(measured['ts'][position])}|{NAMES[int(life.events['name'][event[i]])]}"
        rows.append(_row("ga4", "events", str(kind[position]), key, day))
    for entry in emitted.index.to_pylist():
        rows += [
            _row("ga4", "events", "truncated_line", f"{entry['name']}#{k}", dates[entry["day"]])
            for k in range(entry["damaged_lines"])
        ]
    robots = np.flatnonzero((visits["robot"] == 1) | (visits["robot"] == 2))
    _, first = np.unique(visits["cookie"][robots], return_index=True)
    for row in robots[first].tolist():
        kind_name = "bot" if visits["robot"][row] == 1 else "credential_bot"
        day = dates[int(life.calendar.day_of(visits["ts"][row : row + 1])[0])]
        rows.append(
            _row("ga4", "events", kind_name, str(words.cookie_text[words._cookie_of_visit[row]]), day)
        )
    for row in np.flatnonzero(life.orders["tag_fails"]).tolist():
        day = dates[int(life.calendar.day_of(life.orders["at"][row : row + 1])[0])]
        rows.append(_row("ga4", "events", "tag_failure", str(emitted.numbers[row]), day))
    return rows


def _crm(life: Life, emitted: Emitted) -> list[Row]:
    rows: list[Row] = []
    day_of = life.calendar.day_of
    dates = life.calendar.dates

    def day(moment: int) -> dt.date | None:
        number = int(day_of(np.array([moment]))[0])
        return dates[number] if 0 <= number < len(dates) else None

    for stream, items in emitted.broken.items():
        rows += [
            _row("hubspot", stream, kind, version["id"], day(version["visible_from"]))
            for kind, version in items
        ]
    for row in np.flatnonzero(life.orders["test"]).tolist():
        rows.append(
            _row(
                "hubspot", "orders", "test_order", str(emitted.numbers[row]), day(int(life.orders["at"][row]))
            )
        )
    home = list(life.config.exchange_rates).index(life.currency)
    for row in np.flatnonzero(life.orders["currency"] != home).tolist():
        if chance(row, 141, life.config.exchange_rate_missing):
            rows.append(
                _row(
                    "hubspot",
                    "orders",
                    "missing_rate",
                    str(emitted.numbers[row]),
                    day(int(life.orders["at"][row])),
                )
            )
    for person, (contact, since) in emitted.contacts.duplicate.items():
        rows.append(
            _row(
                "hubspot",
                "contacts",
                "duplicate_contact",
                contact,
                day(since),
                emitted.contacts.of_person[person],
            )
        )
    for loser, winner, at in emitted.contacts.merges:
        rows.append(_row("hubspot", "contacts", "merge", loser, day(at), winner))
    seen: set[str] = set()
    for version in emitted.versions["contacts"]:
        if version["archived"] or version["gone"]:
            kind = "archived" if version["archived"] else "erased_or_merged"
            rows.append(_row("hubspot", "contacts", kind, version["id"], day(version["visible_from"])))
        if version["id"] not in seen:
            seen.add(version["id"])
            if version["properties"]["email"] in JUNK_EMAILS:
                rows.append(
                    _row("hubspot", "contacts", "junk_email", version["id"], day(version["visible_from"]))
                )
            if version["properties"]["phone"] in JUNK_PHONES:
                rows.append(
                    _row("hubspot", "contacts", "junk_phone", version["id"], day(version["visible_from"]))
                )
    return rows


def _email(life: Life, emitted: Emitted) -> list[Row]:
    rows: list[Row] = []
    mail = emitted.mail_rows
    kind = np.where(
        mail["copy"] == 1,
        "duplicate",
        np.where(mail["copy"] == 3, "without_properties", np.where(mail["late"], "late", "")),
    )
    at = np.flatnonzero(kind != "")
    days = life.calendar.day_of(mail["ts"][at])
    for position, day in zip(at.tolist(), days.tolist(), strict=True):
        rows.append(
            _row(
                "klaviyo", "events", str(kind[position]), emitted.mail_ids[position], life.calendar.dates[day]
            )
        )
    return rows


def _utc(moment: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment / 1_000_000, dt.UTC).replace(tzinfo=None)


def incident_rows(life: Life) -> list[Row]:
    """Incidents with their windows (UTC) and what they cost: events lost, orders lost, messages bounced."""
    rows = []
    for incident in life.config.incidents:
        since, until = incident_window(life.calendar, incident)
        lost_orders = 0
        if incident.kind == "checkout":
            lost_orders = int(life.visits["stopped"].sum())
        lost_events = 0
        if incident.kind == "tracking":
            inside = (life.events["ts"] >= since) & (life.events["ts"] < until)
            lost_events = int((inside & ~life.visits["adblock"][life.events["visit"]]).sum())
        rows.append(
            {
                "name": incident.name,
                "kind": incident.kind,
                "from": _utc(since),
                "to": _utc(until),
                "effect": incident.effect,
                "lost_orders": lost_orders,
                "lost_events": lost_events,
            }
        )
    return rows


def effect_rows(life: Life) -> list[Row]:
    """Planted effects: log-odds as set, and what they truly did in the history (orders that would not exist without)."""
    visits, history = life.visits, life.visits["ts"] < life.calendar.history_end
    bought = (visits["depth"] == 7) & history
    rows: list[Row] = []
    for index, (name, channel) in enumerate(life.config.channels.items()):
        here = visits["channel"] == index
        rows.append(
            _effect(
                "channel",
                name,
                channel.effect,
                int((bought & (visits["cause"] == index)).sum()),
                int((bought & here).sum()),
                int((here & history).sum()),
            )
        )
    test = life.config.experiment
    rows.append(
        _effect(
            "experiment",
            test.id,
            test.effect,
            int((visits["nudged"] & history).sum()),
            int((bought & (visits["variant"] == 1)).sum()),
            int((history & (visits["variant"] == 1)).sum()),
        )
    )
    reachable = life.people["optin"] & (life.people["arrival"] < life.calendar.days)
    web = (
        (life.orders["person"] >= 0) & (life.orders["at"] < life.calendar.history_end) & ~life.orders["test"]
    )
    orders = np.bincount(life.orders["person"][web], minlength=length(life.people))
    for held in (False, True):
        group = reachable & (life.people["holdout"] == held)
        rows.append(
            _effect(
                "email_holdout",
                "held out" if held else "mailed",
                0.0,
                0,
                int(orders[group].sum()),
                int(group.sum()),
            )
        )
    rows.append(
        _effect(
            "confounding",
            "Paid Search tilt to inclined buyers",
            life.config.channels["Paid Search"].tilt,
            0,
            0,
            0,
        )
    )
    rows.append(
        _effect(
            "zero_effect",
            "Affiliates",
            0.0,
            0,
            int((bought & (visits["channel"] == list(life.config.channels).index("Affiliates"))).sum()),
            0,
        )
    )
    return rows


def _effect(kind: str, name: str, log_odds: float, incremental: int, orders: int, units: int) -> Row:
    return {
        "kind": kind,
        "name": name,
        "log_odds": log_odds,
        "incremental_orders": incremental,
        "orders": orders,
        "units": units,
    }


__all__ = ["NEVER", "defect_rows", "effect_rows", "incident_rows"]
