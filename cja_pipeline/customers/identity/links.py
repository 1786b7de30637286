"""The links between records: which there are, and the strongest way from one record to another."""

from __future__ import annotations

from collections import deque
from typing import Any

from cja_pipeline.warehouse import Warehouse

VERIFIED = {"crm_id": "the same CRM id", "login_id": "the same login"}
Row = dict[str, Any]


def rows_of(wh: Warehouse, query: str, params: list[Any] | None = None) -> list[Row]:
    result = wh.sql(query, params)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def links_of(wh: Warehouse, records: list[str]) -> list[Row]:
    """All links of these records, the strongest first: verified ones, then by weight."""
    return rows_of(
        wh,
        "SELECT DISTINCT record_key AS record, other_key AS other, source, other_source, rule,"
        " round(weight, 2) AS weight, verdict, reason, since FROM customers.identity_edges"
        " WHERE record_key IN (SELECT unnest(?::VARCHAR[])) OR other_key IN (SELECT unnest(?::VARCHAR[]))"
        " ORDER BY weight DESC NULLS FIRST, record, other",
        [records, records],
    )


def strongest(edges: list[Row]) -> list[Row]:
    """The strongest links that connect everything: a way from any record to any other is unique."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    kept = []
    for edge in edges:
        a, b = find(edge["record"]), find(edge["other"])
        if a != b:
            parent[a] = b
            kept.append(edge)
    return kept


def way(wh: Warehouse, customer_id: str, record: str, other: str) -> list[Row]:
    """The links from one record to another of the same customer, in order."""
    mine = [
        row[0]
        for row in wh.sql(
            "SELECT record_key FROM customers.identity_links WHERE customer_id = ?", [customer_id]
        ).fetchall()
    ]
    near: dict[str, list[tuple[str, Row]]] = {}
    for edge in strongest([edge for edge in links_of(wh, mine) if edge["verdict"] == "accepted"]):
        near.setdefault(edge["record"], []).append((edge["other"], edge))
        near.setdefault(edge["other"], []).append((edge["record"], edge))
    came: dict[str, tuple[str, Row] | None] = {record: None}
    waiting = deque([record])
    while waiting and other not in came:
        here = waiting.popleft()
        for there, edge in near.get(here, []):
            if there not in came:
                came[there] = (here, edge)
                waiting.append(there)
    steps: list[Row] = []
    at = other
    while came.get(at) is not None:
        here, edge = came[at] or ("", {})
        steps.append({"record": here, "other": at, "link": what(edge), "since": edge["since"]})
        at = here
    return steps[::-1]


def what(edge: Row) -> str:
    """The rule or the weight of a link, and the systems that it joins."""
    systems = (
        edge["source"]
        if edge["source"] == edge["other_source"]
        else f"{edge['source']}, {edge['other_source']}"
    )
    rule = VERIFIED.get(edge["rule"]) or f"score of {edge['weight']:.1f} bits"
    return f"{rule} ({systems})"


def why_not(edge: Row) -> str:
    if edge["verdict"] == "unlinked":
        return f"declared two people: {edge['reason']}"
    return str(edge["reason"] or edge["verdict"])
