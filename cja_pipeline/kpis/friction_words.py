"""The words and the evidence of a friction row: a sentence, counts that support it, who can change it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cja_pipeline.kpis.journey_config import JourneyConfig
from cja_pipeline.warehouse import Warehouse

Row = dict[str, Any]
NAMES = {
    "all": "visits",
    "device": "visits by {}",
    "browser": "visits with {}",
    "os": "visits with {}",
    "landing_page": "visits that began on {}",
    "product_page": "visits that looked at {}",
    "channel": "visits from {}",
    "country": "visits from {}",
    "visitor": "{} visitors",
}
MINIMUM_FEEDBACK = 5


def with_words(wh: Warehouse, rows: list[Row], config: JourneyConfig) -> list[Row]:
    """Turn judged cells into rows of ``kpis.friction`` (reads the temporary table ``visit_steps``)."""
    currency = wh.scalar("SELECT currency FROM config.journey_params")
    return [_row(wh, row, config, currency) for row in rows]


def _row(wh: Warehouse, row: Row, config: JourneyConfig, currency: str) -> Row:
    step, following = config.steps[row["step"]], config.steps[row["step"] + 1]
    customers, errors, usual_errors = _people(wh, row)
    who = NAMES[row["dimension"]].format(row["value"])
    when = f" on {_days(row['since'], row['until'])}" if row["kind"] == "incident" else ""
    normal = "usually" if row["kind"] == "incident" else "of comparable visits"
    finding = (
        f"{_percent(row['observed'])} of {who} went on from “{step.label}” to “{following.label}”{when}, "
        f"{_percent(row['expected'])} {normal}."
    )
    evidence = [
        f"{row['n']:,.0f} visits, {row['observed'] * row['n']:,.0f} went on, "
        f"{row['expected'] * row['n']:,.0f} were to be expected"
    ]
    if errors > 2 * usual_errors and errors >= 0.02:
        evidence.append(f"{errors:.2f} errors shown per visit, {usual_errors:.2f} elsewhere")
    evidence += _feedback(wh, row, following.stage)
    if row["status"] == "related":
        evidence.append("overlaps with a clearer finding at this step: do not add the losses")
    return {
        "kind": row["kind"],
        "stage": following.stage,
        "step": step.step_name,
        "dimension": row["dimension"],
        "dimension_value": row["value"],
        "period_start": row["since"],
        "period_end": row["until"],
        "sessions": round(row["n"]),
        "customers": customers,
        "observed_rate": row["observed"],
        "expected_rate": row["expected"],
        "lost_revenue": row["lost_revenue"],
        "lost_low": row["lost_low"],
        "lost_high": row["lost_high"],
        "lost_per_month": row["lost_per_month"],
        "currency": currency,
        "p_value": row["p_value"],
        "q_value": row["q_value"],
        "status": row["status"],
        "finding": finding[0].upper() + finding[1:],
        "evidence": "; ".join(evidence) + ".",
        "owner": config.owner(following.step_name),
    }


def _people(wh: Warehouse, row: Row) -> tuple[int, float, float]:
    """Customers of the cell, errors per visit in it, and errors per visit outside it on all days."""
    here = "day BETWEEN $since AND $until" + (
        "" if row["dimension"] == "all" else f" AND {row['dimension']} = $value"
    )
    params = {"since": row["since"], "until": row["until"], "step": row["step"] + 1}
    if row["dimension"] != "all":
        params["value"] = row["value"]
    found = wh.sql(
        f"SELECT count(DISTINCT CASE WHEN {here} THEN customer_id END), "
        f"avg(CASE WHEN {here} THEN errors END), avg(CASE WHEN NOT ({here}) THEN errors END) "
        "FROM visit_steps WHERE furthest >= $step",
        params,
    ).fetchall()[0]
    return int(found[0]), float(found[1] or 0), float(found[2] or 0)


def _feedback(wh: Warehouse, row: Row, stage: str) -> list[str]:
    """Tickets, low scores and unhappy comments on this stage in these days, if more than usual."""
    if not wh.exists("customers.feedback"):
        return []
    device = row["value"] if row["dimension"] == "device" else None
    inside, outside, days_outside = wh.sql(
        """
        SELECT count(CASE WHEN business_date BETWEEN $since AND $until THEN 1 END),
            count(CASE WHEN business_date NOT BETWEEN $since AND $until THEN 1 END),
            count(DISTINCT CASE WHEN business_date NOT BETWEEN $since AND $until THEN business_date END)
        FROM customers.feedback
        WHERE stage = $stage AND (kind = 'ticket' OR coalesce(sentiment, 0) < 0)
            AND (CAST($device AS VARCHAR) IS NULL OR device IS NULL OR device = $device)
        """,
        {"since": row["since"], "until": row["until"], "stage": stage, "device": device},
    ).fetchall()[0]
    days = (row["until"] - row["since"]).days + 1
    if inside < MINIMUM_FEEDBACK:
        return []
    text = f"{inside} tickets and unhappy comments on this stage, {inside / days:.1f} a day"
    if days_outside and outside:
        text += f" against {outside / days_outside:.1f} on other days"
    return [text]


def _days(since: dt.date, until: dt.date) -> str:
    if since == until:
        return f"{since.day} {since:%B}"
    if since.month == until.month:
        return f"{since.day}–{until.day} {until:%B}"
    return f"{since.day} {since:%B} – {until.day} {until:%B}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
