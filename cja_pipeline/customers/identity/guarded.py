"""Joining records one by one where a component holds people who cannot be one."""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.names import Name, NameBook, birth_dates_conflict
from cja_pipeline.customers.identity.prepare import Prepared

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class People:
    """What tells records apart, as integer codes per record (-1: unknown)."""

    crm: np.ndarray
    name: np.ndarray
    birth: np.ndarray
    names: list[Name]
    births: list[str]
    book: NameBook

    @classmethod
    def of(cls, prepared: Prepared, book: NameBook) -> People:
        import pandas as pd

        frame = prepared.people
        first, last = frame["first_name"], frame["last_name"]
        pairs = pd.Series(
            [(a, b) if a is not None else None for a, b in zip(first, last, strict=True)], dtype=object
        )
        name, names = pd.factorize(pairs, sort=False)
        birth, births = pd.factorize(frame["birth_date"], sort=False)
        return cls(_crm_roots(prepared), name, birth, list(names), list(births), book)

    def names_conflict(self, a: int, b: int) -> bool:
        return self.book.conflict(self.names[a], self.names[b])

    def same_names(self, one: set[int], two: set[int]) -> bool:
        """True if both sides are named, and every name of one agrees with every name of the other."""
        named = bool(one) and bool(two)
        return named and all(self.book.same(self.names[a], self.names[b]) for a in one for b in two)

    def births_conflict(self, a: int, b: int) -> bool:
        return birth_dates_conflict(self.births[a], self.births[b])

    def name_groups(self, uses: pd.DataFrame) -> pd.DataFrame:
        """Split the names seen with a value into groups that may each be one person.

        Args:
            uses: value, name (codes); distinct.

        Returns:
            value, name, group (a name code), shared (whether any two names of the value conflict).
        """
        import pandas as pd

        found = []
        for value, codes in uses.groupby("value")["name"]:
            ordered = sorted(codes)
            group = {code: code for code in ordered}
            shared = False
            for i, a in enumerate(ordered):
                for b in ordered[i + 1 :]:
                    if self.names_conflict(a, b):
                        shared = True
                    elif group[a] != group[b]:
                        low, high = sorted((group[a], group[b]))
                        group = {code: low if root == high else root for code, root in group.items()}
            found += [(value, code, group[code], shared) for code in ordered]
        frame = pd.DataFrame(found, columns=["value", "name", "group", "shared"])
        return frame.astype({"value": "int64", "name": "int64", "group": "int64", "shared": "bool"})


@dataclass
class State:
    """Everything known about one growing cluster."""

    crm: set[int] = field(default_factory=set)
    names: set[int] = field(default_factory=set)
    births: set[int] = field(default_factory=set)

    def absorb(self, other: State) -> None:
        self.crm |= other.crm
        self.names |= other.names
        self.births |= other.births

    @property
    def is_blank(self) -> bool:
        """Nothing to tell this cluster from another person."""
        return not (self.crm or self.names or self.births)


