"""Section `emotion`: what customers feel along the way, from what they wrote and answered."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context
from cja_pipeline.journey_maps.suppress import SUPPRESS, size_status

TABLES = ("customers.feedback", "kpis.journey_keys", "config.segments")
Z95 = 1.959964


@dataclass
class Feeling:
    """Answers about one topic in one stage: count, sum and sum of squares around their own means."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, n: int, mean: float, spread: float) -> None:
        """Merge a group of answers (Chan's formula keeps the variance exact)."""
        if self.n:
            gap = mean - self.total / self.n
            self.squares += gap * gap * self.n * n / (self.n + n)
        self.squares += spread * spread * (n - 1)
        self.total += mean * n
        self.n += n

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mean."""
        variance = self.squares / (self.n - 1) if self.n > 1 else 0.0
        return Z95 * math.sqrt(variance / self.n)


def feelings(context: Context, rows: Rows) -> None:
    """Points of the curve: topics with at least 20 answers, per stage in the order they are met."""
    if not context.has(*TABLES):
        return
    found: dict[tuple[str, str], Feeling] = {}
    for row in context.model("feelings").itertuples():
        stage, item = place(context, str(row.kind), str(row.topic), str(row.stage))
        if stage in STAGES:
            found.setdefault((stage, item), Feeling()).add(int(row.n), float(row.mean), float(row.spread))
    for stage in STAGES:
        known = [(item, feeling) for (where, item), feeling in found.items() if where == stage]
        large = [entry for entry in known if entry[1].n >= SUPPRESS]
        largest = sorted(large, key=lambda entry: (-entry[1].n, entry[0]))[
            : context.config.feelings_per_stage
        ]
        for item, feeling in sorted(largest, key=lambda entry: _order(context, entry[0])):
            rows.add(
                "emotion",
                item,
                stage=stage,
                label=context.words.name("topic", item),
                value=round(feeling.mean, 4),
                low=round(max(-100.0, feeling.mean - feeling.half_width), 4),
                high=round(min(100.0, feeling.mean + feeling.half_width), 4),
                n=feeling.n,
                unit="score",
                status=size_status(feeling.n),
            )


def place(context: Context, kind: str, topic: str, stage: str) -> tuple[str, str]:
    """Stage and item of feedback: by its topic, else by where its kind belongs (item ``about_<kind>``)."""
    if topic in context.config.topics:
        return stage, topic
    return context.config.feelings.get(kind, stage), f"about_{kind}"


def _order(context: Context, item: str) -> tuple[int, str]:
    topics = context.config.topics
    return (topics.index(item) if item in topics else len(topics), item)
