"""From the numbers of last night to those of tonight, one reason after the other.

Between two states the rows that have changed for one reason are exchanged, and everything is counted anew:
people who now are one are counted once, whatever else changed. The parts therefore add up to the whole
change by themselves, and none of them is what the others leave over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.reasons import PLACE, REASONS
from cja_pipeline.kpis.unit_sums import evaluate, measures_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.unit_sums import Moment

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

STATES = len(REASONS) + 1
CLOSE = 1e-9  # of the number: nearer ones are the same, but for the order of additions


@dataclass(frozen=True)
class Rows:
    """Rows before and now, of everybody who has a row that differs.

    Attributes:
        unit_before, unit_now: whose a row was and is, any numbers; equal for rows that came or went.
        day: days since the first that is measured.
        before, now: shape (rows, measures). A row that is not there adds 0 (in rows of their own: NaN).
        own, of_customer: places in `REASONS` of what a row says, and of what it says of its customer.
        tells: which measures tell of the customer.
        chosen: place of the row in ``counted_changes``, -1 for rows that do not differ.
    """

    unit_before: NDArray[Any]
    unit_now: NDArray[Any]
    day: Numbers
    before: Floats
    now: Floats
    own: Numbers
    of_customer: Numbers
    tells: NDArray[np.bool_]
    chosen: Numbers

    def take(self, rows: Any) -> Rows:
        """The rows of a mask or of positions."""
        names = ("unit_before", "unit_now", "day", "before", "now", "own", "of_customer", "chosen")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def state(self, number: int) -> tuple[NDArray[Any], Floats]:
        """Units and measures when the first `number` reasons have been applied."""
        import numpy as np

        place = np.where(self.tells, self.of_customer[:, None], self.own[:, None])
        unit = self.unit_now if PLACE["identity"] < number else self.unit_before
        return unit, np.where(place < number, self.now, self.before)

    @cached_property
    def steps(self) -> list[int]:
        """Places of the reasons by which anything changes."""
        differs = _differs(self.before, self.now)
        found = {*self.own[(differs & ~self.tells).any(axis=1)].tolist()}
        found |= {*self.of_customer[(differs & self.tells).any(axis=1)].tolist()}
        if (self.unit_before != self.unit_now).any():
            found.add(PLACE["identity"])
        return sorted(found)


def walk(rows: Rows, moments: Sequence[Moment], period: Numbers, periods: int) -> Floats:
    """Moments over units by state, period and moment; shape (STATES, periods, moments).

    Args:
        period: of each row, from 0 to `periods` - 1.
    """
    import numpy as np

    found = np.zeros((STATES, periods, len(moments)))
    for number in range(STATES):
        if number and number - 1 not in rows.steps:
            found[number] = found[number - 1]
            continue
        unit, measures = rows.state(number)
        _, code = np.unique(unit, return_inverse=True)
        groups, group = np.unique(code * periods + period, return_inverse=True)
        sums: list[Floats] = [np.zeros(0)] * measures.shape[1]
        for measure in measures_of(moments):
            sums[measure] = np.bincount(group, measures[:, measure], len(groups)).astype(float)
        for place, values in enumerate(evaluate(moments, sums)):
            found[number, :, place] = np.bincount(groups % periods, values, periods)
    return found


def concerned(rows: Rows, measures: Sequence[int]) -> Mapping[int, Numbers]:
    """Positions of the rows that change what these measures count, by the place of the reason."""
    import numpy as np

    before, now = rows.before[:, measures], rows.now[:, measures]
    differs = _differs(before, now)
    tells = rows.tells[list(measures)]
    own, of_customer = (differs & ~tells).any(axis=1), (differs & tells).any(axis=1)
    moved = (rows.unit_before != rows.unit_now) & ((now != 0) | (before != 0)).any(axis=1)
    found = {}
    for place in rows.steps:
        hit = (own & (rows.own == place)) | (of_customer & (rows.of_customer == place))
        if place == PLACE["identity"]:
            hit |= moved
        found[place] = np.flatnonzero(hit)
    return found


def _differs(before: Floats, now: Floats) -> NDArray[np.bool_]:
    """Where numbers differ; two rows that are not there do not."""
    import numpy as np

    return (before != now) & ~(np.isnan(before) & np.isnan(now))
