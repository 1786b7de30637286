"""Which pairs of records are compared at all, and which cannot be one person whatever they share."""

from __future__ import annotations

from collections.abc import Sequence

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.exchange import fill, text_table
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.values import usable
from cja_pipeline.warehouse import Warehouse

SWAPPED_NAMES = ("swapped_names",)
LINKABLE = (
    "SELECT node, first_name, given, last_name, left(first_name, 2) AS first_start,"
    " left(last_name, 2) AS last_start, birth_date, birth_digits, born, address, postcode, city"
    " FROM customers.identity_records"
)


def find(
    wh: Warehouse,
    rules: Identity,
    book: NameBook,
    blocks: Sequence[tuple[str, ...]],
    *,
    vetoes: bool,
    whole: bool,
) -> None:
    """Find the candidate pairs of all records in the temporary table `touched` (all records, if `whole`).

    Leaves the temporary tables `sure` (node, other, rule: same verified identifier) and `candidates` (node,
    other, veto); node < other. With `vetoes`, pairs with conflicting first names or birth dates carry the
    reason, and are kept only if they share an identifier: nobody else would ask about them.
    """
    once, mine, concerned = "a.node < b.node", "", ""
    # only what several records carry has a value
    near = "SEMI JOIN customers.identity_values n ON n.key = c.key"
    if not whole:
        once = f"({once} OR b.node NOT IN (SELECT node FROM touched))"
        mine = "SEMI JOIN touched USING (node)"
        near = f"{near} SEMI JOIN keys_near m ON m.key = c.key"
        concerned = "AND (node IN (SELECT node FROM touched) OR other IN (SELECT node FROM touched))"
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE keys_near AS SELECT DISTINCT key"
            f" FROM customers.identity_carriers {mine}"
        )
    wh.execute(f"CREATE OR REPLACE TEMP TABLE carried AS {usable(rules, near)}")
    verified = ", ".join(f"'{kind}'" for kind, rule in rules.identifiers.items() if rule.verified) or "''"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE sure AS SELECT node, other, min(kind) AS rule FROM ("
        " SELECT min(node) OVER (PARTITION BY key) AS node, node AS other, kind FROM carried"
        f" WHERE kind IN ({verified})) WHERE node < other {concerned} GROUP BY node, other"
    )
    wh.execute(f"CREATE OR REPLACE TEMP VIEW linkable AS {LINKABLE}")
    parts = [
        f"SELECT a.node AS a, b.node AS b, true AS shares FROM (SELECT * FROM carried {mine}"
        f" WHERE kind NOT IN ({verified})) a JOIN carried b ON b.key = a.key WHERE {once}"
    ]
    if SWAPPED_NAMES in blocks:
        same = "a.first_name = b.last_name AND a.last_name = b.first_name"
        parts.append(
            f"SELECT a.node, b.node, false FROM (SELECT * FROM linkable {mine}) a JOIN linkable b ON {same}"
            f" WHERE {once}"
        )
    _values_in_common(wh, blocks, whole=whole)
    parts.append(
        f"SELECT a.node, b.node, false FROM (SELECT * FROM in_common {mine}) a JOIN in_common b USING (value)"
        f" WHERE {once}"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE found AS SELECT least(a, b) AS node, greatest(a, b) AS other,"
        f" bool_or(shares) AS shares FROM ({' UNION ALL '.join(parts)}) GROUP BY 1, 2"
    )
    if not vetoes:
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE candidates AS SELECT node, other, CAST(NULL AS VARCHAR) AS veto"
            " FROM found"
        )
    else:
        _veto(wh, book)
    wh.execute("DROP TABLE in_common")
    wh.execute("DROP TABLE found")
    wh.execute("DROP TABLE carried")


def _values_in_common(wh: Warehouse, blocks: Sequence[tuple[str, ...]], *, whole: bool) -> None:
    """Leave the temporary table `in_common` (value, node): what records agree in, as numbers.

    One join of numbers finds what a join of texts per block would. A block with all columns of another finds
    nothing more.
    """
    told = [block for block in blocks if block != SWAPPED_NAMES and not any({*o} < {*block} for o in blocks)]
    parts = [
        f"SELECT hash({number}, {', '.join(block)}) AS value, node FROM linkable WHERE "
        + " AND ".join(f"{column} IS NOT NULL" for column in block)
        for number, block in enumerate(told)
    ] or ["SELECT CAST(0 AS UBIGINT) AS value, node FROM linkable WHERE false"]
    wh.execute(f"CREATE OR REPLACE TEMP TABLE agreeing AS {' UNION ALL '.join(parts)}")
    # alone with its value is seen where all are there; where few are touched, theirs are few anyway
    mine = "GROUP BY value HAVING count(*) > 1" if whole else "SEMI JOIN touched USING (node)"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE in_common AS SELECT value, node FROM agreeing"
        f" SEMI JOIN (SELECT value FROM agreeing {mine}) USING (value)"
    )
    wh.execute("DROP TABLE agreeing")


def _veto(wh: Warehouse, book: NameBook) -> None:
    pairs = (
        "FROM found f JOIN customers.identity_records a ON a.node = f.node"
        " JOIN customers.identity_records b ON b.node = f.other"
    )
    both = wh.sql(
        f"SELECT DISTINCT least(a.given, b.given), greatest(a.given, b.given) {pairs} WHERE a.given <>"
        " b.given"
    ).fetchall()
    alike = [pair for pair in both if book.same_first_name(*pair)]
    fill(wh, "alike", text_table(alike, ("one", "two")))
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE candidates AS SELECT * FROM (SELECT f.node, f.other, f.shares, CASE"
        # unknown names and dates conflict with nothing
        " WHEN a.given <> b.given AND n.one IS NULL AND NOT coalesce(a.given = b.last_name"
        " AND b.given = a.last_name, false) THEN 'conflicting first names'"
        " WHEN a.born <> b.born AND hamming(a.born, b.born) > 1 AND NOT (left(a.born, 4) = left(b.born, 4)"
        " AND substr(a.born, 6, 2) = substr(b.born, 9, 2) AND substr(a.born, 9, 2) = substr(b.born, 6, 2))"
        f" THEN 'conflicting birth dates' END AS veto {pairs}"
        " LEFT JOIN alike n ON n.one = least(a.given, b.given) AND n.two = greatest(a.given, b.given)"
        ") WHERE shares OR veto IS NULL"
    )
    wh.execute("ALTER TABLE candidates DROP COLUMN shares")
