"""What KPIs counted, before it is made into numbers: rows by period and slice; a digest of each period."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.kpis.blocks import NUMBERS, TEXTS, take
from cja_pipeline.kpis.estimates import estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Block, Days
    from cja_pipeline.kpis.compiler import Plan

    Numbers = NDArray[np.int64]
    Digests = NDArray[np.uint64]

# A slice without any row is a zero for these, and nothing at all for a rate.
FILLED = ("count", "sum", "distinct")
FACTOR, SHIFT = 0x9E3779B97F4A7C15, 29  # an odd number, then high bits onto low ones: each moves the others
# Sums of doubles differ in the last bits by the order of the threads: twelve digits are told apart.
HALF, KEPT_BITS = 1 << 9, ~((1 << 10) - 1) & (1 << 64) - 1


@dataclass(frozen=True)
class Slices:
    """Sums of one scan at one grain, with numbers beside the texts of a row: its period, its dimension, and a
    digest of its slice."""

    grain: str
    sums: Block
    period: Numbers
    dimension: Numbers
    dimensions: list[str]
    label: Digests

    @classmethod
    def of(cls, grain: str, sums: Block, starts: Days) -> Slices:
        import numpy as np

        dimensions: dict[str, int] = {}
        code = [dimensions.setdefault(name, len(dimensions)) for name in sums["dimension"].tolist()]
        return cls(
            grain,
            sums,
            np.searchsorted(starts, sums["period"]),
            np.array(code, dtype=np.int64),
            list(dimensions),
            _labels(sums, ("dimension", "dimension_value")),
        )

    def counted(self, plan: Plan, names: Sequence[str]) -> Sums:
        """What one KPI, split by these dimensions, has of them."""
        import numpy as np

        wanted = [place for place, name in enumerate(self.dimensions) if name in ("all", *names)]
        chosen = np.isin(self.dimension, wanted)
        if plan.kpi.kind not in FILLED:
            whole = np.array([name == "all" for name in self.dimensions], dtype=bool)[self.dimension]
            chosen &= whole | (self.sums["sums"][:, plan.moments["units"]] > 0)
        return Sums(plan, self, np.flatnonzero(chosen))


@dataclass(frozen=True)
class Sums:
    """The rows of one KPI that is made of sums over units."""

    plan: Plan
    of: Slices
    rows: Numbers

    def numbers(self, periods: NDArray[np.bool_]) -> Block:
        """Numbers of these periods (a mask)."""
        import numpy as np

        rows, sums = self.rows[periods[self.of.period[self.rows]]], self.of.sums
        return {
            "grain": np.full(len(rows), self.of.grain, dtype=object),
            "period_start": sums["period"][rows],
            "dimension": sums["dimension"][rows],
            "dimension_value": sums["dimension_value"][rows],
            **estimate(
                self.plan.kpi, {role: sums["sums"][rows, at] for role, at in self.plan.moments.items()}
            ),
        }

    def digests(self, periods: int) -> Digests:
        columns = [self.of.sums["sums"][self.rows, at] for at in sorted({*self.plan.moments.values()})]
        return _by_period(self.of.period[self.rows], periods, self.of.label[self.rows], columns)


@dataclass(frozen=True)
class Made:
    """The rows of one KPI and grain that are numbers already."""

    block: Block
    period: Numbers

    @classmethod
    def of(cls, block: Block, starts: Days) -> Made:
        import numpy as np

        return cls(block, np.searchsorted(starts, block["period_start"]))

    def numbers(self, periods: NDArray[np.bool_]) -> Block:
        return take(self.block, periods[self.period])

    def digests(self, periods: int) -> Digests:
        label = _labels(self.block, ("dimension", "dimension_value", *TEXTS))
        return _by_period(self.period, periods, label, [self.block[name] for name in NUMBERS])


def fingerprint(content: object) -> int:
    """64 bits of whatever `repr` tells apart."""
    return int.from_bytes(hashlib.blake2b(repr(content).encode(), digest_size=8).digest(), "big")


def mixed(parts: Iterable[Digests]) -> Digests:
    """One digest of several, in this order."""
    import numpy as np

    first, *others = parts
    for part in others:
        first = (first ^ part) * np.uint64(FACTOR)
        first = first ^ (first >> np.uint64(SHIFT))
    return first


def _labels(block: Block, names: Sequence[str]) -> Digests:
    """A digest of the texts of each row."""
    import numpy as np

    texts = list(zip(*(block[name].tolist() for name in names), strict=True))
    known = {text: fingerprint(text) for text in set(texts)}
    return np.array([known[text] for text in texts], dtype=np.uint64)


def _by_period(
    period: Numbers, periods: int, label: Digests, columns: Sequence[NDArray[np.float64]]
) -> Digests:
    """The digests of rows, added up by period."""
    import numpy as np

    # + 0.0: there is a zero below zero
    bits = [(np.asarray(column, dtype=np.float64) + 0.0).view(np.uint64) for column in columns]
    rows = mixed([label, *((each + np.uint64(HALF)) & np.uint64(KEPT_BITS) for each in bits)])
    found = np.zeros(periods, dtype=np.uint64)
    np.add.at(found, period, rows)
    return found


Counted = Sums | Made
