"""What each reason changed in the numbers that changed, with examples of the rows behind it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cja_pipeline.kpis.reasons import PLACE, REASONS
from cja_pipeline.kpis.walk import CLOSE
from cja_pipeline.warehouse import DOUBLE_DIGITS, Warehouse

if TYPE_CHECKING:
    from cja_pipeline.kpis.walks import Path, Walks

EXAMPLES = 3
NUMBERS = ("value", "numerator", "denominator")


class Cell(NamedTuple):
    """A whole number of one period as the night before published it, and as tonight does (None: not at all).

    The numbers are value, numerator, denominator.
    """

    kpi_id: str
    grain: str
    start: dt.date
    before: tuple[float, ...]
    now: tuple[float, ...] | None

    @property
    def differs(self) -> bool:
        if self.now is None:
            return True
        return abs(self.now[0] - self.before[0]) > CLOSE * max(1.0, abs(self.before[0]))

    @property
    def told(self) -> dict[str, Any]:
        """What every row about it says."""
        numbers = zip(NUMBERS, self.before, self.now or (None, None, None), strict=True)
        both = {
            f"{name}_{when}": one
            for name, *pair in numbers
            for when, one in zip(("before", "now"), pair, strict=True)
        }
        return {"kpi_id": self.kpi_id, "grain": self.grain, "period_start": self.start, **both}


def starts_of(cells: Sequence[Cell]) -> dict[str, list[dt.date]]:
    """The periods of cells, by grain."""
    found: dict[str, set[dt.date]] = defaultdict(set)
    for cell in cells:
        found[cell.grain].add(cell.start)
    return {grain: sorted(starts) for grain, starts in found.items()}


def write_restatements(
    wh: Warehouse, night: dt.datetime, before: dt.datetime, cells: Sequence[Cell], walks: Walks
) -> None:
    """Add tonight's rows to ``kpis.restatements`` and ``kpis.restated_rows``."""
    import pandas as pd

    found: list[dict[str, Any]] = []
    examples: list[dict[str, Any]] = []
    for cell in cells:
        same = {**cell.told, "restated_at": night, "counted_before": before}
        if cell.now is None:
            found.append({**same, "reason": "withheld", "part": None, "rows": 0, "customers": 0})
            continue
        value = cell.now[0]
        path = walks.path(cell.kpi_id, cell.grain, cell.start, value)
        for reason, part, behind, customers in _parts(cell.before[0], value, path):
            found.append(
                {
                    **same,
                    "reason": reason,
                    "part": round(part, DOUBLE_DIGITS),
                    "rows": len(behind),
                    "customers": customers,
                }
            )
            where = {name: same[name] for name in ("kpi_id", "grain", "period_start", "restated_at")}
            if reason != "erased":  # nothing is to be kept of them
                examples += [{**where, "reason": reason, "place": row} for row in sorted(behind)[:EXAMPLES]]
    if found:
        wh.connection.register("restated", pd.DataFrame(found))
        wh.execute("INSERT INTO kpis.restatements BY NAME SELECT * FROM restated")
        wh.connection.unregister("restated")
    if examples:
        wh.connection.register("restated_examples", pd.DataFrame(examples))
        wh.execute(
            "INSERT INTO kpis.restated_rows BY NAME SELECT e.* EXCLUDE (place), r.source, r.row_key, "
            "CASE WHEN r.unit_before IS NULL THEN 'added' WHEN r.unit_now IS NULL THEN 'removed' "
            "WHEN r.unit_before <> r.unit_now THEN 'moved' ELSE 'changed' END AS what, "
            "coalesce(r.unit_now, r.unit_before) AS customer_id, "
            "CASE WHEN r.unit_before <> r.unit_now THEN r.unit_before END AS other_customer_id "
            "FROM restated_examples e JOIN counted_reasons r ON r.place = e.place"
        )
        wh.connection.unregister("restated_examples")


def _parts(before: float, now: float, path: Path | None) -> list[tuple[str, float, frozenset[int], int]]:
    """Reason, what it changed, rows and customers behind it; reasons that changed nothing are left out."""
    none: frozenset[int] = frozenset()
    if path is None:  # the rows are not the same rows any more: the source is defined anew
        return [("rule", now - before, none, 0)]
    limit = CLOSE * max(1.0, abs(before))
    found = [
        (reason, part, path.rows.get(PLACE[reason], none), len(path.units.get(PLACE[reason], none)))
        for reason, part in zip(REASONS, path.parts(), strict=True)
        if abs(part) > limit
    ]
    # nothing that is remembered explains it: the check of the parts says so
    return found or [("unexplained", 0.0, none, 0)]
