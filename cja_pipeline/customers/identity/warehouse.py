"""Resolve everybody in the warehouse: records, devices, stable ids, and the tables that other models join."""

from __future__ import annotations

import datetime as dt
from importlib.resources import files
from typing import TYPE_CHECKING

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.customers import config
from cja_pipeline.customers.identity.deterministic import Clusters, cluster
from cja_pipeline.customers.identity.devices import attach, is_bot
from cja_pipeline.customers.identity.ids import Assignment, assign
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.customers.identity.prepare import Prepared, prepare
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd


def resolve_warehouse(
    wh: Warehouse, secret: bytes, as_of: dt.datetime | None = None
) -> dict[str, int | float]:
    """Resolve all records of the validated tables and replace the identity tables in one transaction.

    Writes customers.identity_links, visitor_map, customer_identifiers, identity_evidence, and appends merges
    and splits to identity_log. Running twice on the same data changes nothing.

    Args:
        secret: key of all pseudonyms. as_of: time of the log entries (UTC); default ``config.params.as_of``.

    Returns:
        Figures for the run's report: counts only, no personal data.
    """
    rules, keyring = config.identity(), Keyring(secret)
    moment = as_of or wh.scalar("SELECT as_of FROM config.params")
    devices = wh.df(_sql("devices"))
    devices["is_bot"] = is_bot(devices, rules.devices)
    evidence = wh.df(_sql("evidence"))
    bots = set(devices.loc[devices["is_bot"], "visitor_id"])
    evidence = evidence[~evidence["visitor_id"].isin(bots)]
    records = _with_logins(wh.df(_sql("records")), evidence, Normaliser(rules))
    prepared = prepare(records.rename(columns={"record_key": "record_id"}), rules, keyring)
    clusters = cluster(prepared, rules)
    people = prepared.people.assign(label=clusters.labels).rename(columns={"record_id": "record_key"})
    owners = attach(devices, _votes(evidence, people), rules.devices)
    members = _members(people, devices, owners)
    previous = _previous(wh)
    assignment = assign(members, previous, keyring)
    members["customer_id"] = members["label"].map(assignment.customer_ids).astype(object)
    with wh.transaction():
        wh.write("customers.identity_links", _links(members, previous, moment))
        visitors = _visitor_map(owners, devices, members, keyring)
        wh.write("customers.visitor_map", visitors)
        wh.write("customers.customer_identifiers", _identifiers(prepared, members, visitors, keyring))
        wh.write("customers.identity_evidence", _evidence(clusters, people))
        _append_log(wh, assignment, moment)
        crashpoint("identity:before_commit")
    crashpoint("identity:committed")
    return _figures(members, owners, clusters, assignment)


def _sql(name: str) -> str:
    return (files("cja_pipeline.customers.identity") / f"{name}.sql").read_text(encoding="utf-8")


def _with_logins(records: pd.DataFrame, evidence: pd.DataFrame, normaliser: Normaliser) -> pd.DataFrame:
    """Add one record per login seen on the web (not on machines that try passwords)."""
    import pandas as pd

    logins = evidence[evidence["kind"] == "login"].groupby("record_key", as_index=False)
    found = logins.agg(first_seen_at=("first_seen_at", "min"), last_seen_at=("last_seen_at", "max"))
    found["login_id"] = found["record_key"].str.removeprefix("login:").map(normaliser.identifier)
    found = found[found["login_id"].notna()].assign(kind="login", source="web_analytics")
    return pd.concat([records, found], ignore_index=True)


