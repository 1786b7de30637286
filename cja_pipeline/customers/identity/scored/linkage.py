"""The rows that Splink compares: descriptions and usable identifiers of records, from the identity tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.exchange import fill
from cja_pipeline.customers.identity.normalise import fold
from cja_pipeline.customers.identity.values import usable
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

LISTS = {"email": "emails", "phone": "phones", "loyalty_id": "cards"}
KEY_NUMBER = "CAST(hash(key) >> 1 AS BIGINT)"  # of two records that are compared anyway: 63 bits are enough
PERSONAL = ("given", "birth_date")  # what tells the people of one household apart


def prepare(
    wh: Warehouse, rules: Identity, nodes: str, frequencies: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Leave the temporary table `linkage_rows` of the records in the table `nodes` (node, distinct).

    It has unique_id, first_name, given, last_name, first_roots (the name and its groups of short forms),
    birth_date (digits), birth_swapped (day and month exchanged), email, emails, phones, cards (lists of
    numbers of keys that may join), address, postcode, city; missing is null. And tf_<column>, how often a
    model saw the value, per column of `frequencies` (``Model.frequencies``): what it did not see is as rare
    as its rare ones.
    """
    _short_forms(wh, rules)
    lists = ", ".join(
        f"list({KEY_NUMBER}) FILTER (kind = '{kind}') AS {name}" for kind, name in LISTS.items()
    )
    carried = usable(rules, f"SEMI JOIN {nodes} w ON w.node = c.node")
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE key_lists AS SELECT node, {lists} FROM ({carried}) GROUP BY node"
    )
    shares, joins = "", ""
    for column, known in (frequencies or {}).items():
        fill(wh, f"seen_{column}", _shares(known["values"]))
        shares += (
            f", CASE WHEN r.{column} IS NOT NULL THEN coalesce({column}s.share, {known['rest']!r}) END"
            f" AS tf_{column}"
        )
        joins += f" LEFT JOIN seen_{column} {column}s ON {column}s.value = r.{column}"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE linkage_rows AS SELECT r.node AS unique_id, first_name, r.given,"
        " last_name, CASE WHEN r.given IS NOT NULL THEN coalesce(s.roots, [r.given]) END AS first_roots,"
        " birth_date, CASE WHEN length(birth_date) = 8 THEN concat(left(birth_date, 4),"
        " right(birth_date, 2), substr(birth_date, 5, 2)) ELSE birth_date END AS birth_swapped,"
        # an address that may join nobody is not to be alike another either
        " CASE WHEN k.emails IS NOT NULL THEN email END AS email, k.emails, k.phones, k.cards,"
        f" address, postcode, city{shares} FROM customers.identity_records r"
        f" SEMI JOIN {nodes} w ON w.node = r.node LEFT JOIN key_lists k ON k.node = r.node"
        f" LEFT JOIN short_forms s ON s.given = r.given{joins}"
    )
    for table in ("key_lists", "short_forms", *(f"seen_{column}" for column in frequencies or {})):
        wh.execute(f"DROP TABLE {table}")


def _short_forms(wh: Warehouse, rules: Identity) -> None:
    import pyarrow as pa

    found: dict[str, set[str]] = defaultdict(set)
    for number, line in enumerate(rules.names.nicknames):
        for name in line:
            found[fold(name)].add(f"#{number}")
    roots = [sorted({name, *groups}) for name, groups in found.items()]
    fill(wh, "short_forms", pa.table({"given": [*found], "roots": roots}))


def _shares(values: Mapping[str, float]) -> pa.Table:
    import pyarrow as pa

    columns = {"value": pa.array(values, pa.string()), "share": pa.array(values.values(), pa.float64())}
    return pa.table(columns)
