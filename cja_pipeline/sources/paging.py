"""Protection against listings without an end."""

from __future__ import annotations

from collections import Counter

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