def _votes(evidence: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """The customer (label) behind each piece of evidence about a device."""
    labels = people.set_index("record_key")["label"]
    votes = evidence[["visitor_id", "weight"]].assign(label=evidence["record_key"].map(labels))
    votes = votes[votes["label"].notna()].astype({"label": "int64"})
    return votes


def _members(people: pd.DataFrame, devices: pd.DataFrame, owners: pd.DataFrame) -> pd.DataFrame:
    """All nodes of the view, records and devices: record_key, kind, source, label, first/last_seen_at."""
    import numpy as np
    import pandas as pd

    records = people[["record_key", "source", "label", "first_seen_at", "last_seen_at"]]
    records = records.assign(kind=records["record_key"].str.split(":").str[0])
    label = owners["label"].to_numpy()
    base = int(people["label"].max()) + 1 if len(people) else 0
    label = np.where(label >= 0, label, base + np.arange(len(owners)))
    seen = owners[["visitor_id"]].merge(devices, on="visitor_id", how="left")
    visitors = pd.DataFrame(
        {
            "record_key": "visitor:" + seen["visitor_id"],
            "source": "web_analytics",
            "label": label,
            "first_seen_at": seen["first_seen_at"],
            "last_seen_at": seen["last_seen_at"],
            "kind": "visitor",
        }
    )
    return pd.concat([records, visitors], ignore_index=True)


def _previous(wh: Warehouse) -> pd.DataFrame:
    """Ids of the last run, with the time each customer id is in use since."""
    wh.ensure("customers.identity_links")
    return wh.df(
        "SELECT record_key, customer_id, min(since) OVER (PARTITION BY customer_id) AS since"
        " FROM customers.identity_links ORDER BY record_key"
    )


def _links(members: pd.DataFrame, previous: pd.DataFrame, moment: dt.datetime) -> pd.DataFrame:
    """Which customer each record belongs to, and since which run."""
    import pandas as pd

    links = members.merge(previous, how="left", on=["record_key", "customer_id"])
    links["since"] = pd.to_datetime(links["since"]).fillna(pd.Timestamp(moment))
    return links[["record_key", "kind", "source", "customer_id", "first_seen_at", "last_seen_at", "since"]]


def _visitor_map(
    owners: pd.DataFrame, devices: pd.DataFrame, members: pd.DataFrame, keyring: Keyring
) -> pd.DataFrame:
    consents = ["consent_analytics", "consent_marketing"]
    owners = owners.merge(devices[["visitor_id", *consents]], on="visitor_id")
    ids = members[members["kind"] == "visitor"].set_index("record_key")["customer_id"]
    return owners.assign(
        customer_id=("visitor:" + owners["visitor_id"]).map(ids),
        visitor_key=[keyring.of("cookie", value) for value in owners["visitor_id"]],
    )[["visitor_id", "visitor_key", "customer_id", "share", "rule", *consents]]


def _identifiers(
    prepared: Prepared, members: pd.DataFrame, visitors: pd.DataFrame, keyring: Keyring
) -> pd.DataFrame:
    """Keyed identifiers of every customer, those that name a record (profile, cookie, handle) included."""
    import pandas as pd

    values = prepared.identifiers.merge(
        members.iloc[: len(prepared.people)], left_on="row", right_index=True, suffixes=("", "_record")
    )
    values = values.rename(columns={"kind": "identifier_type", "key": "identifier_hash"})
    named = members[members["kind"].isin(["profile", "author"])]
    own = named.assign(identifier_type=named["kind"] + "_id")
    own["identifier_hash"] = [
        keyring.of(kind, key.partition(":")[2])
        for kind, key in zip(own["identifier_type"], own["record_key"], strict=True)
    ]
    cookies = members[members["kind"] == "visitor"].assign(identifier_type="cookie")
    keys = visitors.set_index("visitor_id")["visitor_key"]
    cookies["identifier_hash"] = cookies["record_key"].str.removeprefix("visitor:").map(keys)
    columns = ["customer_id", "identifier_type", "identifier_hash", "source"]
    both = pd.concat([values, own, cookies])[[*columns, "first_seen_at", "last_seen_at"]]
    return both.groupby(columns, as_index=False).agg({"first_seen_at": "min", "last_seen_at": "max"})


def _evidence(clusters: Clusters, people: pd.DataFrame) -> pd.DataFrame:
    keys = people["record_key"].to_numpy()
    found = clusters.evidence
    return found.assign(
        record_key=keys[found["record"].to_numpy(dtype="int64")],
        other_key=keys[found["other"].to_numpy(dtype="int64")],
    ).rename(columns={"kind": "identifier_type", "key": "identifier_hash"})[
        ["record_key", "other_key", "identifier_type", "identifier_hash", "accepted", "reason"]
    ]


def _append_log(wh: Warehouse, assignment: Assignment, moment: dt.datetime) -> None:
    wh.ensure("customers.identity_log")
    new = assignment.log.assign(logged_at=moment)
    old = wh.read("customers.identity_log")
    if new.empty:
        return
    import pandas as pd

    columns = ["logged_at", "event", "customer_id", "other_customer_id", "records"]
    both = pd.concat([old[columns], new[columns]]).drop_duplicates(columns[:4], keep="first")
    wh.write("customers.identity_log", both)


def _figures(
    members: pd.DataFrame, owners: pd.DataFrame, clusters: Clusters, assignment: Assignment
) -> dict[str, int | float]:
    known = members[~members["kind"].isin(["visitor", "author"])]
    rules = owners["rule"].value_counts()
    refused = int((~clusters.evidence["accepted"].astype(bool)).sum()) if len(clusters.evidence) else 0
    events = assignment.log["event"].value_counts()
    return {
        "customers": int(members["customer_id"].nunique()),
        "known_customers": int(known["customer_id"].nunique()),
        "records": len(known),
        "largest_customer_records": int(known["customer_id"].value_counts().max()) if len(known) else 0,
        "refused_links": refused,
        "shared_identifiers": int(clusters.values["shared"].sum()),
        "unusable_identifiers": int((~clusters.values["used"]).sum()),
        "devices": len(owners),
        "devices_attached": int(rules.get("sole", 0) + rules.get("dominant", 0)),
        "devices_shared": int(rules.get("shared", 0)),
        "devices_bots": int(rules.get("bot", 0)),
        "merges": int(events.get("merge", 0)),
        "splits": int(events.get("split", 0)),
    }
