"""The tables that other rooms read: links, devices, identifiers, evidence and the log."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.pairs import positive
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

OWN_IDS = {"profile": "profile_id", "author": "author_id"}


def write(
    wh: Warehouse, rules: Identity, keyring: Keyring, moment: dt.datetime, log: pd.DataFrame
) -> dict[str, int | float | str]:
    """Write identity_links, visitor_map, customer_identifiers, identity_edges and identity_log.

    Reads the temporary tables `members`, `ids_now`, `devices` and `owners`. Returns figures for the report.
    """
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE links_now AS SELECT m.record_key, m.kind, m.source, i.customer_id,"
        " m.first_seen_at, m.last_seen_at, coalesce(l.since, ?) AS since FROM members m JOIN ids_now i"
        " USING (label)"
        " LEFT JOIN customers.identity_links l ON l.record_key = m.record_key AND l.customer_id ="
        " i.customer_id",
        [moment],
    )
    wh.renew("customers.identity_links", "SELECT * FROM links_now")
    _visitor_keys(wh, keyring)
    wh.renew(
        "customers.visitor_map",
        "SELECT o.visitor_id, k.visitor_key, l.customer_id, o.share, o.rule, d.consent_analytics,"
        " d.consent_marketing FROM owners o JOIN devices d USING (visitor_id) JOIN visitor_keys k USING"
        " (visitor_id)"
        " JOIN links_now l ON l.record_key = concat('visitor:', o.visitor_id)",
    )
    _own_keys(wh, keyring)
    wh.renew("customers.customer_identifiers", _IDENTIFIERS)
    edges_view(wh, rules)
    _append_log(wh, log, moment)
    return _figures(wh, rules, log)


def edges_view(wh: Warehouse, rules: Identity) -> None:
    """`customers.identity_edges`: the pairs with their records' keys and what became of them."""
    speaks = positive(rules).replace("rule", "p.rule").replace("weight", "p.weight")
    wh.execute(
        "CREATE OR REPLACE VIEW customers.identity_edges AS SELECT a.record_key, b.record_key AS other_key,"
        " a.source, b.source AS other_source, p.rule, p.weight,"
        " CASE WHEN u.reason IS NOT NULL THEN 'unlinked' WHEN p.veto IS NOT NULL THEN 'vetoed'"
        f" WHEN NOT {speaks} THEN 'weak'"
        " WHEN c.cluster = d.cluster THEN 'accepted' ELSE 'refused' END AS verdict,"
        " CASE WHEN u.reason IS NOT NULL THEN u.reason WHEN p.veto IS NOT NULL THEN p.veto"
        " WHEN c.cluster <> d.cluster AND a.crm <> b.crm THEN 'different CRM ids'"
        f" WHEN c.cluster <> d.cluster AND NOT {speaks} THEN 'too little speaks for one person'"
        " WHEN c.cluster <> d.cluster THEN 'others of the two groups conflict' END AS reason, p.since"
        " FROM customers.identity_pairs p JOIN customers.identity_records a ON a.node = p.node"
        " JOIN customers.identity_records b ON b.node = p.other"
        " JOIN customers.identity_clusters c ON c.node = p.node"
        " JOIN customers.identity_clusters d ON d.node = p.other"
        " LEFT JOIN customers.identity_unlinked u ON u.record_key = least(a.record_key, b.record_key)"
        " AND u.other_key = greatest(a.record_key, b.record_key)"
    )


def _visitor_keys(wh: Warehouse, keyring: Keyring) -> None:
    """Temporary table `visitor_keys`: keyed hash of every cookie, made once in its life."""
    import pyarrow as pa

    wh.ensure("customers.visitor_map")
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE visitor_keys AS SELECT visitor_id, visitor_key FROM"
        " customers.visitor_map"
        " SEMI JOIN devices USING (visitor_id)"
    )
    known = wh.sql("SELECT visitor_id, visitor_key FROM visitor_keys ORDER BY visitor_id LIMIT 1").fetchall()
    if known and keyring.of("cookie", known[0][0]) != known[0][1]:  # made with another secret
        wh.execute("DELETE FROM visitor_keys")
    new = [
        row[0]
        for row in wh.sql(
            "SELECT visitor_id FROM devices ANTI JOIN visitor_keys USING (visitor_id)"
        ).fetchall()
    ]
    keys = pa.table(
        {
            "visitor_id": pa.array(new, pa.string()),
            "key": pa.array([keyring.of("cookie", v) for v in new], pa.string()),
        }
    )
    wh.connection.register("new_keys", keys)
    try:
        wh.execute("INSERT INTO visitor_keys SELECT visitor_id, key FROM new_keys")
    finally:
        wh.connection.unregister("new_keys")


