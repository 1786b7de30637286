"""Protection against listings without an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from cja_pipeline.sources.errors import PagingError


class LoopGuard:
    """Allows each place of a listing to be asked for twice, because a page may be served twice by mistake;
    PagingError the third time. `what` names source and request."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._asked: Counter[str] = Counter()

    def visit(self, place: str) -> None:
        self._asked[place] += 1
        if self._asked[place] > 2:
            raise PagingError(f"{self._what}: the next page leads back to itself")


class Repeats:
    """Recognises pages that were served before, by their records' ids in order; `rows` counts theirs."""

    def __init__(self) -> None:
        self.rows = 0
        self._seen: set[int] = set()

    def again(self, records: list[Any]) -> bool:
        """Whether this page was seen before; an empty one never was."""
        place = hash(tuple(map(_identity, records)))
        if records and place in self._seen:
            self.rows += len(records)
            return True
        self._seen.add(place)
        return False


def _identity(record: Any) -> str:
    key = record.get("id") if isinstance(record, dict) else None
    return str(key) if key else repr(record)


def fitting(
    records: Callable[[Any], Iterable[Any]], fits: Callable[[Any], bool]
) -> Callable[[Any], str | None]:
    """A check that an answer belongs to its question: caches and proxies sometimes serve another one.

    `records` takes the records out of the answer, `fits` says whether one was asked for. An answer is wrong
    if it has records and not one of them fits; single odd records are the vendor's data and stay.
    """

    def check(answer: Any) -> str | None:
        found = list(records(answer))
        return "the answer belongs to another request" if found and not any(map(fits, found)) else None

    return check


def inside(value: Any, *keys: str) -> Any:
    """The value under nested keys, None where a step is missing or no object: vendors' answers are not what
    their documents promise."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def words(value: Any) -> str | None:
    """A cursor or link as text; None for what cannot be one."""
    return (
        str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None
    )


def items(answer: Any, key: str) -> list[Any]:
    """The list under `key` of an answer, empty if there is none."""
    value = answer.get(key) if isinstance(answer, dict) else None
    return value if isinstance(value, list) else []
