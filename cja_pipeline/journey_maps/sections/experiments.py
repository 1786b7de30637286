"""Section `experiment`: what randomised experiments changed, and which of them must not be read."""

from __future__ import annotations

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number, text, whole
from cja_pipeline.journey_maps.suppress import SUPPRESS

MOST = 4  # experiments with a variant; the newest are told
QUERY = """
    SELECT * FROM kpis.experiments
    ORDER BY started_at DESC, experiment, variant, list_position(['checkout_rate', 'conversion_rate'], metric)
"""


def experiments(context: Context, rows: Rows) -> None:
    """One row per variant and metric: lift with interval, status; `series` holds the sizes of both groups.

    `label` is the experiment, `text` the variant and its control, `evidence` the metric. Where the split is
    not the planned one, or a group is small, there is no lift.
    """
    if not context.has("kpis.experiments"):
        return
    told: dict[tuple[str, str], None] = {}
    for row in context.df(QUERY).to_dict("records"):
        told.setdefault((text(row["experiment"]), text(row["variant"])))
        if len(told) > MOST:
            return
        sizes = [whole(row["assigned"]) or 0, whole(row["control_assigned"]) or 0]
        few = min(sizes) < SUPPRESS
        rows.add(
            "experiment",
            "/".join(text(row[name]) for name in ("experiment", "variant", "metric")),
            label=context.words.name("experiment", text(row["experiment"])),
            text=context.words("cards.versus", variant=text(row["variant"]), control=text(row["control"])),
            value=None if few else number(row["lift"]),
            low=None if few else number(row["lift_low"]),
            high=None if few else number(row["lift_high"]),
            n=None if few else whole(row["customers"]),
            unit="share",
            status="too_few" if few else text(row["status"]),
            series=None if few else sizes,
            evidence=text(row["metric"]),
            owner=text(row["owner"]),
            period_start=day(row["started_at"]),
            period_end=day(row["ended_at"]),
        )
