"""Why records are one customer, and why others are not: the evidence, in words a person can check."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Step:
    """One link on the way from a record to another: both records, what they share, and why it counts."""

    record_key: str
    other_key: str
    rule: str
    reason: str


def explain_customer(wh: Warehouse, customer_id: str) -> pd.DataFrame:
    """The records of a customer and what ties each to the others.

    Returns:
        kind, record_key, source, first_seen_at, since (run in which it came to this customer), tied_by (the
        evidence), refused (links that were not made, with the reason). Record keys are personal data.

    Raises:
        KeyError: there is no such customer; if the id was merged, the message says into which.
    """
    records = wh.df(
        "SELECT l.kind, l.record_key, l.source, l.first_seen_at, l.since, m.rule, m.share "
        "FROM customers.identity_links l LEFT JOIN customers.visitor_map m "
        "ON l.kind = 'visitor' AND l.record_key = concat('visitor:', m.visitor_id) "
        "WHERE l.customer_id = ? ORDER BY l.kind, l.record_key",
        [customer_id],
    )
    if records.empty:
        merged = wh.sql(
            "SELECT customer_id FROM customers.identity_log WHERE event = 'merge' AND other_customer_id = ? "
            "ORDER BY logged_at DESC LIMIT 1",
            [customer_id],
        ).fetchall()
        hint = f"; it was merged into {merged[0][0]}" if merged else ""
        raise KeyError(f"there is no customer {customer_id!r}{hint}")
    edges = wh.df(
        "SELECT e.* FROM customers.identity_edges e JOIN customers.identity_links l "
        "ON l.record_key IN (e.record_key, e.other_key) WHERE l.customer_id = ?",
        [customer_id],
    ).drop_duplicates()
    records["tied_by"] = [
        _device(rule, share) if kind == "visitor" else _said(edges, key, accepted=True)
        for kind, key, rule, share in records[["kind", "record_key", "rule", "share"]].itertuples(index=False)
    ]
    records["refused"] = [_said(edges, key, accepted=False) for key in records["record_key"]]
    return records.drop(columns=["rule", "share"])


def path_between(wh: Warehouse, record_key: str, other_key: str) -> list[Step]:
    """The shortest way of accepted links between two records; empty if they are not one customer."""
    edges = wh.sql(
        "WITH mine AS (SELECT k.record_key FROM customers.identity_links k JOIN customers.identity_links o "
        "ON o.customer_id = k.customer_id WHERE o.record_key = ?) "
        "SELECT record_key, other_key, rule, coalesce(printf('%.1f bits', weight), 'same value') "
        "FROM customers.identity_edges WHERE verdict = 'accepted' AND record_key IN (SELECT record_key"
        " FROM mine) ORDER BY ALL",
        [record_key],
    ).fetchall()
    near: dict[str, list[Step]] = {}
    for a, b, kind, reason in edges:
        near.setdefault(a, []).append(Step(a, b, kind, reason))
        near.setdefault(b, []).append(Step(b, a, kind, reason))
    came: dict[str, Step | None] = {record_key: None}
    waiting = deque([record_key])
    while waiting and other_key not in came:
        for step in near.get(waiting.popleft(), []):
            if step.other_key not in came:
                came[step.other_key] = step
                waiting.append(step.other_key)
    found: list[Step] = []
    last = came.get(other_key)
    while last is not None:
        found.append(last)
        last = came[last.record_key]
    return found[::-1]


def _device(rule: str, share: float) -> str:
    if rule in ("sole", "dominant"):
        return f"device: {share:.0%} of its logins and orders are this customer's"
    return f"device of nobody known ({rule})"


def _said(edges: pd.DataFrame, key: str, *, accepted: bool) -> str:
    mine = edges[
        ((edges["verdict"] == "accepted") == accepted)
        & ((edges["record_key"] == key) | (edges["other_key"] == key))
    ]
    columns = ["record_key", "other_key", "rule", "weight", "verdict", "reason"]
    told = []
    for own, other, rule, weight, verdict, reason in mine[columns].itertuples(index=False):
        bits = "same value" if weight != weight else f"{weight:.1f} bits"
        why = "" if accepted else f", {verdict}" + (f": {reason}" if isinstance(reason, str) else "")
        told.append(f"{rule} with {other if own == key else own}: {bits}{why}")
    return "; ".join(sorted(told))
