"""Section `volume`: customers per stage up to their furthest, and who goes on, is still there, leaves."""

from __future__ import annotations

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context, whole
from cja_pipeline.journey_maps.suppress import SUPPRESS, shown_parts, size_status

TABLES = (
    "customers.touchpoints",
    "customers.stage_spells",
    "kpis.journey_keys",
    "config.segments",
    "config.journey_params",
)


def volumes(context: Context, rows: Rows) -> None:
    """Four rows per stage: reached, go_on, open, leave. Nothing where the tables are missing.

    A stage that customers only pass, because nobody of the group can stop there (retention before the first
    order), has the status ``passed``.
    """
    if not context.has(*TABLES):
        return
    found = {int(row.place): row for row in context.model("volumes").itertuples()}
    ends, still, stopped = (
        {place: whole(getattr(found[place], name)) or 0 if place in found else 0 for place in range(1, 6)}
        for name in ("customers", "still_here", "stopped")
    )
    beyond = 0
    counts: dict[int, dict[str, int]] = {}
    for place in range(len(STAGES), 0, -1):
        counts[place] = {"go_on": beyond, "open": still[place], "leave": ends[place] - still[place]}
        beyond += ends[place]
        counts[place]["reached"] = beyond
    hidden = 0 < beyond < SUPPRESS  # then even an empty stage would tell something about single people
    for place, stage in enumerate(STAGES, 1):
        add_stage(rows, stage, counts[place], hidden=hidden, passed=not stopped[place])


def add_stage(
    rows: Rows, stage: str, counts: dict[str, int], *, hidden: bool = False, passed: bool = False
) -> None:
    """The rows of one stage, small groups hidden so that they cannot be computed from the rest."""
    reached = counts["reached"]
    status = "suppressed" if hidden else size_status(reached) if reached else ""
    if status == "suppressed":
        for item in ("reached", "go_on", "open", "leave"):
            rows.add("volume", item, stage=stage, status="suppressed")
        return
    if passed and reached:
        status = "passed"
    rows.add("volume", "reached", stage=stage, value=float(reached), n=reached, share=1.0, status=status)
    parts = shown_parts({item: counts[item] for item in ("go_on", "open", "leave")})
    for item, (count, part_status) in parts.items():
        share = count / reached if count is not None and reached else None
        rows.add(
            "volume",
            item,
            stage=stage,
            value=None if count is None else float(count),
            n=reached,
            share=None if share is None else min(1.0, share),
            status=part_status,
        )
