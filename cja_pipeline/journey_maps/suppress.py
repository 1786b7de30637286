"""Small groups: under 20 people nothing is shown, under 100 the figure is marked.

A suppressed figure leaves the table as null with the status ``suppressed``; it is never drawn as zero.
"""

from __future__ import annotations

from collections.abc import Mapping

SUPPRESS = 20
SMALL = 100


def size_status(n: float | None) -> str:
    """``suppressed``, ``small`` or an empty string, by the number of people behind a figure."""
    if n is None or n < SUPPRESS:
        return "suppressed"
    return "small" if n < SMALL else ""


def shown_parts(parts: Mapping[str, int]) -> dict[str, tuple[int | None, str]]:
    """The parts of a whole as (count or None, status), so that no small part can be computed from the rest.

    A part of 1 to 19 is suppressed. If exactly one part is, the largest other part is rounded to the next
    fifty (or ten below 200), because whole minus rest would give the hidden count.
    """
    hidden = [name for name, count in parts.items() if 0 < count < SUPPRESS]
    found: dict[str, tuple[int | None, str]] = {
        name: (None, "suppressed") if name in hidden else (count, "") for name, count in parts.items()
    }
    if len(hidden) == 1:
        rest = {name: count for name, count in parts.items() if name not in hidden and count}
        if rest:
            largest = max(sorted(rest), key=lambda name: rest[name])
            step = 50 if rest[largest] >= 200 else 10
            found[largest] = (int(rest[largest] / step + 0.5) * step, "rounded")
    return found
