"""Joining records one by one where a component holds people who cannot be one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.names import Name, NameBook, birth_dates_conflict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CRM = "different CRM ids"
BIRTHS = "conflicting birth dates"
NAMES = "conflicting first names"
UNLINKED = "declared two people"


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
    def of(cls, nodes: pd.DataFrame, book: NameBook) -> People:
        """Codes of a table with crm, given, last_name, born."""
        import numpy as np
        import pandas as pd

        crm = pd.factorize(nodes["crm"])[0]
        first, last = nodes["given"], nodes["last_name"]
        given, spelled = pd.factorize(first)
        family, families = pd.factorize(last)
        both = np.where(given < 0, -1, given * (len(families) + 1) + family + 1)
        name, kept = pd.factorize(np.where(both < 0, np.nan, both))
        given_of, family_of = spelled.tolist(), [None, *families.tolist()]
        codes = (divmod(code, len(family_of)) for code in kept.astype("int64").tolist())
        names = [(given_of[first], family_of[second]) for first, second in codes]
        birth, births = pd.factorize(nodes["born"])
        return cls(crm, name, birth, names, [str(value) for value in births], book)

    def names_conflict(self, a: int, b: int) -> bool:
        return self.book.conflict(self.names[a], self.names[b])

    def same_names(self, one: set[int], two: set[int]) -> bool:
        """True if both sides are named, and every name of one agrees with every name of the other."""
        named = bool(one) and bool(two)
        return named and all(self.book.same(self.names[a], self.names[b]) for a in one for b in two)

    def births_conflict(self, a: int, b: int) -> bool:
        return birth_dates_conflict(self.births[a], self.births[b])

    def torn(self, labels: np.ndarray, banned: np.ndarray, *, crm_alone: bool) -> np.ndarray:
        """Components (labels) whose members cannot all be one person."""
        import numpy as np
        import pandas as pd

        torn = set(labels[banned[:, 0]][labels[banned[:, 0]] == labels[banned[:, 1]]].tolist())
        for codes, differ in (
            (self.crm, lambda a, b: crm_alone),
            (self.name, self.names_conflict),
            (self.birth, self.births_conflict),
        ):
            known = np.flatnonzero(codes >= 0)
            some = np.zeros(len(labels), dtype=codes.dtype)  # any code of each component
            some[labels[known]] = codes[known]
            mixed = labels[known[codes[known] != some[labels[known]]]]
            known = known[np.isin(labels[known], mixed)]
            pairs = pd.DataFrame({"component": labels[known], "code": codes[known]}).drop_duplicates()
            several = pairs.sort_values(["component", "code"])
            bounds = np.flatnonzero(np.r_[True, np.diff(several["component"].to_numpy()) != 0, True])
            values, numbers = several["code"].tolist(), several["component"].tolist()
            for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
                part = values[start:end]
                if any(differ(a, b) for place, a in enumerate(part) for b in part[place + 1 :]):
                    torn.add(numbers[start])
        return np.array(sorted(torn), dtype=np.int64)


@dataclass
class State:
    """Everything known about one growing group."""

    crm: set[int] = field(default_factory=set)
    names: set[int] = field(default_factory=set)
    births: set[int] = field(default_factory=set)
    banned: set[int] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)

    def absorb(self, other: State) -> None:
        self.crm |= other.crm
        self.names |= other.names
        self.births |= other.births
        self.banned |= other.banned
        self.rows += other.rows


class Guarded:
    """Builds torn components again: best pairs first, each join checked against all that it would unite."""

    def __init__(self, people: People, rules: Identity, banned: np.ndarray) -> None:
        """`banned`: pairs of rows that a person declared two people."""
        self._people = people
        self._join_duplicates = rules.crm_duplicates == "same_name"
        self._banned: dict[int, set[int]] = {}
        for a, b in banned.tolist():
            self._banned.setdefault(a, set()).add(b)
            self._banned.setdefault(b, set()).add(a)
        self._parent: dict[int, int] = {}
        self._states: dict[int, State] = {}

    def split(self, labels: np.ndarray, torn: np.ndarray, edges: pd.DataFrame) -> np.ndarray:
        """New labels, equal outside the components in `torn`.

        Args:
            edges: left, right (rows), rule, best first within each component.
        """
        import numpy as np

        people = self._people
        rows = np.flatnonzero(np.isin(labels, torn))
        self._parent = {row: row for row in rows.tolist()}
        for row, crm, name, birth in zip(
            rows.tolist(), people.crm[rows].tolist(), people.name[rows].tolist(), people.birth[rows].tolist(),
            strict=True,
        ):  # fmt: skip
            known = [{code} if code >= 0 else set() for code in (crm, name, birth)]
            self._states[row] = State(known[0], known[1], known[2], set(self._banned.get(row, ())), [row])
        for left, right, rule in zip(
            edges["left"].tolist(), edges["right"].tolist(), edges["rule"].tolist(), strict=True
        ):
            a, b = self._find(left), self._find(right)
            if a != b and self.objection(self._states[a], self._states[b], verified=rule != "score") is None:
                self._union(a, b)
        found = labels.copy()
        base = int(labels.max()) + 1
        for row in self._parent:
            found[row] = base + self._find(row)
        return np.unique(found, return_inverse=True)[1]

    def objection(self, one: State, two: State, *, verified: bool) -> str | None:
        """Why two groups cannot be one person, or None; names do not matter to a verified identifier."""
        people = self._people
        if (one.banned and not one.banned.isdisjoint(two.rows)) or (
            two.banned and not two.banned.isdisjoint(one.rows)
        ):
            return UNLINKED
        if one.crm and two.crm and one.crm != two.crm:
            alike = self._join_duplicates and people.same_names(one.names, two.names)
            if not alike:
                return CRM
        if any(people.births_conflict(x, y) for x in one.births for y in two.births):
            return BIRTHS
        if not verified and any(people.names_conflict(x, y) for x in one.names for y in two.names):
            return NAMES
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
