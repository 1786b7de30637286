"""Whether two people can be told apart by first name or birth date.

A difference is a conflict unless it is an initial, a short form, first and last name swapped, or a slip of
the pen. Two spellings one letter apart are a slip only if one of them is rare: Katrin and Katirn are one
name, Julia and Julian are two, and which is which is counted in the data at hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from cja_pipeline.customers.config import NameRules
from cja_pipeline.customers.identity.normalise import fold, text

Name = tuple[str, str | None]  # first and last name, folded
SLIP_LENGTH = 4  # shorter names are too alike for one letter to be a slip (Tim and Tom)
SLIP_COUNT = 2  # a spelling seen this often at most may always be a slip


class NameBook:
    """Compares first names, knowing how often each occurs. Build it from every first name at hand."""

    def __init__(self, rules: NameRules, first_names: Iterable[str]) -> None:
        self._counts = Counter(first_names)
        self._slip_share = rules.slip_share
        self._groups: dict[str, set[int]] = defaultdict(set)
        for number, line in enumerate(rules.nicknames):
            for name in line:
                self._groups[fold(name)].add(number)
        self._known: dict[tuple[Name, Name], bool] = {}
        self._alike: dict[tuple[str, str], bool] = {}

    def conflict(self, a: Name, b: Name) -> bool:
        """True if the two names cannot belong to one person."""
        if a[0] == b[0]:
            return False
        pair = (a, b) if a[0] <= b[0] else (b, a)
        if pair not in self._known:
            swapped = a[0] == b[1] and b[0] == a[1]
            self._known[pair] = not (swapped or self.same_first_name(a[0], b[0]))
        return self._known[pair]

    def same(self, a: Name, b: Name) -> bool:
        """True if first and last names agree, but for a slip of the pen; unknown last names do not agree."""
        if a[1] is None or b[1] is None or self.conflict(a, b):
            return False
        return a[1] == b[1] or (a[0] == b[1] and b[0] == a[1]) or within_one_edit(a[1], b[1])

    def same_first_name(self, a: str, b: str) -> bool:
        """Equal, an initial, a short form, or a slip of the pen."""
        if a == b:
            return True
        pair = (a, b) if a < b else (b, a)
        if pair not in self._alike:
            self._alike[pair] = self._same_first_name(a, b)
        return self._alike[pair]

    def _same_first_name(self, a: str, b: str) -> bool:
        if len(a) == 1 or len(b) == 1:
            return a[0] == b[0]
        if self._groups.get(a, set()) & self._groups.get(b, set()):
            return True
        if min(len(a), len(b)) < SLIP_LENGTH or not within_one_edit(a, b):
            return False
        rare, common = sorted((self._counts[a], self._counts[b]))
        return rare <= SLIP_COUNT or rare <= self._slip_share * common


def within_one_edit(a: str, b: str) -> bool:
    """True if one insertion, deletion, substitution or swap of neighbours turns one text into the other."""
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) > len(b):
        a, b = b, a
    start = next((i for i, letter in enumerate(a) if letter != b[i]), len(a))
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    rest_a, rest_b = a[start:], b[start:]
    return rest_a[1:] == rest_b[1:] or (rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:])


def birth_dates_conflict(a: str, b: str) -> bool:
    """True if two ISO dates differ by more than one digit or day and month swapped."""
    if a == b or (a[:4] == b[:4] and a[5:7] == b[8:] and a[8:] == b[5:7]):
        return False
    return sum(x != y for x, y in zip(a, b, strict=True)) > 1


# small words that belong to the name after them
# fmt: off
PARTICLES = {
    "van", "von", "vom", "zu", "zum", "zur", "de", "del", "della", "der", "den", "des", "di", "da", "do",
    "dos", "du", "el", "al", "la", "le", "bin", "ibn", "ben", "mac", "mc", "st", "san", "ter", "ten", "op",
    "af",
}
# fmt: on


def split_full_name(value: object) -> tuple[str | None, str | None]:
    """First and last name of ``Last, First`` or ``First … Last``; a single word is a last name."""
    raw = text(value)
    if raw is None:
        return None, None
    if "," in raw:
        last, _, first = raw.partition(",")
        return first.strip() or None, last.strip() or None
    words = raw.split()
    start = len(words) - 1
    while start > 1 and words[start - 1].casefold().strip(".") in PARTICLES:
        start -= 1
    return " ".join(words[:start]) or None, " ".join(words[start:])
