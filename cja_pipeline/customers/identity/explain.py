"""Why records are one customer, and why others are not: the evidence, in words a person can check.

Records are named by kind and id in their source (``contact:101``). What records say about the person (names,
addresses) is masked unless a caller asks for it: those values live in the restricted rooms only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cja_pipeline.customers.identity.links import Row, links_of, rows_of, strongest, way, what, why_not
from cja_pipeline.customers.identity.parts import parts_of
from cja_pipeline.warehouse import Warehouse

DEVICES = {
    "sole": "all logins and orders on it are theirs",
    "dominant": "most logins and orders on it are theirs",
    "shared": "several people use it: only visits with a login have an owner",
    "bot": "a machine that tries passwords",
    "anonymous": "nobody ever logged in or ordered on it",
}


@dataclass(frozen=True)
class CustomerStory:
    """``customer``: who. ``records``: what belongs to them and what ties each to the rest. ``refused``: links
    that were not made. ``golden``: the winning value of each attribute, its origin, and the values that lost.
    ``history``: merges and splits."""

    customer: Row
    records: list[Row]
    refused: list[Row]
    golden: list[Row]
    history: list[Row]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PairStory:
    """``verdict``: in one sentence. ``path``: the links from one to the other, if they are one customer.
    ``link``: the link between the two themselves, if they were compared. ``parts``: what each comparison
    adds, in bits; empty for devices."""

    verdict: str
    together: bool
    customers: list[str]
    path: list[Row] = field(default_factory=list)
    link: Row | None = None
    parts: list[Row] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def explain_customer(wh: Warehouse, customer_id: str, *, values: bool = False) -> CustomerStory:
    """The records of a customer, what ties them, what was refused, and which values won.

    Args:
        values: show what records say; otherwise it is masked.

    Raises:
        KeyError: there is no such customer; if the id was merged, the message says into which.
    """
    records = rows_of(
        wh,
        "SELECT l.record_key AS record, l.kind, l.source, l.first_seen_at, l.since, m.rule, m.share"
        " FROM customers.identity_links l LEFT JOIN customers.visitor_map m"
        " ON l.kind = 'visitor' AND l.record_key = concat('visitor:', m.visitor_id)"
        " WHERE l.customer_id = ? ORDER BY l.kind, l.record_key",
        [customer_id],
    )
    if not records:
        raise KeyError(f"there is no customer {customer_id!r}{_merged_into(wh, customer_id)}")
    edges = links_of(wh, [row["record"] for row in records])
    tree = strongest([edge for edge in edges if edge["verdict"] == "accepted"])
    told = []
    for row in records:
        rule, share = row.pop("rule"), row.pop("share")
        ties = [
            _link(edge, row["record"]) for edge in tree if row["record"] in (edge["record"], edge["other"])
        ]
        row["tied_by"] = [_device(rule, share)] if rule else ties or ["nothing: it is alone"]
        told.append(row)
    refused = [
        {"record": e["record"], "other": e["other"], "link": what(e), "since": e["since"], "why": why_not(e)}
        for e in edges
        if e["verdict"] in ("refused", "vetoed", "unlinked")
    ]
    return CustomerStory(
        _summary(wh, customer_id), told, refused, _golden(wh, customer_id, values), _history(wh, customer_id)
    )


def explain_pair(wh: Warehouse, record: str, other: str, models: Path | None = None) -> PairStory:
    """Why two records are one customer, or are not.

    Args:
        models: folder of the installation's models; the one in use weighs the pair again.

    Raises:
        KeyError: one of the records is not known; the message names it.
    """
    owner = dict(
        wh.sql(
            "SELECT record_key, customer_id FROM customers.identity_links WHERE record_key IN (?, ?)",
            [record, other],
        ).fetchall()
    )
    for key in (record, other):
        if key not in owner:
            raise KeyError(f"there is no record {key!r}; `cja explain customer` shows how records are named")
    together = owner[record] == owner[other]
    customers = sorted(set(owner.values()))
    for key in (record, other):
        if key.startswith("visitor:"):
            return PairStory(_device_verdict(wh, key, together=together), together, customers)
    edges = links_of(wh, [record, other])
    mine = [edge for edge in edges if {edge["record"], edge["other"]} == {record, other}]
    link = max(mine, key=lambda edge: (edge["weight"] is None, edge["weight"] or 0.0), default=None)
    path = way(wh, owner[record], record, other) if together else []
    parts = parts_of(wh, record, other, models)
    verdict = _verdict(together, link, path)
    if link is not None and link["verdict"] == "refused":
        verdict += _between(wh, customers)
    return PairStory(verdict, together, customers, path, link, parts)


def mask(value: object) -> str:
    """The first letter, and the domain of an address: enough to recognise, not to know."""
    text = str(value)
    local, at, domain = text.rpartition("@")
    return f"{local[:1]}…@{domain}" if at else f"{text[:1]}…"


def _merged_into(wh: Warehouse, customer_id: str) -> str:
    """Follows merges to the customer of today."""
    found, seen = customer_id, {customer_id}
    while True:
        into = wh.scalar(
            "SELECT max_by(customer_id, logged_at) FROM customers.identity_log"
            " WHERE event = 'merge' AND other_customer_id = ?",
            [found],
        )
        if into is None or into in seen:
            return f"; it was merged into {found}" if found != customer_id else ""
        found = str(into)
        seen.add(found)


def _summary(wh: Warehouse, customer_id: str) -> Row:
    columns = (
        "customer_id, is_known, sources, first_seen_at, last_seen_at, stage, orders, consent_analytics,"
        " consent_marketing"
    )
    if not wh.exists("customers.customers"):
        return {"customer_id": customer_id}
    query = f"SELECT {columns} FROM customers.customers WHERE customer_id = ?"
    return (rows_of(wh, query, [customer_id]) or [{"customer_id": customer_id}])[0]


def _link(edge: Row, record: str) -> str:
    other = edge["other"] if edge["record"] == record else edge["record"]
    return f"{other}: {what(edge)}"


def _device(rule: str, share: float | None) -> str:
    part = f" ({share:.0%})" if share is not None and rule == "dominant" else ""
    return f"device: {DEVICES[rule]}{part}"


def _device_verdict(wh: Warehouse, key: str, *, together: bool) -> str:
    rule = wh.scalar(
        "SELECT rule FROM customers.visitor_map WHERE visitor_id = ?", [key.removeprefix("visitor:")]
    )
    told = f"{key} is a device: {DEVICES.get(str(rule), 'unknown')}"
    return f"One customer. {told}." if together else f"Two customers. {told}. Devices never merge people."


def _verdict(together: bool, link: Row | None, path: list[Row]) -> str:
    if together:
        if link is not None and link["verdict"] == "accepted":
            return f"One customer, by {what(link)}."
        if link is None:
            return f"One customer, through {len(path)} links; the two themselves were never compared."
        return f"One customer, through {len(path)} links, though the two themselves do not speak for it."
    if link is None:
        return (
            "Two customers. They were never compared: they share no usable identifier, and no name with a"
            " date, home or city."
        )
    if link["verdict"] == "weak":
        return f"Two customers: too little speaks for one ({what(link)})."
    return f"Two customers: refused, {why_not(link)} ({what(link)})."


def _between(wh: Warehouse, customers: list[str]) -> str:
    """What keeps two customers apart, in a sentence; empty where nothing single does."""
    rows = wh.sql(
        "SELECT l.customer_id, l.record_key, r.crm, r.given, r.born FROM customers.identity_links l"
        " JOIN customers.identity_records r USING (record_key)"
        " WHERE l.customer_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY l.record_key",
        [customers],
    ).fetchall()
    one = [row for row in rows if row[0] == customers[0]]
    two = [row for row in rows if row[0] != customers[0]]
    for place, what_differs in ((2, "CRM ids"), (4, "birth dates"), (3, "first names")):
        for a in one:
            for b in two:
                if None not in (a[place], b[place]) and a[place] != b[place]:
                    return f" Of their customers, {a[1]} and {b[1]} have different {what_differs}."
    return ""


def _golden(wh: Warehouse, customer_id: str, values: bool) -> list[Row]:
    if not wh.exists("customers.golden_values"):
        return []
    rows = rows_of(
        wh,
        "SELECT attribute, value, is_winner, source, record_key AS record, records, seen_at, rule"
        " FROM customers.golden_values WHERE customer_id = ? ORDER BY attribute, place",
        [customer_id],
    )
    found = []
    for winner in (row for row in rows if row["is_winner"]):
        lost = [row for row in rows if row["attribute"] == winner["attribute"] and not row["is_winner"]]
        show = str if values else mask
        found.append(
            {
                "attribute": winner["attribute"],
                "value": show(winner["value"]),
                "from": f"{winner['source']} {winner['record']}",
                "said": winner["seen_at"],
                "lost": ", ".join(f"{show(row['value'])} ({row['source']})" for row in lost),
                "rule": winner["rule"],
            }
        )
    return found


def _history(wh: Warehouse, customer_id: str) -> list[Row]:
    rows = rows_of(
        wh,
        "SELECT logged_at, event, customer_id, other_customer_id, records, reason FROM customers.identity_log"
        " WHERE ? IN (customer_id, other_customer_id) ORDER BY logged_at, event, other_customer_id",
        [customer_id],
    )
    return [
        {
            "night": row["logged_at"],
            "what": f"{row['records']} records of {row['other_customer_id']} came to {row['customer_id']}"
            if row["event"] == "merge"
            else f"{row['records']} records of {row['other_customer_id']} became {row['customer_id']}",
            "why": row["reason"],
        }
        for row in rows
    ]