class Guarded:
    """Rebuilds torn components: strongest identifiers first, each join checked against all it would unite."""

    def __init__(self, people: People, rules: Identity) -> None:
        self._people = people
        self._verified = {kind for kind, rule in rules.identifiers.items() if rule.verified}
        self._join_duplicates = rules.crm_duplicates == "same_name"
        self._parent: dict[int, int] = {}
        self._states: dict[int, State] = {}

    def rebuild(
        self, uses: pd.DataFrame, wanted: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, pd.DataFrame]:
        """New labels for the records in `wanted`, and the judged evidence (accepted and refused)."""
        import numpy as np
        import pandas as pd

        people = self._people
        rows = np.flatnonzero(wanted)
        self._parent = dict(zip(rows.tolist(), rows.tolist(), strict=True))
        described = zip(people.crm[rows], people.name[rows], people.birth[rows], strict=True)
        for row, codes in zip(rows.tolist(), described, strict=True):
            self._states[row] = State(*({int(code)} if code >= 0 else set() for code in codes))
        judged: list[tuple[int, int, str, str, bool, str]] = []
        mine = uses[wanted[uses["row"].to_numpy()]].copy()
        # values in the order of their first record, so that nothing depends on the secret behind the keys
        mine["first"] = mine.groupby("node")["row"].transform("min")
        second = mine.groupby("node")["row"].transform("max")
        mine = mine.assign(last=second).sort_values(["strength", "first", "last", "key", "node", "row"])
        ordered = mine[["node", "kind", "key", "row"]].itertuples(index=False, name=None)
        for _, group in itertools.groupby(ordered, key=operator.itemgetter(0)):
            uses_of_value = list(group)
            _, kind, key, _ = uses_of_value[0]
            self._judge(kind, key, [use[3] for use in uses_of_value], judged)
        labels = labels.copy()
        base = int(labels.max()) + 1
        for row in self._parent:
            labels[row] = base + self._find(row)
        columns = ["record", "other", "kind", "key", "accepted", "reason"]
        _, labels = np.unique(labels, return_inverse=True)
        return labels, pd.DataFrame(judged, columns=columns)

    def _judge(
        self, kind: str, key: str, rows: list[int], judged: list[tuple[int, int, str, str, bool, str]]
    ) -> None:
        """Join the records of one value where nothing speaks against it."""
        people = self._people
        # the best described first: they decide what the value stands for
        rows = sorted(rows, key=lambda r: (people.crm[r] < 0, people.name[r] < 0, people.birth[r] < 0, r))
        camps: list[int] = []
        for row in rows:
            own = self._find(row)
            if own in {self._find(camp) for camp in camps}:
                continue
            open_to = [camp for camp in camps if self._objection(kind, self._find(camp), own) is None]
            if not camps:
                camps.append(row)
            elif self._states[own].is_blank and len(camps) > 1:
                judged.append((row, camps[0], kind, key, False, "value of several people"))
            elif open_to:
                judged.append((row, open_to[0], kind, key, True, "same value"))
                self._union(self._find(open_to[0]), own)
            else:
                reason = self._objection(kind, self._find(camps[0]), own) or "refused"
                judged.append((row, camps[0], kind, key, False, reason))
                camps.append(row)

    def _objection(self, kind: str, a: int, b: int) -> str | None:
        """Why two clusters cannot be one person, or None."""
        one, two = self._states[a], self._states[b]
        people = self._people
        if one.crm and two.crm and one.crm != two.crm:
            alike = self._join_duplicates and people.same_names(one.names, two.names)
            if not alike:
                return "different CRM ids"
        if any(people.births_conflict(x, y) for x in one.births for y in two.births):
            return "conflicting birth dates"
        if kind not in self._verified and any(
            people.names_conflict(x, y) for x in one.names for y in two.names
        ):
            return "conflicting first names"
        return None

    def _find(self, row: int) -> int:
        root = row
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[row] != root:
            self._parent[row], row = root, self._parent[row]
        return root

    def _union(self, a: int, b: int) -> None:
        low, high = min(a, b), max(a, b)
        self._parent[high] = low
        self._states[low].absorb(self._states.pop(high))


def _crm_roots(prepared: Prepared) -> np.ndarray:
    """CRM ids as codes, ids that the CRM declares one person under one code; -1 for records without."""
    import numpy as np
    import pandas as pd
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ids = prepared.identifiers[prepared.identifiers["kind"] == "crm_id"]
    merges = prepared.crm_merges
    codes, distinct = pd.factorize(pd.concat([ids["key"], merges["kept"], merges["merged"]]))
    left, right = np.split(codes[len(ids) :], 2)
    size = len(distinct)
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    root = connected_components(graph, directed=False)[1]
    found = np.full(len(prepared.people), -1, dtype=np.int64)
    found[ids["row"].to_numpy()] = root[codes[: len(ids)]]
    return found
