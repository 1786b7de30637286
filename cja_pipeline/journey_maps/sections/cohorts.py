"""Section `cohort`: which share of each month's new buyers orders in the months after."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number
from cja_pipeline.journey_maps.suppress import SUPPRESS

MONTHS = 9
PERIODS = 6


def cohorts(context: Context, rows: Rows) -> None:
    """One row per month of first order; `series` holds the share of each later month with its 95 % interval
    ([share, low, high]), null while it is not over. Months with fewer than 20 new buyers are not shown."""
    if not context.has("kpis.cohorts", "config.params"):
        return
    found = context.df(
        "SELECT cohort_month, period, customers, value, ci_low, ci_high FROM kpis.cohorts"
        " WHERE measure = 'retention' AND period >= 1 ORDER BY cohort_month, period"
    )
    months: dict[str, dict[str, Any]] = {}
    for row in found.to_dict("records"):
        month = day(row["cohort_month"])
        if month is None or int(row["customers"]) < SUPPRESS:
            continue
        entry = months.setdefault(f"{month:%Y-%m}", {"n": int(row["customers"]), "rates": {}})
        cell = [number(row[name]) for name in ("value", "ci_low", "ci_high")]
        entry["rates"][int(row["period"])] = None if cell[0] is None else cell
    begin = day(context.df("SELECT max(first_day) AS day FROM config.params")["day"].iloc[0])
    for name in sorted(months)[-MONTHS:]:
        rates = months[name]["rates"]
        # who bought first earlier in the month in which the watching began is not among them
        in_part = begin is not None and begin.day > 1 and name == f"{begin:%Y-%m}"
        rows.add(
            "cohort",
            name,
            label=context.words.formats.month(name),
            status="in_part" if in_part else "",
            n=months[name]["n"],
            series=[rates.get(period) for period in range(1, PERIODS + 1)],
            unit="share",
        )
