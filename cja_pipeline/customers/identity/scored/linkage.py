"""The rows that Splink compares: descriptions and usable identifiers of records, from the identity tables."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.normalise import fold
from cja_pipeline.customers.identity.values import usable
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

LISTS = {"email": "emails", "phone": "phones", "loyalty_id": "cards"}
KEY_NUMBER = "CAST(hash(key) >> 1 AS BIGINT)"  # of two records that are compared anyway: 63 bits are enough
PERSONAL = ("given", "birth_date")  # what tells the people of one household apart


def _short_forms(wh: Warehouse, rules: Identity) -> None:
    import pyarrow as pa

    found: dict[str, set[str]] = defaultdict(set)
    for number, line in enumerate(rules.names.nicknames):
        for name in line:
            found[fold(name)].add(f"#{number}")
    rows = pa.table(
        {"given": list(found), "roots": [sorted({name, *groups}) for name, groups in found.items()]}
    )
    wh.connection.register("short_form_rows", rows)
    try:
        wh.execute("CREATE OR REPLACE TEMP TABLE short_forms AS SELECT * FROM short_form_rows")
    finally:
        wh.connection.unregister("short_form_rows")


def prepare(wh: Warehouse, rules: Identity, nodes: str) -> None:
    """Leave what `linkage_rows` reads of the records in the table `nodes`: short forms and usable keys.

    The temporary tables are `short_forms` (given, roots) and `key_lists` (node, emails, phones, cards).
    """
    _short_forms(wh, rules)
    lists = ", ".join(
        f"list({KEY_NUMBER}) FILTER (kind = '{kind}') AS {name}" for kind, name in LISTS.items()
    )
    carried = usable(rules, f"SEMI JOIN {nodes} w ON w.node = c.node")
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE key_lists AS SELECT node, {lists} FROM ({carried}) GROUP BY node"
    )


def linkage_rows(wh: Warehouse, nodes: str) -> pa.Table:
    """Linkage rows of some records.

    Args:
        nodes: table with the column node, distinct, of which `prepare` was told.

    Returns:
        unique_id, first_name, given, last_name, first_roots (the name and its groups of short forms),
        birth_date (digits), birth_swapped (day and month exchanged), email, emails, phones, cards (lists of
        numbers of keys that may join), address, postcode, city. Missing is null.
    """
    return arrow(
        wh,
        "SELECT r.node AS unique_id, first_name, given, last_name,"
        " CASE WHEN given IS NOT NULL THEN coalesce(s.roots, [given]) END AS first_roots, birth_date,"
        " CASE WHEN length(birth_date) = 8 THEN concat(left(birth_date, 4), right(birth_date, 2),"
        " substr(birth_date, 5, 2)) ELSE birth_date END AS birth_swapped,"
        # an address that may join nobody is not to be alike another either
        " CASE WHEN k.emails IS NOT NULL THEN email END AS email, k.emails, k.phones, k.cards,"
        f" address, postcode, city FROM customers.identity_records r SEMI JOIN {nodes} w ON w.node = r.node"
        " LEFT JOIN key_lists k ON k.node = r.node LEFT JOIN short_forms s USING (given)",
    )


def arrow(wh: Warehouse, select: str) -> pa.Table:
    """The result of a query, column by column and without going through Python."""
    return wh.connection.sql(select).to_arrow_table()