def _own_keys(wh: Warehouse, keyring: Keyring) -> None:
    """Temporary table `own_keys`: identifiers that name a record itself (profile, author)."""
    import pyarrow as pa

    rows = wh.sql("SELECT record_key, kind FROM links_now WHERE kind IN ('profile', 'author')").fetchall()
    kinds = [OWN_IDS[kind] for _, kind in rows]
    keys = [keyring.of(OWN_IDS[kind], key.partition(":")[2]) for key, kind in rows]
    table = {"record_key": [key for key, _ in rows], "kind": kinds, "key": keys}
    wh.connection.register(
        "own_rows", pa.table({name: pa.array(v, pa.string()) for name, v in table.items()})
    )
    try:
        wh.execute("CREATE OR REPLACE TEMP TABLE own_keys AS SELECT * FROM own_rows")
    finally:
        wh.connection.unregister("own_rows")


_IDENTIFIERS = """
WITH aliases AS (
    SELECT key, min(alias_of) AS mailbox FROM customers.identity_keys WHERE alias_of IS NOT NULL GROUP BY key
), carried AS (
    SELECT r.record_key, k.kind, replace(CAST(coalesce(a.mailbox, k.key) AS VARCHAR), '-', '') AS key
    FROM customers.identity_keys k
    JOIN customers.identity_records r USING (node)
    LEFT JOIN aliases a ON k.kind = 'email' AND a.key = k.key
    UNION ALL
    SELECT record_key, kind, key FROM own_keys
    UNION ALL
    SELECT concat('visitor:', visitor_id), 'cookie', visitor_key FROM visitor_keys
)
SELECT
    l.customer_id, c.kind AS identifier_type, c.key AS identifier_hash, l.source,
    min(l.first_seen_at) AS first_seen_at, max(l.last_seen_at) AS last_seen_at
FROM carried c JOIN links_now l USING (record_key)
GROUP BY l.customer_id, c.kind, c.key, l.source
"""


def _append_log(wh: Warehouse, log: pd.DataFrame, moment: dt.datetime) -> None:
    wh.ensure("customers.identity_log")
    if log.empty:
        return
    wh.connection.register("log_now", log.assign(logged_at=moment))
    try:
        wh.execute(
            "INSERT INTO customers.identity_log BY NAME SELECT logged_at, event, customer_id,"
            " other_customer_id,"
            " records, reason FROM log_now n ANTI JOIN customers.identity_log o"
            " USING (logged_at, event, customer_id, other_customer_id)"
        )
    finally:
        wh.connection.unregister("log_now")


def _figures(wh: Warehouse, rules: Identity, log: pd.DataFrame) -> dict[str, int | float | str]:
    known = "kind NOT IN ('visitor', 'author')"
    events = log["event"].value_counts() if len(log) else {}
    rules_of = dict(wh.sql("SELECT rule, count(*) FROM owners GROUP BY rule").fetchall())
    return {
        "customers": int(wh.scalar("SELECT count(DISTINCT customer_id) FROM links_now")),
        "known_customers": int(wh.scalar(f"SELECT count(DISTINCT customer_id) FROM links_now WHERE {known}")),
        "records": int(wh.scalar(f"SELECT count(*) FROM links_now WHERE {known}")),
        "largest_customer_records": int(
            wh.scalar(
                f"SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM links_now WHERE {known}"
                " GROUP BY customer_id)"
            )
        ),
        "pairs_scored": int(wh.scalar("SELECT count(*) FROM customers.identity_pairs WHERE rule = 'score'")),
        "refused_links": int(
            wh.scalar(
                "SELECT count(*) FROM customers.identity_pairs p JOIN customers.identity_clusters a ON"
                " a.node = p.node"
                " JOIN customers.identity_clusters b ON b.node = p.other"
                f" WHERE a.cluster <> b.cluster AND (p.veto IS NOT NULL OR {positive(rules)})"
            )
        ),
        "shared_identifiers": int(wh.scalar("SELECT count(*) FROM customers.identity_values WHERE shared")),
        "unusable_identifiers": int(
            wh.scalar("SELECT count(*) FROM customers.identity_values WHERE NOT used")
        ),
        "devices": sum(rules_of.values()),
        "devices_attached": rules_of.get("sole", 0) + rules_of.get("dominant", 0),
        "devices_shared": rules_of.get("shared", 0),
        "devices_bots": rules_of.get("bot", 0),
        "merges": int(events.get("merge", 0)),
        "splits": int(events.get("split", 0)),
    }
