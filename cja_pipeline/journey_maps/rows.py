"""The long table behind the page: one typed way to write its rows and one to read them.

`Rows` is what the builders fill; `Map` is what the page reads. A reader never sees NaN, NaT or a control
character, so that no drawing has to think about them.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cja_pipeline.journey_maps.redact import clean

if TYPE_CHECKING:
    import pandas as pd

STAGES = ("awareness", "consideration", "purchase", "retention", "advocacy")
SECTIONS = (
    "header",
    "health",
    "kpi",
    "figure",
    "volume",
    "touchpoint",
    "time",
    "emotion",
    "pain",
    "opportunity",
    "path",
    "attribution",
    "cohort",
    "friction",
    "duration",
    "value",
    "experiment",
    "note",
)
TEXTS = (
    "segment",
    "stage",
    "section",
    "item",
    "label",
    "text",
    "unit",
    "currency",
    "status",
    "series",
    "evidence",
    "owner",
)
NUMBERS = ("value", "low", "high", "share", "target", "previous")
COLUMNS = (
    "segment",
    "stage",
    "section",
    "item",
    "position",
    "label",
    "text",
    "value",
    "low",
    "high",
    "n",
    "share",
    "unit",
    "currency",
    "target",
    "status",
    "previous",
    "series",
    "evidence",
    "owner",
    "period_start",
    "period_end",
)
LIMITS = {"label": 120, "text": 400, "evidence": 160, "owner": 110, "item": 200, "series": 200_000}


@dataclass(frozen=True)
class Row:
    """One row of ``journey_maps.journey_map``; see its declaration for the meaning of the columns."""

    segment: str = "all"
    stage: str = ""
    section: str = "note"
    item: str = ""
    position: int = 0
    label: str = ""
    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    share: float | None = None
    unit: str = ""
    currency: str = ""
    target: float | None = None
    status: str = ""
    previous: float | None = None
    series: str = ""
    evidence: str = ""
    owner: str = ""
    period_start: dt.date | None = None
    period_end: dt.date | None = None

    def parts(self) -> Any:
        """The decoded `series`; None where it is empty or not JSON."""
        if not self.series:
            return None
        try:
            return json.loads(self.series)
        except ValueError:
            return None


@dataclass
class Rows:
    """Collects rows of one segment; ``frame()`` gives the declared columns in a total order."""

    segment: str = "all"
    period_start: dt.date | None = None
    period_end: dt.date | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, section: str, item: str, *, stage: str = "", series: Any = None, **values: Any) -> None:
        """Add one row; `series` may be any JSON-able value. The position defaults to the order of adding."""
        if section not in SECTIONS:
            raise ValueError(f"{section!r} is not a section of the journey map")
        unknown = set(values) - set(COLUMNS)
        if unknown:
            raise ValueError(f"the journey map has no columns {sorted(unknown)}")
        encoded = "" if series is None else encode(series)
        row = {
            "segment": self.segment,
            "period_start": self.period_start,
            "period_end": self.period_end,
            "position": len(self.rows),
        }
        self.rows.append(row | values | {"section": section, "item": item, "stage": stage, "series": encoded})

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame with the declared columns, sorted by segment, section, stage, position."""
        return to_frame(self.rows)


def encode(value: Any) -> str:
    """Compact JSON with sorted keys; figures that are not finite become null."""
    return json.dumps(_finite(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int):
        return value
    number = float(value)
    return round(number, 10) if math.isfinite(number) else None


def to_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """A DataFrame of the declared columns in the total order (segment, section, stage, position, item)."""
    import pandas as pd

    order = {name: place for place, name in enumerate(SECTIONS)}
    stages = {name: place for place, name in enumerate(("", *STAGES))}
    ranked = sorted(
        rows,
        key=lambda row: (
            str(row["segment"]),
            order[row["section"]],
            stages.get(row["stage"], len(stages)),
            row["position"],
            str(row["item"]),
        ),
    )
    frame = pd.DataFrame({column: [row.get(column) for row in ranked] for column in COLUMNS})
    for column in NUMBERS:
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    frame["n"] = pd.to_numeric(frame["n"], errors="coerce").astype("Float64").round().astype("Int64")
    frame["position"] = frame["position"].astype("int64")
    return frame


@dataclass(frozen=True)
class Map:
    """The rows of one segment, by section and stage."""

    segment: str
    rows: tuple[Row, ...]

    def section(self, name: str, stage: str | None = None) -> list[Row]:
        """Rows of a section (and stage), in order."""
        return [row for row in self.rows if row.section == name and (stage is None or row.stage == stage)]

    def find(self, section: str, item: str, stage: str = "") -> Row | None:
        """The row with this code, or None."""
        return next((row for row in self.section(section, stage) if row.item == item), None)

    def text(self, section: str, item: str, default: str = "") -> str:
        """The text of a row, or the default."""
        row = self.find(section, item)
        return row.text if row and row.text else default

    def bounded(self, most: int) -> Map:
        """With at most `most` rows per section and stage (paths and notes: eight times as many), so that no
        amount of data makes a page without end."""
        seen: dict[tuple[str, str], int] = {}
        kept = []
        for row in self.rows:
            key = (row.section, row.stage)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] <= most * (8 if row.section in ("figure", "path", "note", "header") else 1):
                kept.append(row)
        return Map(self.segment, tuple(kept))

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def read_map(frame: pd.DataFrame, segment: str = "all") -> Map:
    """The rows of one segment with every value cleaned; unknown sections and columns are ignored.

    Raises:
        ValueError: the frame lacks a declared column; the message names it.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"the journey map lacks the columns {missing}")
    chosen = frame[frame["segment"] == segment]
    rows = [_row(values) for values in chosen[list(COLUMNS)].to_dict("records")]
    ranked = sorted((row for row in rows if row.section in SECTIONS), key=lambda row: row.position)
    return Map(segment, tuple(ranked))


def _row(values: dict[Any, Any]) -> Row:
    cleaned: dict[str, Any] = {}
    for name in TEXTS:
        value = values[name]
        cleaned[name] = _clean(value, LIMITS.get(name, 200)) if isinstance(value, str) else ""
    for name in NUMBERS:
        cleaned[name] = _number(values[name])
    count = _number(values["n"])
    cleaned["n"] = None if count is None else int(count)
    cleaned["position"] = int(_number(values["position"]) or 0)
    for name in ("period_start", "period_end"):
        cleaned[name] = _day(values[name])
    return Row(**cleaned)


# the same units, stages and owners stand in most rows, and the map of a segment is read for each language
_clean = lru_cache(maxsize=4_000)(clean)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _day(value: Any) -> dt.date | None:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value[:10])
        except ValueError:
            return None
    if isinstance(value, dt.datetime):  # pandas' Timestamp and NaT are both datetimes
        return value.date() if value == value else None
    return value if isinstance(value, dt.date) else None
