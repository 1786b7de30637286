"""Section `cohort`: which share of each month's new buyers orders in the months after."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number
from cja_pipeline.journey_maps.suppress import SUPPRESS

MONTHS = 9
PERIODS = 6


def cohorts(context: Context, rows: Rows) -> None:
    """One row per month of first order; `series` holds the share of each later month, null while it is not
    over. Months with fewer than 20 new buyers are not shown."""
    if not context.has("kpis.cohorts"):
        return
    found = context.df(
        "SELECT cohort_month, period, customers, value FROM kpis.cohorts"
        " WHERE measure = 'retention' AND period >= 1 ORDER BY cohort_month, period"
    )
    months: dict[str, dict[str, Any]] = {}
    for row in found.to_dict("records"):
        month = day(row["cohort_month"])
        if month is None or int(row["customers"]) < SUPPRESS:
            continue
        entry = months.setdefault(f"{month:%Y-%m}", {"n": int(row["customers"]), "rates": {}})
        entry["rates"][int(row["period"])] = number(row["value"])
    for name in sorted(months)[-MONTHS:]:
        rates = months[name]["rates"]
        rows.add(
            "cohort",
            name,
            label=context.words.formats.month(name),
            n=months[name]["n"],
            series=[rates.get(period) for period in range(1, PERIODS + 1)],
            unit="share",
        )
