"""What the CRM knows at a moment: the current version of every record, filters and sorting over them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np

from cja_pipeline.simulator.calendar import micros
from cja_pipeline.simulator.world import World

MODIFIED = {"contacts": "lastmodifieddate"}
TIMES = {"createdate", "hs_createdate", "lastmodifieddate", "hs_lastmodifieddate"}


class BadFilter(ValueError):
    """A search that the CRM refuses."""


def modified_name(kind: str) -> str:
    """Name of the property with the time of the last change."""
    return MODIFIED.get(kind, "hs_lastmodifieddate")


def current(world: World, kind: str, moment: int, archived: bool) -> np.ndarray:
    """Rows of the current versions at `moment` (µs), by id."""

    def make() -> np.ndarray:
        stream = f"hubspot/{kind}"
        shown, until = world.numbers(stream, "visible_from"), world.numbers(stream, "until")
        mask = (shown <= moment) & (until > moment) & ~world.numbers(stream, "gone")
        rows = np.flatnonzero(mask & (world.numbers(stream, "archived") == archived))
        return rows[np.argsort(ids(world, kind)[rows], kind="stable")]

    return world.view(("view", "crm", kind, moment, archived), make)


def ids(world: World, kind: str) -> np.ndarray:
    """Record ids as numbers."""
    return world.view(("ids", kind), lambda: world.numbers(f"hubspot/{kind}", "id").astype(np.int64))


def search(world: World, kind: str, moment: int, groups: list[Any], sort: tuple[str, bool]) -> np.ndarray:
    """Rows that match any of the groups, sorted by (property, id); BadFilter for what the CRM refuses."""
    key = ("view", "search", kind, moment, json.dumps(groups, sort_keys=True), sort)

    def make() -> np.ndarray:
        rows = current(world, kind, moment, False)
        mask = np.zeros(len(rows), bool) if groups else np.ones(len(rows), bool)
        for group in groups:
            if not isinstance(group, dict) or not isinstance(group.get("filters"), list):
                raise BadFilter("each filterGroup needs a list of filters")
            part = np.ones(len(rows), bool)
            for one in group["filters"]:
                part &= _matches(world, kind, rows, one)
            mask |= part
        rows = rows[mask]
        name, descending = sort
        keys = _numbers(world, kind, rows, name)
        return rows[np.lexsort((ids(world, kind)[rows], -keys if descending else keys))]

    return world.view(key, make)


def _numbers(world: World, kind: str, rows: np.ndarray, name: str) -> np.ndarray:
    """A property as sortable numbers (times in epoch milliseconds)."""
    if name == modified_name(kind):
        return world.numbers(f"hubspot/{kind}", "visible_from")[rows] // 1000
    if name == "hs_object_id":
        return ids(world, kind)[rows]
    if name in TIMES:
        return world.numbers(f"hubspot/{kind}", "created_at")[rows] // 1000
    texts = [have.get(name) for have in properties(world, kind, rows)]
    return np.array([_number(text) for text in texts], float)


def _number(text: str | None) -> float:
    if text is None:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _milliseconds(value: Any) -> float:
    text = str(value)
    if text.lstrip("-").isdigit():
        return float(text)
    try:
        return float(micros(dt.datetime.fromisoformat(text.replace("Z", "+00:00"))) // 1000)
    except (ValueError, TypeError) as error:
        raise BadFilter(f"{text[:40]!r} is not a time in epoch milliseconds") from error


def _matches(world: World, kind: str, rows: np.ndarray, one: Any) -> np.ndarray:
    try:
        name, operator = str(one["propertyName"]), str(one["operator"])
    except (TypeError, KeyError) as error:
        raise BadFilter("each filter needs propertyName and operator") from error
    if operator in ("GT", "GTE", "LT", "LTE", "BETWEEN"):
        have = _numbers(world, kind, rows, name)
        as_number = _milliseconds if name in TIMES else float
        try:
            low = as_number(one["value"])
            high = as_number(one["highValue"]) if operator == "BETWEEN" else low
        except (KeyError, ValueError) as error:
            raise BadFilter(f"filter on {name}: the value is missing or not a number") from error
        return {
            "GT": have > low,
            "GTE": have >= low,
            "LT": have < low,
            "LTE": have <= low,
            "BETWEEN": (have >= low) & (have <= high),
        }[operator]
    texts: list[str | None] = (
        [str(number) for number in ids(world, kind)[rows].tolist()]
        if name == "hs_object_id"
        else [have.get(name) for have in properties(world, kind, rows)]
    )
    if operator == "HAS_PROPERTY":
        return np.array([text is not None for text in texts], bool)
    if operator == "NOT_HAS_PROPERTY":
        return np.array([text is None for text in texts], bool)
    if operator in ("IN", "NOT_IN"):
        wanted = {str(value).lower() for value in one.get("values") or []}
        inside = np.array([text is not None and text.lower() in wanted for text in texts], bool)
        return inside if operator == "IN" else ~inside
    if operator in ("EQ", "NEQ"):
        wanted_text = str(one.get("value", "")).lower()
        same = np.array([text is not None and text.lower() == wanted_text for text in texts], bool)
        return same if operator == "EQ" else ~same
    raise BadFilter(f"operator {operator[:40]!r} is not supported")


def properties(world: World, kind: str, rows: np.ndarray) -> list[dict[str, str | None]]:
    """All properties of the versions."""
    texts = world.table(f"hubspot/{kind}")["properties"].take(rows).to_pylist()
    parsed: list[dict[str, str | None]] = json.loads(f"[{','.join(texts)}]")  # one call is cheaper than many
    return parsed


def iso(moments: np.ndarray) -> list[str]:
    """Times (µs) as the CRM writes them."""
    texts: list[str] = np.datetime_as_string(moments.astype("M8[us]"), "ms", timezone="UTC").tolist()
    return texts


def records(world: World, kind: str, rows: np.ndarray, wanted: list[str]) -> list[dict[str, Any]]:
    """Records as the API shows them, with the wanted properties (null where unset) and the usual ones."""
    stream = f"hubspot/{kind}"
    created_name = "createdate" if kind in ("contacts", "tickets") else "hs_createdate"
    shown = []
    for id_, created, changed, archived, have in zip(
        ids(world, kind)[rows].tolist(),
        iso(world.numbers(stream, "created_at")[rows]),
        iso(world.numbers(stream, "visible_from")[rows]),
        world.numbers(stream, "archived")[rows].tolist(),
        properties(world, kind, rows),
        strict=True,
    ):
        chosen: dict[str, str | None] = {name: have.get(name) for name in wanted}
        chosen.setdefault(created_name, have.get(created_name, created))
        chosen |= {modified_name(kind): changed, "hs_object_id": str(id_)}
        result = {
            "id": str(id_),
            "properties": dict(sorted(chosen.items())),
            "createdAt": created,
            "updatedAt": changed,
            "archived": archived,
        }
        shown.append(result | {"archivedAt": changed} if archived else result)
    return shown


def contact_of(world: World, kind: str, row: int, moment: int) -> str | None:
    """The contact that a record hangs on at `moment`, merges followed; None without one."""
    contact = world.table(f"hubspot/{kind}")["contact_id"][row].as_py()
    if contact is None:
        return None
    merged: dict[str, str] = world.view(("view", "merges", moment), lambda: _merged(world, moment))
    contact = merged.get(contact, contact)
    alive: set[int] = world.view(("view", "alive", moment), lambda: _alive(world, moment))
    return contact if int(contact) in alive else None


def _merged(world: World, moment: int) -> dict[str, str]:
    rows = world.table("hubspot/merges").to_pylist()
    return {row["loser"]: row["winner"] for row in rows if row["visible_from"] <= moment}


def _alive(world: World, moment: int) -> set[int]:
    numbers = ids(world, "contacts")
    return {
        int(numbers[row])
        for archived in (False, True)
        for row in current(world, "contacts", moment, archived)
    }
