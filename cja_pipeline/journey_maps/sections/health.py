"""Section `health`: are the sources up to date, did the checks pass, is every record accounted for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from cja_pipeline.journey_maps.rows import Rows
from cja_pipeline.journey_maps.sections.context import Context, number
from cja_pipeline.validated.summary import AFTER_MAP, newest

CHECKS = """
    SELECT
        count(*) AS checks,
        count(*) FILTER (WHERE passed) AS passed,
        count(*) FILTER (WHERE NOT passed AND severity <> 'critical') AS warnings,
        count(*) FILTER (WHERE NOT passed AND severity = 'critical') AS failures
    FROM ({results}) AS newest
"""
# what was offered is either valid at the end or was held back for a reason on the way
RECORDS = """
    SELECT
        sum(CASE WHEN stage = 'landed' THEN offered ELSE 0 END) AS offered,
        sum(rejected + quarantined + duplicate + late) AS held_back,
        sum(CASE WHEN stage = 'validated' THEN valid ELSE 0 END) AS valid,
        sum(quarantined) AS quarantined
    FROM quality.ledger
    WHERE stage IN ('landed', 'validated')
"""
CONSENT = """
    SELECT sum(excluded), sum(events)
    FROM customers.consent_excluded
    WHERE business_date BETWEEN $first_day AND $last_day
"""
SOURCES = """
    SELECT source, max(day) AS newest, max(as_of) AS as_of
    FROM quality.ledger
    WHERE stage = 'validated'
    GROUP BY source
    ORDER BY source
"""


def health(context: Context, rows: Rows, later: Sequence[str] = AFTER_MAP) -> None:
    """Rows `refreshed`, `sources`, `checks`, `records`, `quarantine`, the note `limit/consent`; a banner
    where something is wrong. Checks of the steps `later` than the page are no part of it."""
    banners: list[str] = []
    refreshed = context.run.get("as_of")
    if context.has("quality.ledger"):
        refreshed = _sources(context, rows, banners) or refreshed
        _records(context, rows, banners)
    if context.has("quality.results"):
        _checks(context, rows, banners, later)
    if context.has("customers.consent_excluded"):
        _consent(context, rows)
    if isinstance(refreshed, dt.datetime):
        aware = refreshed if refreshed.tzinfo else refreshed.replace(tzinfo=dt.UTC)
        local = aware.astimezone(ZoneInfo(context.time_zone)).replace(tzinfo=None, second=0, microsecond=0)
        rows.add("health", "refreshed", text=local.isoformat())
    for place, text in enumerate(banners):
        rows.add("health", f"banner/{place}", text=text, status="warning")


def _sources(context: Context, rows: Rows, banners: list[str]) -> dt.datetime | None:
    found = context.wh.sql(SOURCES).fetchall()
    if not found:
        return None
    behind = [str(name) for name, newest, _ in found if newest is None or newest < context.last_day]
    rows.add(
        "health", "sources", value=float(len(found) - len(behind)), target=float(len(found)), series=behind
    )
    if behind:
        names = ", ".join(context.words.name("source", name) for name in behind)
        banners.append(context.words("health.stale", names=names))
    known = [as_of for _, _, as_of in found if as_of is not None]
    return max(known) if known else None


def _records(context: Context, rows: Rows, banners: list[str]) -> None:
    offered, held_back, valid, quarantined = (
        number(value) for value in context.wh.sql(RECORDS).fetchone() or ()
    )
    if not offered:
        return
    accounted = min(offered, (valid or 0.0) + (held_back or 0.0))
    rows.add("health", "records", value=accounted, target=offered)
    rows.add("health", "quarantine", value=quarantined or 0.0, share=(quarantined or 0.0) / offered)
    if accounted < offered:
        lost = context.words.formats.number(offered - accounted)
        banners.append(context.words("health.lost", n=lost))


def _consent(context: Context, rows: Rows) -> None:
    """How much was seen and left out, because nobody had agreed to it being analysed."""
    days = {"first_day": context.first_day, "last_day": context.last_day}
    excluded, events = (number(value) for value in context.wh.sql(CONSENT, days).fetchall()[0])
    if events:
        form, share = context.words.formats, (excluded or 0.0) / events
        text = context.words("health.consent", share=form.percent(share), n=form.number(events))
        rows.add("note", "limit/consent", value=excluded, share=share, text=text)


def _checks(context: Context, rows: Rows, banners: list[str], later: Sequence[str]) -> None:
    query = CHECKS.format(results=newest(later))
    checks, passed, warnings, failures = context.wh.sql(query).fetchone() or (0, 0, 0, 0)
    if not checks:
        return
    rows.add(
        "health",
        "checks",
        value=float(passed),
        target=float(checks),
        status="failed" if failures else "warned" if warnings else "passed",
        series={"warnings": warnings, "failures": failures},
    )
    if failures:
        banners.append(context.words("health.blocked"))
