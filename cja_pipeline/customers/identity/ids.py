"""Customer ids that stay from night to night, and the log of merges and splits.

Each previous id goes with the group that holds most of its records; a group that several ids claim keeps that
of a known customer before an anonymous device's, and the older one among equals. What is left gets a new id,
made from the group's first record, so that the same first night always gives the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

ANONYMOUS_KINDS = ("visitor", "author")
LINKS = "customers.identity_links"


@dataclass(frozen=True)
class Assignment:
    """``customer_ids``: id per label (index: label). ``log``: event (merge, split), customer_id,
    other_customer_id (absorbed by a merge, or split from), records (moved), label."""

    customer_ids: pd.Series
    log: pd.DataFrame


def renew(wh: Warehouse, keyring: Keyring, *, whole: bool) -> pd.DataFrame:
    """Give every group in the temporary table `members` a customer id.

    A group of exactly the records that one customer had keeps that customer's id; only the others are looked
    at. Leaves the temporary table `ids_now` (label, customer_id); returns what is to be logged, with reasons.

    Args:
        whole: everything was compared anew, by other rules or another model.
    """
    wh.ensure(LINKS)
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE ids_now AS SELECT label, customer_id FROM ("
        " SELECT m.label, min(l.customer_id) AS customer_id, max(l.customer_id) AS other_id,"
        " count(*) AS n, count(l.record_key) AS held FROM members m"
        f" LEFT JOIN {LINKS} l USING (record_key) GROUP BY m.label) JOIN"
        f" (SELECT customer_id, count(*) AS had FROM {LINKS} GROUP BY customer_id) USING (customer_id)"
        " WHERE customer_id = other_id AND n = held AND n = had"
    )
    moving = wh.df(
        "SELECT record_key, kind, label, first_seen_at FROM members ANTI JOIN ids_now USING (label)"
        " ORDER BY record_key"
    )
    previous = wh.df(
        f"SELECT record_key, customer_id, min(since) OVER (PARTITION BY customer_id) AS since FROM {LINKS}"
        " ANTI JOIN ids_now USING (customer_id) ORDER BY record_key"
    )
    taken = {row[0] for row in wh.sql("SELECT customer_id FROM ids_now").fetchall()} if len(moving) else set()
    found = assign(moving, previous, keyring, taken)
    wh.connection.register("ids_found", found.customer_ids.rename_axis("label").reset_index())
    try:
        wh.execute("INSERT INTO ids_now SELECT label, customer_id FROM ids_found")
    finally:
        wh.connection.unregister("ids_found")
    return _with_reasons(wh, found.log, whole=whole)


def assign(
    members: pd.DataFrame, previous: pd.DataFrame, keyring: Keyring, taken: set[str] | None = None
) -> Assignment:
    """Give every group of records a customer id.

    Args:
        members: record_key (distinct), kind, label, first_seen_at.
        previous: record_key, customer_id, since (TIMESTAMP of the id), of the night before; may be empty.
        taken: further ids in use.
    """
    import pandas as pd

    held = members.merge(previous, on="record_key")
    held["is_known"] = ~held["kind"].isin(ANONYMOUS_KINDS)
    claims = held.groupby(["customer_id", "label"], as_index=False).agg(
        records=("record_key", "size"),
        since=("since", "min"),
        first=("first_seen_at", "min"),
        is_known=("is_known", "max"),
    )
    # an id goes with the largest part of its records …
    claims = claims.sort_values(["customer_id", "records", "label"], ascending=[True, False, True])
    homes = claims.drop_duplicates("customer_id")
    # … and a group keeps one of the ids that go with it
    homes = homes.sort_values(
        ["label", "is_known", "since", "first", "records", "customer_id"],
        ascending=[True, False, True, True, False, True],
    )
    kept = homes.drop_duplicates("label").set_index("label")["customer_id"]
    labels = pd.Index(members["label"].unique())
    new = _new_ids(
        members, labels.difference(kept.index), {*previous["customer_id"], *(taken or ())}, keyring
    )
    customer_ids = pd.concat([kept, new]).sort_index().rename("customer_id")
    return Assignment(customer_ids, _log(claims, homes, customer_ids))


def _new_ids(members: pd.DataFrame, labels: pd.Index, taken: set[str], keyring: Keyring) -> pd.Series:
    import pandas as pd

    fresh = members[members["label"].isin(labels)]
    fresh = fresh.sort_values(["label", "first_seen_at", "record_key"], na_position="last")
    anchors = fresh.drop_duplicates("label").set_index("label")["record_key"]
    found = []
    for anchor in anchors:
        attempt = 0
        while (made := keyring.customer_id(anchor, attempt)) in taken:
            attempt += 1
        taken.add(made)
        found.append(made)
    return pd.Series(found, index=anchors.index, dtype=object)


def _log(claims: pd.DataFrame, homes: pd.DataFrame, customer_ids: pd.Series) -> pd.DataFrame:
    import pandas as pd

    homes = homes.assign(now=homes["label"].map(customer_ids))
    merged = homes[homes["now"] != homes["customer_id"]]
    merges = pd.DataFrame(
        {
            "event": "merge",
            "customer_id": merged["now"],
            "other_customer_id": merged["customer_id"],
            "records": merged["records"],
            "label": merged["label"],
        }
    )
    home = homes.set_index("customer_id")["label"]
    parts = claims[claims["label"] != claims["customer_id"].map(home)]
    splits = pd.DataFrame(
        {
            "event": "split",
            "customer_id": parts["label"].map(customer_ids),
            "other_customer_id": parts["customer_id"],
            "records": parts["records"],
            "label": parts["label"],
        }
    )
    log = pd.concat([merges, splits], ignore_index=True)
    return log.sort_values(["event", "customer_id", "other_customer_id"], ignore_index=True)


def _with_reasons(wh: Warehouse, log: pd.DataFrame, *, whole: bool) -> pd.DataFrame:
    """Why each merge and split happened: the strongest link that made it, a person's decision, or its"
    " loss."""
    if log.empty:
        return log.assign(reason=[])
    wh.connection.register("log_now", log)
    try:
        # in a merge, the best accepted pair between what was one customer and what it has become part of
        joined = wh.sql(
            "SELECT g.other_customer_id, last(coalesce(nullif(p.rule, 'score'),"
            " printf('score of %.1f bits', p.weight)) ORDER BY coalesce(p.weight, 1000), p.rule)"
            " FROM log_now g"
            f" JOIN {LINKS} l ON l.customer_id = g.other_customer_id"
            " JOIN customers.identity_records a ON a.record_key = l.record_key"
            " JOIN (SELECT node, other, rule, weight, veto FROM customers.identity_pairs UNION ALL"
            " SELECT other, node, rule, weight, veto FROM customers.identity_pairs) p ON p.node = a.node"
            " JOIN customers.identity_clusters c ON c.node = p.other AND c.cluster = g.label"
            " JOIN customers.identity_records b ON b.node = p.other"
            f" LEFT JOIN {LINKS} k ON k.record_key = b.record_key"
            " WHERE g.event = 'merge' AND p.veto IS NULL AND k.customer_id IS DISTINCT FROM"
            " g.other_customer_id"
            " GROUP BY 1"
        ).fetchall()
        parted = wh.sql(
            "SELECT DISTINCT g.customer_id FROM log_now g JOIN customers.identity_unlinked u ON true"
            " JOIN members a ON a.record_key = u.record_key JOIN members b ON b.record_key = u.other_key"
            " WHERE g.event = 'split' AND g.label IN (a.label, b.label)"
        ).fetchall()
    finally:
        wh.connection.unregister("log_now")
    links, decided = dict(joined), {row[0] for row in parted}

    def reason(event: str, customer: str, other: str) -> str:
        if event == "merge":
            return links.get(other, "device")
        if customer in decided:
            return "declared two people"
        return "other rules or model" if whole else "evidence gone or contradicted"

    told = log[["event", "customer_id", "other_customer_id"]].itertuples(index=False, name=None)
    return log.assign(reason=[reason(*row) for row in told])
