"""Phone numbers in one of two plain spellings, read by the warehouse.

Its answers are those of ``Normaliser.phone``, from the same tables of the library; whatever these leave open
is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cja_pipeline.customers.identity.exchange import fill, text_table
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.customers.identity.phones import ABROAD, BETWEEN, PLAIN, Plan, plan_of, plan_of_start
from cja_pipeline.customers.identity.plain import listed
from cja_pipeline.sql import literal
from cja_pipeline.warehouse import Warehouse

MOST_PLANS = 20  # countries: those with most numbers, because every number is held against each


def read_plain_phones(wh: Warehouse, normaliser: Normaliser, numbers: str) -> None:
    """Leave the temporary table `said_phones`: node, value, country, is_read, number.

    number is E.164, and null where it is nobody's, or not read.

    Args:
        numbers: a SELECT of node, value, country.
    """
    between, plain = literal(BETWEEN.pattern), literal(PLAIN.pattern)
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE compact_phones AS SELECT *, ltrim(compact, '+0') AS digits,"
        f" regexp_full_match(compact, {plain}) AS is_plain"
        f" FROM (SELECT *, regexp_replace(value, {between}, '', 'g') AS compact FROM ({numbers}))"
    )
    plans = {**_homes(wh, normaliser), **_starts(wh)}
    # with the code of a country, or as dialled within one
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE split_phones AS SELECT node, value, country,"
        " CASE WHEN is_plain THEN CASE WHEN is_far THEN far ELSE near END END AS region,"
        " CASE WHEN is_far THEN far_code ELSE near_code END AS code,"
        " CASE WHEN is_far THEN substr(digits, length(far_code) + 1) ELSE digits END AS national FROM ("
        "SELECT n.*, h.region AS near, h.code AS near_code, s.region AS far, s.code AS far_code,"
        " starts_with(compact, '+') OR coalesce(starts_with(compact, h.abroad), false) AS is_far"
        " FROM compact_phones n LEFT JOIN phone_homes h ON h.said IS NOT DISTINCT FROM n.country"
        " LEFT JOIN phone_starts s ON s.said = left(digits, 3))"
    )
    most = wh.sql(
        "SELECT region FROM split_phones WHERE region IS NOT NULL"
        f" GROUP BY region ORDER BY count(*) DESC, region LIMIT {MOST_PLANS}"
    ).fetchall()
    cases = " ".join(f"WHEN {literal(region)} THEN {_fits(plans[region])}" for (region,) in most)
    fits = f"CASE region {cases} ELSE false END" if cases else "false"
    junk = listed(normaliser.junk_digits), listed(normaliser.own_numbers)
    without_first = "replace(national, left(national, 1), '')"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE said_phones AS SELECT node, value, country, is_read, CASE WHEN is_read"
        f" AND national NOT IN ({junk[0]}) AND concat('+', code, national) NOT IN ({junk[1]})"
        # more than two digits that differ
        f" AND replace({without_first}, left({without_first}, 1), '') <> ''"
        " THEN concat('+', code, national) END AS number"
        f" FROM (SELECT *, coalesce({fits}, false) AS is_read FROM split_phones)"
    )
    for table in ("compact_phones", "phone_homes", "phone_starts", "split_phones"):
        wh.execute(f"DROP TABLE {table}")


def _homes(wh: Warehouse, normaliser: Normaliser) -> dict[str, Plan]:
    """Leave `phone_homes`: said (a country), abroad (how numbers abroad begin there, if in the plain way),
    region and code (where numbers within the country begin in the plain way)."""
    said = [country for (country,) in wh.sql("SELECT DISTINCT country FROM compact_phones").fetchall()]
    rows: list[Sequence[str | None]] = []
    plans: dict[str, Plan] = {}
    for country in said:
        plan = plan_of(normaliser.region(country))
        if plan is None or plan.abroad != ABROAD:
            continue
        plans[plan.region] = plan
        rows.append((country, ABROAD, *((plan.region, plan.code) if plan.prefix == "0" else (None, None))))
    fill(wh, "phone_homes", text_table(rows, ("said", "abroad", "region", "code")))
    return plans


def _starts(wh: Warehouse) -> dict[str, Plan]:
    """Leave `phone_starts`: said (three digits that a number with the code of a country begins with), region
    and code of that country."""
    said = wh.sql("SELECT DISTINCT left(digits, 3) FROM compact_phones WHERE is_plain").fetchall()
    plans = {start: plan for (start,) in said if (plan := plan_of_start(start)) is not None}
    rows = [(start, plan.region, plan.code) for start, plan in plans.items()]
    fill(wh, "phone_starts", text_table(rows, ("said", "region", "code")))
    return {plan.region: plan for plan in plans.values()}


def _fits(plan: Plan) -> str:
    """Condition: `national` is a number of this plan."""
    lengths = ", ".join(str(length) for length in sorted(plan.lengths))
    return (
        f"length(national) IN ({lengths}) AND left(national, 1) NOT IN ({listed(('0', plan.prefix))})"
        f" AND regexp_full_match(national, {literal(plan.national.pattern)})"
    )
