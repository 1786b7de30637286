"""What the benchmark must reach, and whether a run did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LARGE = (
    1_000_000  # people from which cost is judged: in small worlds what is paid once a run outweighs the rest
)


@dataclass(frozen=True)
class Bar:
    """One bar: what was measured, the limit and whether it is met (`at_most`: by less, else by more)."""

    name: str
    measured: float
    limit: float
    at_most: bool

    @property
    def met(self) -> bool:
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def bars(found: dict[str, Any]) -> list[Bar]:
    """The bars that a run (``run.run``) is judged by; those beside another method only if that one ran."""
    ours = found["ours"]
    methods = {row["method"]: row for row in found["methods"]}
    row = methods["cja_pipeline"]
    told = [
        Bar("precision", row["precision"], 0.975, at_most=False),
        Bar("recall of what can be reached", ours["recall_of_reachable"], 0.97, at_most=False),
        Bar("over-merged records", row["over_merged"], 0.02, at_most=True),
        Bar("largest customer, records", row["largest"], 30, at_most=True),
        Bar("cookies wrong", row["cookies_wrong"], 0.015, at_most=True),
        Bar("people merged by a machine or junk", ours["machine_merges"], 0, at_most=True),
        Bar("night equals a run from nothing", float(ours["night_equals_full"]), 1, at_most=False),
    ]
    other = methods.get("Segment-like limits")
    if other is not None:
        told += [
            Bar("F1, times Segment-like", row["f1"] / other["f1"], 1.10, at_most=False),
            Bar(
                "over-merged, times Segment-like",
                row["over_merged"] / other["over_merged"],
                1 / 3,
                at_most=True,
            ),
        ]
    if found["world"]["persons"] >= LARGE:
        told += [
            Bar("CPU, times naive components", ours["cpu_times_naive"], 10, at_most=True),
            Bar("peak GB per million records", ours["peak_gb_per_million_records"], 1.3, at_most=True),
            Bar("night's CPU, share of a full run", ours["night_share_of_full"], 0.25, at_most=True),
        ]
    return told
