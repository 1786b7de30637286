"""What each identifier value is worth, judged by the people seen with it.

A value of more people than its kind allows joins nobody; a value used by people with conflicting first
names, or by several nameless CRM ids, is shared, and records without a name on it are nobody's. Nothing else
than the records that carry a value decides about it, so that a new record concerns the values it carries and
no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.names import Name, NameBook
from cja_pipeline.warehouse import Warehouse


def judge(wh: Warehouse, rules: Identity, book: NameBook, *, whole: bool) -> None:
    """Judge again the values in `keys_moved`, and let every record that this concerns move too.

    Reads the temporary tables `keys_moved` (key; all of them if `whole`) and `moved` (node); leaves `touched`
    (node): records whose candidate pairs must be found again.
    """
    import pyarrow as pa

    wh.ensure("customers.identity_values")
    only = "" if whole else "SEMI JOIN keys_moved USING (key)"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE several AS SELECT key, any_value(kind) AS kind, count(*) AS records"
        f" FROM customers.identity_carriers {only} GROUP BY key HAVING count(*) > 1"
    )
    # most values are of records that say the same: people are counted only where they differ
    named = "CASE WHEN r.given IS NOT NULL THEN hash(r.given) END"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE differing AS SELECT key, count(DISTINCT r.crm) AS crms,"
        " count(DISTINCT r.given) AS names,"
        " list(DISTINCT [r.given, r.last_name]) FILTER (r.given IS NOT NULL) AS told"
        " FROM customers.identity_carriers c SEMI JOIN ("
        " SELECT key FROM customers.identity_carriers c JOIN several s USING (key)"
        " JOIN customers.identity_records r USING (node) GROUP BY key"
        f" HAVING min(r.crm) <> max(r.crm) OR min({named}) <> max({named})) d USING (key)"
        " JOIN customers.identity_records r USING (node) GROUP BY key"
    )
    crowded = f"records > {rules.most_records}"
    told = [
        (key, *name_groups([tuple(name) for name in names], book))
        for key, names in wh.sql(
            "SELECT CAST(key AS VARCHAR), told FROM differing JOIN several USING (key)"
            # what a crowd carries joins nobody, whoever they are: its names need not be compared
            f" WHERE names > 1 AND NOT {crowded}"
        ).fetchall()
    ]
    names_of = ("named", "groups", "conflict")
    types = (pa.string(), pa.int64(), pa.bool_())
    parts: list[Sequence[Any]] = list(zip(*told, strict=True)) if told else [() for _ in names_of]
    frame = pa.table({n: pa.array(part, kind) for n, part, kind in zip(names_of, parts, types, strict=True)})
    allowed = " ".join(f"WHEN '{kind}' THEN {rule.max_people}" for kind, rule in rules.identifiers.items())
    wh.connection.register("names_told", frame)
    try:
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE judged AS SELECT kind, key, records, people, shared,"
            f" people <= CASE kind {allowed} END AND records <= {rules.most_records} AS used FROM ("
            " SELECT kind, key, records,"
            " greatest(coalesce(t.groups, d.names, 1), coalesce(d.crms, 1), 1) AS people,"
            f" coalesce(t.conflict, d.crms > 1 AND d.names = 0, false) OR {crowded} AS shared"
            " FROM several LEFT JOIN differing d USING (key)"
            " LEFT JOIN names_told t ON CAST(t.named AS UUID) = key)"
        )
    finally:
        wh.connection.unregister("names_told")
    if whole:
        wh.execute("CREATE OR REPLACE TEMP TABLE touched AS SELECT node FROM moved")
    else:
        verified = ", ".join(f"'{kind}'" for kind, rule in rules.identifiers.items() if rule.verified) or "''"
        # a verdict that changed concerns everybody with the value; records of one verified key are one star
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE touched AS SELECT node FROM moved UNION SELECT c.node"
            " FROM customers.identity_carriers c JOIN keys_moved k USING (key)"
            " LEFT JOIN judged n USING (key) LEFT JOIN customers.identity_values o USING (key)"
            f" WHERE c.kind IN ({verified}) OR coalesce(n.used, true) <> coalesce(o.used, true)"
            " OR coalesce(n.shared, false) <> coalesce(o.shared, false)"
        )
        wh.execute("DELETE FROM customers.identity_values WHERE key IN (SELECT key FROM keys_moved)")
    wh.execute("INSERT INTO customers.identity_values SELECT * FROM judged")


def name_groups(names: list[Name], book: NameBook) -> tuple[int, bool]:
    """How many people these names are at least, and whether any two of them conflict."""
    group = dict(zip(names, range(len(names)), strict=True))
    shared = False
    for place, a in enumerate(names):
        for b in names[place + 1 :]:
            if book.conflict(a, b):
                shared = True
            elif group[a] != group[b]:
                low, high = sorted((group[a], group[b]))
                group = {name: low if number == high else number for name, number in group.items()}
    return len(set(group.values())), shared


# the identifiers that a record may be joined by; few are not, so these are looked for
USABLE = """
SELECT c.node, c.kind, c.key
FROM customers.identity_carriers c
{restrict}
ANTI JOIN (
    SELECT b.node, b.key
    FROM customers.identity_carriers b
    JOIN (SELECT key, used FROM customers.identity_values WHERE shared OR NOT used) v ON v.key = b.key
    JOIN customers.identity_records r ON r.node = b.node
    WHERE NOT v.used OR (b.kind NOT IN ({verified}) AND r.given IS NULL)
) barred ON barred.node = c.node AND barred.key = c.key
"""


def usable(rules: Identity, restrict: str = "") -> str:
    """SELECT of node, kind, key of all identifiers that may join; `restrict` is a JOIN on c."""
    verified = ", ".join(f"'{kind}'" for kind, rule in rules.identifiers.items() if rule.verified) or "''"
    return USABLE.format(restrict=restrict, verified=verified)
