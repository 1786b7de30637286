"""What each identifier value is worth, judged by the people seen with it.

A value of more people than its kind allows joins nobody; a value used by people with conflicting first
names, or by several nameless CRM ids, is shared, and records without a name on it are nobody's. Nothing else
than the records that carry a value decides about it, so that a new record concerns the values it carries and
no others.
"""

from __future__ import annotations

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.names import Name, NameBook
from cja_pipeline.warehouse import Warehouse


def judge(wh: Warehouse, rules: Identity, book: NameBook) -> None:
    """Judge again the values in `keys_moved`, and let every record that this concerns move too.

    Reads the temporary tables `keys_moved` (kind, key) and `moved` (node); leaves `touched` (node): records
    whose candidate pairs must be found again.
    """
    import pyarrow as pa

    wh.ensure("customers.identity_values")
    seen = wh.sql(
        "SELECT kind, key, count(*) AS records, count(DISTINCT r.crm) AS crms,"
        " list(DISTINCT [r.given, r.last_name]) FILTER (r.given IS NOT NULL) AS names"
        " FROM customers.identity_carriers c JOIN keys_moved USING (kind, key)"
        " JOIN customers.identity_records r USING (node) GROUP BY kind, key HAVING count(*) > 1"
    ).fetchall()
    rows = []
    for kind, key, records, crms, names in seen:
        groups, conflict = name_groups([tuple(name) for name in names or ()], book)
        people = max(groups, crms, 1)
        shared = conflict or (crms > 1 and not groups)
        rule = rules.identifiers[kind]
        used = people <= rule.max_people and records <= rules.most_records
        rows.append((kind, key, records, people, shared, used))
    names_of_columns = ("kind", "key", "records", "people", "shared", "used")
    found = list(zip(*rows, strict=True)) if rows else [[] for _ in names_of_columns]
    types = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.bool_(), pa.bool_())
    frame = pa.table(
        {name: pa.array(part, kind) for name, part, kind in zip(names_of_columns, found, types, strict=True)}
    )
    wh.connection.register("values_now", frame)
    try:
        wh.execute("CREATE OR REPLACE TEMP TABLE judged AS SELECT * FROM values_now")
    finally:
        wh.connection.unregister("values_now")
    verified = ", ".join(f"'{kind}'" for kind, rule in rules.identifiers.items() if rule.verified) or "''"
    # a verdict that changed concerns everybody with the value; records of one verified key are one star
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS SELECT node FROM moved UNION SELECT c.node"
        " FROM customers.identity_carriers c JOIN keys_moved k USING (kind, key)"
        " LEFT JOIN judged n USING (kind, key) LEFT JOIN customers.identity_values o USING (kind, key)"
        f" WHERE c.kind IN ({verified}) OR coalesce(n.used, true) <> coalesce(o.used, true)"
        " OR coalesce(n.shared, false) <> coalesce(o.shared, false)"
    )
    wh.execute(
        "DELETE FROM customers.identity_values v USING keys_moved k WHERE v.kind = k.kind AND v.key = k.key"
    )
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


# the identifiers that a record may be joined by; {nodes} restricts the carriers
USABLE = """
SELECT c.node, c.kind, c.key
FROM customers.identity_carriers c
{restrict}
JOIN customers.identity_records r ON r.node = c.node
LEFT JOIN customers.identity_values v ON v.kind = c.kind AND v.key = c.key
WHERE coalesce(v.used, true)
    AND (c.kind IN ({verified}) OR r.given IS NOT NULL OR NOT coalesce(v.shared, false))
"""


def usable(rules: Identity, restrict: str = "") -> str:
    """SELECT of node, kind, key of all identifiers that may join; `restrict` is a JOIN on c."""
    verified = ", ".join(f"'{kind}'" for kind, rule in rules.identifiers.items() if rule.verified) or "''"
    return USABLE.format(restrict=restrict, verified=verified)
