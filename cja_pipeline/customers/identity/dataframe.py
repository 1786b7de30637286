"""One customer out of any table of person records."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.deterministic import Clusters, cluster
from cja_pipeline.customers.identity.devices import attach
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.prepare import Prepared, prepare

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["deterministic", "scored", "auto"]
ENOUGH_NAMES = 0.5  # share of records with a full name from which scoring has something to work with


def resolve(
    records: pd.DataFrame,
    *,
    rules: config.Identity | None = None,
    secret: bytes | None = None,
    method: Method = "deterministic",
) -> pd.DataFrame:
    """Find the records that belong to one person.

    Args:
        records: one row per record. `record_id` (distinct) is required; any of these columns is used: source,
            crm_id, merged_crm_ids (other CRM ids of the same person, joined by ``;``), login_id, loyalty_id,
            email, email_sha256 (hexadecimal digest of the lower-case address), phone, mobile, first_name,
            last_name, birth_date, country (two letters, reads phone numbers without a country code),
            visitor_id (cookie or device), first_seen_at, last_seen_at; scoring also uses address, postcode
            and city. Missing values are None or NaN.
        rules: default ``identity.yml``.
        secret: key of the ids; default the installation's `CJA_SECRET_KEY`.
        method: ``deterministic`` joins by exact identifiers; ``scored`` also by likeness of names, birth
            dates and addresses, with weights learnt from the table (needs the package splink); ``auto``
            scores where most records have full names and splink is installed.

    Returns:
        One row per record in the order given: record_id, customer_id, rule (``identifiers``: shares a usable
        value with another record; ``device``: attached through its cookie; ``alone``), size (records of the
        customer). The ids depend on the secret and on the first record of each customer only.

    Raises:
        ValueError: record_id is missing, empty or repeated; the message names the column and the row.
        ModuleNotFoundError: method ``scored`` without splink.
    """
    import pandas as pd

    from cja_pipeline.settings import get_settings

    keyring = Keyring(secret or get_settings().hmac_key())
    rules = rules or config.identity()
    prepared = prepare(records, rules, keyring)
    if prepared.people.empty:
        empty = pd.DataFrame({"record_id": [], "customer_id": [], "rule": [], "size": []})
        empty.attrs["method"] = method
        return empty
    method = _chosen(method, prepared)
    labels = pd.Series(_clusters(records, prepared, rules, method).labels)
    by_device = _attached(prepared.people, prepared.identifiers, labels, rules)
    labels = by_device.fillna(labels).astype("int64")
    anchors = prepared.people.assign(label=labels).groupby("label")["record_id"].min()
    ids = anchors.map(lambda anchor: keyring.customer_id(f"record:{anchor}"))
    size = labels.map(labels.value_counts())
    found = pd.DataFrame(
        {
            "record_id": prepared.people["record_id"],
            "customer_id": labels.map(ids),
            "rule": by_device.notna().map({True: "device", False: "identifiers"}).where(size > 1, "alone"),
            "size": size,
        }
    )
    order = records["record_id"].astype(str)
    found = found.set_index("record_id").loc[order].reset_index()
    found.attrs["method"] = method
    return found


def _chosen(method: Method, prepared: Prepared) -> Method:
    if method != "auto":
        return method
    names = prepared.people[["first_name", "last_name"]].notna().all(axis=1)
    return "scored" if names.mean() >= ENOUGH_NAMES and find_spec("splink") else "deterministic"


def _clusters(records: pd.DataFrame, prepared: Prepared, rules: config.Identity, method: Method) -> Clusters:
    if method == "deterministic":
        return cluster(prepared, rules)
    from cja_pipeline.customers.identity.scored.cluster import cluster_scored

    return cluster_scored(records, prepared, rules)[0]


def _attached(
    people: pd.DataFrame, identifiers: pd.DataFrame, labels: pd.Series, rules: config.Identity
) -> pd.Series:
    """Label that a record without identifiers gets through its device, else null."""
    import pandas as pd

    has_cookie = people["visitor_id"].notna()
    identified = people.index.isin(identifiers["row"])
    found = pd.Series(float("nan"), index=people.index)
    if not has_cookie.any():
        return found
    seen = people[has_cookie]
    evidence = pd.DataFrame({"visitor_id": people["visitor_id"], "label": labels, "weight": 1})
    devices = pd.DataFrame({"visitor_id": sorted(seen["visitor_id"].unique()), "is_bot": False})
    owners = attach(devices, evidence[has_cookie & identified], rules.devices)
    # what nobody owns is one anonymous customer per device
    anonymous = pd.Series(range(len(owners)), index=owners.index) + int(labels.max()) + 1
    owner = owners["label"].where(owners["label"] >= 0, anonymous)
    owner.index = pd.Index(owners["visitor_id"])
    cookie_only = has_cookie & ~identified
    found[cookie_only] = people.loc[cookie_only, "visitor_id"].map(owner).astype(float)
    return found
