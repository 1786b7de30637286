"""Customer ids that stay from night to night, and the log of merges and splits.

Each previous id goes with the group that holds most of its records; a group that several ids claim keeps that
of a known customer before an anonymous device's, and the older one among equals. What is left gets a new id,
made from the group's first record, so that the same first night always gives the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.keys import Keyring

if TYPE_CHECKING:
    import pandas as pd

ANONYMOUS_KINDS = ("visitor", "author")


@dataclass(frozen=True)
class Assignment:
    """``customer_ids``: id per label (index: label). ``log``: event (merge, split), customer_id,
    other_customer_id (absorbed by a merge, or split from), records (moved)."""

    customer_ids: pd.Series
    log: pd.DataFrame


def assign(members: pd.DataFrame, previous: pd.DataFrame, keyring: Keyring) -> Assignment:
    """Give every group of records a customer id.

    Args:
        members: record_key (distinct), kind, label, first_seen_at.
        previous: record_key, customer_id, since (TIMESTAMP of the id), of the night before; may be empty.
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
    new = _new_ids(members, labels.difference(kept.index), set(previous["customer_id"]), keyring)
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
        }
    )
    log = pd.concat([merges, splits], ignore_index=True)
    return log.sort_values(["event", "customer_id", "other_customer_id"], ignore_index=True)
