"""Section `touchpoint`: what the contacts in each stage are."""

from __future__ import annotations

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context
from cja_pipeline.journey_maps.suppress import SUPPRESS

TABLES = ("customers.touchpoints", "kpis.journey_keys", "config.segments")


def touchpoints(context: Context, rows: Rows) -> None:
    """The largest kinds of contact per stage with their share; the rest as one row, so that shares sum to 1.

    A kind that fewer than 20 customers had goes into the rest; a stage without any larger kind is not shown.
    """
    if not context.has(*TABLES):
        return
    found = context.model("touchpoints")
    for stage in STAGES:
        kinds = found[found["stage"] == stage]
        total = int(kinds["contacts"].sum())
        if not total or int(kinds["customers"].max()) < SUPPRESS:
            continue
        large = kinds[kinds["customers"] >= SUPPRESS].head(context.config.touchpoints_per_stage)
        for kind in large.itertuples():
            name = str(kind.item)
            rows.add(
                "touchpoint",
                name,
                stage=stage,
                label=context.words.any_name(("touch", "channel"), name),
                value=float(kind.contacts),
                share=kind.contacts / total,
                n=int(kind.customers),
            )
        rest = total - int(large["contacts"].sum())
        if rest:
            rows.add(
                "touchpoint",
                "other",
                stage=stage,
                label=context.words("page.other"),
                value=float(rest),
                share=rest / total,
            )
