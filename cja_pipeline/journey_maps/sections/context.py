"""What every section needs to know: the warehouse, the group, the period, the words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.sections.settings import MapConfig
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MODELS = Path(__file__).parent


@dataclass(frozen=True)
class Context:
    """One group of customers at one point in time."""

    wh: Warehouse
    config: MapConfig
    words: Labels
    segment: str
    last_day: dt.date
    first_day: dt.date  # of the map's period
    currency: str
    time_zone: str
    run: Mapping[str, Any]
    tables: frozenset[str]  # schema.name of everything in the warehouse
    results: dict[str, Any] = field(default_factory=dict)  # shared by all groups of one build

    def has(self, *tables: str) -> bool:
        """Whether all these tables are there; a section without its tables says 'not enough data'."""
        return self.tables.issuperset(tables)

    def df(self, query: str, **values: Any) -> pd.DataFrame:
        """A query with ``$name`` parameters; `segment`, `first_day` and `last_day` are given always."""
        known = {"segment": self.segment, "first_day": self.first_day, "last_day": self.last_day} | values
        return self.wh.df(query, {name: value for name, value in known.items() if f"${name}" in query})

    def model(self, name: str) -> pd.DataFrame:
        """The rows of this group from a SQL model of this folder, which is run once for all groups."""
        text = (MODELS / f"{name}.sql").read_text(encoding="utf-8")
        found = self.once(name, lambda: self.df(text))
        return found[found["segment"] == self.segment]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The result of `make`, which is called for the first group only."""
        if name not in self.results:
            self.results[name] = make()
        return self.results[name]


def number(value: Any) -> float | None:
    """A cell of a result as a float; None for null, NaN and what is not a number."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if found == found and abs(found) != float("inf") else None


def whole(value: Any) -> int | None:
    """A cell as an int, or None."""
    found = number(value)
    return None if found is None else int(found)


def text(value: Any) -> str:
    """A cell as text; an empty string for null."""
    return value if isinstance(value, str) else ""


def day(value: Any) -> dt.date | None:
    """A cell as a date, or None."""
    if isinstance(value, dt.datetime):  # pandas' Timestamp and NaT
        return value.date() if value == value else None
    return value if isinstance(value, dt.date) else None
