"""The finding as a sentence, with its size in people and in money; calm where nothing is proven."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number, text, whole
from cja_pipeline.journey_maps.sections.friction import (
    DEVICES,
    Loss,
    code,
    is_incident,
    is_proven,
    per_month,
    where,
)
from cja_pipeline.journey_maps.suppress import SUPPRESS


def headline(context: Context, rows: Rows, found: list[Loss]) -> None:
    """Row `header/headline`: title in `label`, lead in `text` (with ``*emphasis*``), size in the figures."""
    proven = [row for row in found if is_proven(row)]
    largest = max(proven, key=lambda row: (per_month(row)[0] or 0.0, code(row)), default=None)
    if largest is not None:
        told = finding(largest, context.words)
        if context.segment not in ("all", *DEVICES):
            told["text"] = context.words("headline.shop_wide", lead=told["text"])
        rows.add("header", "headline", **told)
        return
    customers, buyers = _people(rows)
    if customers is None:
        rows.add(
            "header",
            "headline",
            label=context.words("headline.empty_title"),
            text=context.words("headline.empty_lead", k=SUPPRESS),
            status="no_data",
        )
        return
    form = context.words.formats
    rows.add(
        "header",
        "headline",
        label=context.words("headline.calm_title"),
        text=context.words(
            "headline.calm_lead",
            n=form.number(customers),
            buyers=context.words("page.fewer", n=SUPPRESS) if buyers is None else form.number(buyers),
        ),
        n=int(customers),
        status="calm",
    )


def finding(row: Loss, words: Labels) -> dict[str, Any]:
    """Title, lead and figures of a proven loss."""
    form = words.formats
    visits = number(row["sessions"]) or 0.0
    observed, expected = (1 - (number(row[name]) or 0.0) for name in ("observed_rate", "expected_rate"))
    money, low, high = per_month(row)
    incident = is_incident(row)
    kind = "incident" if incident else "stop"
    step = text(row["step"])
    finding_key = f"finding.{step}" if f"finding.{step}" in words.words else "finding.other"
    title = words(finding_key, step=words.name("step", step), where=where(row, words))
    start, end = day(row["period_start"]), day(row["period_end"])
    days = (end - start).days + 1 if start and end else 1
    currency = text(row["currency"])
    values = {
        "where": where(row, words),
        "visits": words.words.get(f"visits_of.{step}") or words("visits_of.other"),
        "lost": form.number(visits * observed),
        "n": form.number(visits),
        "expected": form.number(visits * expected),
        "people": words.count(
            "unit.customers", number(row["customers"]), form.number(number(row["customers"]))
        ),
        "money": form.money(money, currency, rough=True),
        "range": form.between(form.money(low, currency, rough=True), form.money(high, currency, rough=True)),
        "period": form.dates(start, end, short=True),
        "days": form.duration(days * 86_400.0),
    }
    return {
        "label": words("headline.incident_title", title=title, **values) if incident else title,
        "text": words(f"headline.{kind}_lead", **values),
        "value": money,
        "low": low,
        "high": high,
        "n": whole(row["customers"]),
        "unit": "money",
        "currency": currency,
        "status": "finding",
        "evidence": code(row),
        "owner": text(row["owner"]),
        "series": {"visits": visits, "lost": visits * observed, "expected": visits * expected},
        "period_start": start,
        "period_end": end,
    }


def _people(rows: Rows) -> tuple[float | None, float | None]:
    """Customers on the map and those who reached the purchase stage, from the rows already written."""
    found = {
        row["stage"]: row.get("value")
        for row in rows.rows
        if row["section"] == "volume" and row["item"] == "reached"
    }
    return found.get("awareness"), found.get("purchase")
