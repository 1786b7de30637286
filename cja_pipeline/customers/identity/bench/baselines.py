"""How others join records, on the same data: what the measured resolution is compared with.

All take ``uses`` (record: row, kind, value: code, event, seen: order of arrival, visit), one row per
identifier of a record, cookies being identifiers of the kind ``cookie``, and return a group per record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.refine import components

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PRIORITY = ("crm_id", "login_id", "email", "phone", "loyalty_id", "cookie")
SEGMENT_LIMITS = {"crm_id": 1, "login_id": 1}
SEGMENT_OTHERS = 5
ADOBE_UNIQUE = ("crm_id", "login_id")
ADOBE_SIZE = 50
CAPS = {"email": 10, "phone": 10, "loyalty_id": 5, "cookie": 3, "crm_id": 10, "login_id": 5}


def connected(records: int, uses: pd.DataFrame) -> np.ndarray:
    """Everything that shares a value, directly or through others, is one."""
    values = int(uses["value"].max()) + 1 if len(uses) else 0
    return components(records + values, uses["record"].to_numpy(), uses["value"].to_numpy() + records)[
        :records
    ]


def capped(records: int, uses: pd.DataFrame) -> np.ndarray:
    """The same without values that more records carry than a limit per kind."""
    carriers = uses.groupby("value")["record"].transform("nunique")
    return connected(records, uses[carriers <= uses["kind"].map(CAPS)])


def segment_like(records: int, uses: pd.DataFrame) -> np.ndarray:
    """Event by event: profiles merge while no identifier exceeds its limit per profile.

    As Segment describes its identity resolution: one user id and five of every other kind a profile; an event
    that would break a limit loses its identifier of the lowest priority and is tried again.
    """
    import numpy as np

    profile_of: dict[int, int] = {}
    parent: list[int] = []
    held: list[dict[str, set[int]]] = []

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    found = np.empty(records, dtype=np.int64)
    for record, values in _events(records, uses):
        ids = values
        while True:
            roots = list(dict.fromkeys(find(profile_of[value]) for _, value in ids if value in profile_of))
            together: dict[str, set[int]] = {}
            for root in roots:
                for kind, known in held[root].items():
                    together.setdefault(kind, set()).update(known)
            for kind, value in ids:
                together.setdefault(kind, set()).add(value)
            broken = any(len(v) > SEGMENT_LIMITS.get(kind, SEGMENT_OTHERS) for kind, v in together.items())
            if not broken or len(ids) <= 1:
                break
            ids = ids[:-1]
        if roots:
            root = roots[0]
            for other in roots[1:]:
                parent[other] = root
        else:
            root = len(parent)
            parent.append(root)
            held.append({})
        if not broken:
            held[root] = together
            for _, value in ids:
                profile_of[value] = root
        if record >= 0:
            found[record] = root
    return np.array([find(root) for root in found.tolist()])


def adobe_like(records: int, uses: pd.DataFrame) -> np.ndarray:
    """Link by link, the newest first: one that would unite two unique identifiers, or too many, is dropped.

    As Adobe describes graphs with unique namespaces: one CRM id and one login a graph, 50 identities at most.
    """
    import numpy as np

    parent: dict[int, int] = {}
    size: dict[int, int] = {}
    unique: dict[int, dict[str, int]] = {}

    def find(one: int, kind: str) -> int:
        if one not in parent:
            parent[one], size[one] = one, 1
            unique[one] = {kind: one} if kind in ADOBE_UNIQUE else {}
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    anchor: dict[int, tuple[str, int]] = {}
    events = list(_events(records, uses))
    for record, values in reversed(events):
        if record >= 0 and values:
            anchor[record] = values[0]
        for kind, value in values[1:]:
            a, b = find(values[0][1], values[0][0]), find(value, kind)
            if a == b or size[a] + size[b] > ADOBE_SIZE:
                continue
            if any(unique[b].get(name, held) != held for name, held in unique[a].items()):
                continue
            parent[b], size[a] = a, size[a] + size[b]
            unique[a] |= unique[b]
    base = int(uses["value"].max()) + 1 if len(uses) else 0
    return np.array(
        [find(anchor[row][1], anchor[row][0]) if row in anchor else base + row for row in range(records)]
    )


def _events(records: int, uses: pd.DataFrame) -> list[tuple[int, list[tuple[str, int]]]]:
    """Events in the order of arrival: (record or -1 for a later visit, identifiers by priority)."""
    rank = uses["kind"].map({kind: place for place, kind in enumerate(PRIORITY)})
    ordered = uses.assign(rank=rank).sort_values(["seen", "event", "rank", "value"])
    events: list[tuple[int, list[tuple[str, int]]]] = []
    last = None
    columns = ordered[["event", "record", "kind", "value", "visit"]].itertuples(index=False, name=None)
    for event, record, kind, value, visit in columns:
        if event != last:
            events.append((-1 if visit else record, []))
            last = event
        events[-1][1].append((kind, value))
    empty = set(range(records)) - {record for record, _ in events}
    return events + [(record, []) for record in sorted(empty)]
