"""Records with parts replaced, removed, repeated and renamed, for tests that feed readers with them."""

from __future__ import annotations

import copy
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def examples(count: int) -> settings:
    """So many examples per run, however long each takes; the same ones each time. `FUZZ=50` in the
    environment makes them fifty times as many, and others each time."""
    times = int(os.environ.get("FUZZ", "1"))
    return settings(
        max_examples=count * times,
        deadline=None,
        derandomize=times == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


ODD = ["", "0", "-1", "1e400", "2026-13-45", "2026-03-02T12:00:00Z", "\x00", "=1+1", "'; --"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(max_size=20) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += places(inner, (*path, index))
    return found


@st.composite
def mutated(draw: st.DrawFn, record: Any) -> Any:
    """The record with one to three of its parts replaced, removed, repeated or renamed."""
    record = {"": copy.deepcopy(record)}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(record)[1:] or [("",)]))
        holder = record
        for step in path[:-1]:
            holder = holder[step]
        kind = draw(st.sampled_from(["replace", "replace", "remove", "repeat", "rename"]))
        if kind == "replace" or path == ("",):
            holder[path[-1]] = draw(JSON)
        elif kind == "remove":
            del holder[path[-1]]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        elif kind == "rename":
            holder[draw(st.text(max_size=8))] = holder.pop(path[-1])
        else:
            holder[path[-1]] = [holder[path[-1]], holder[path[-1]]]
    return record[""]
