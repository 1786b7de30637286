"""Why a row of a past day counts differently tonight: one reason for what the row says, one for what it says
of its customer.

The reasons are walked through in the order of `REASONS`. A row that belongs to another customer now always
does so for the reason identity, on top of what else changed in it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence

from cja_pipeline.kpis.countings import Counting
from cja_pipeline.warehouse import Warehouse

# name -> what it says to people
REASONS = {
    "late": "data that arrived late",
    "refund": "refunds and cancellations",
    "corrected": "corrected or withdrawn by its source",
    "erased": "people who were erased on request",
    "identity": "customers merged, split or recognised",
    "later": "what the same customers did later, and models that learn from it",
    "rule": "another definition or rule",
}
PLACE = {reason: place for place, reason in enumerate(REASONS)}


def begin(wh: Warehouse) -> None:
    """Make the temporary table of rows that differ."""
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_changes (source VARCHAR, row_key VARCHAR, day DATE, "
        "unit_before VARCHAR, unit_now VARCHAR, before DOUBLE[], now DOUBLE[])"
    )


def of_customer(counting: Counting, measures: Sequence[str]) -> list[bool]:
    """Which measures tell of the customer."""
    words = "|".join(re.escape(word) for word in counting.source.of_customer)
    return [bool(words) and re.search(rf"\b({words})\b", text) is not None for text in measures]


def judge(
    wh: Warehouse,
    countings: Iterable[Counting],
    since: dt.datetime,
    erased: Sequence[str],
    new_rules: bool,
) -> None:
    """Number the rows of ``counted_changes`` and give them their reasons, as ``counted_reasons``.

    Args:
        since: the night before. erased: customers whose erasure is under way. new_rules: the customer view
            was made by other rules than then, which then explain what nothing else does.
    """
    countings = list(countings)
    revised = " ".join(f"WHEN '{one.name}' THEN '{one.source.revised}'" for one in countings)
    given_back = " OR ".join(
        f"(source = '{one.name}' AND now[{one.refunded + 1}] > before[{one.refunded + 1}])"
        for one in countings
        if one.refunded is not None
    )
    given_back = given_back or "FALSE"
    _gather(wh, since, given_back)
    # rows that are named after their customer are made of all the customer's rows
    named = "starts_with(row_key, coalesce(unit_now, unit_before))"
    of_customer = (
        f"CASE WHEN {_concerns('refunded')} THEN 'refund' WHEN {_concerns('moved')} THEN 'identity' "
        f"WHEN {_concerns('late')} THEN 'late' WHEN {named} THEN 'later' ELSE 'identity' END"
    )
    own = (
        "CASE WHEN unit_now IS NULL AND (unit_before IN (SELECT unnest($erased)) "
        "OR starts_with(unit_before, 'erased/')) THEN 'erased' "
        f"WHEN {named} THEN {of_customer} "
        "WHEN split_part(row_key, '/', -1) IN (SELECT order_id FROM counted_refunds) THEN 'refund' "
        "WHEN unit_before IS NULL AND NOT elsewhere THEN 'late' "
        f"ELSE CASE source {revised} END END"
    )
    # a row that came or went is there or not as a whole
    of_customer = f"CASE WHEN unit_before IS NULL OR unit_now IS NULL THEN {own} ELSE {of_customer} END"
    if new_rules:
        own, of_customer = (
            f"CASE WHEN {text} IN ('late', 'corrected', 'later') THEN 'rule' ELSE {text} END"
            for text in (own, of_customer)
        )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_reasons AS SELECT * EXCLUDE (elsewhere), "
        f"row_number() OVER (ORDER BY source, row_key, day) AS place, {own} AS own, "
        f"{of_customer} AS of_customer FROM counted_moves",
        {"erased": list(erased)},
    )


def _concerns(why: str) -> str:
    among = f"IN (SELECT unit FROM counted_units WHERE why = '{why}')"
    return f"(unit_now {among} OR unit_before {among})"


def _gather(wh: Warehouse, since: dt.datetime, given_back: str) -> None:
    """What happened to whom: temporary tables counted_moves, counted_refunds and counted_units."""
    # a row that is there on another day was moved by its source
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_moves AS SELECT *, count(unit_before) OVER each > 0 "
        "AND count(unit_now) OVER each > 0 AND (unit_before IS NULL OR unit_now IS NULL) AS elsewhere "
        "FROM counted_changes WINDOW each AS (PARTITION BY source, row_key)"
    )
    wh.ensure("customers.orders_excluded")
    wh.ensure("customers.identity_log")
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_refunds AS "
        f"SELECT row_key AS order_id, unit_before AS unit FROM counted_moves WHERE {given_back} "
        "UNION SELECT e.order_id, m.unit_before FROM customers.orders_excluded e JOIN counted_moves m "
        "ON m.unit_now IS NULL AND split_part(m.row_key, '/', -1) = e.order_id WHERE e.reason = 'canceled'"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE counted_units AS "
        "SELECT 'moved' AS why, unnest([unit_before, unit_now]) AS unit FROM counted_moves "
        "WHERE unit_before <> unit_now "
        "UNION SELECT 'moved', unnest([customer_id, other_customer_id]) FROM customers.identity_log "
        "WHERE logged_at > $since "
        "UNION SELECT 'refunded', unit FROM counted_refunds "
        "UNION SELECT 'late', unit_now FROM counted_moves "
        "WHERE unit_before IS NULL AND NOT elsewhere AND NOT starts_with(row_key, unit_now)",
        {"since": since},
    )
