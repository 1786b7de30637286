"""One customer out of any table of person records."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.devices import attach
from cja_pipeline.customers.identity.intake import RECORD_COLUMNS
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.normalise import text
from cja_pipeline.customers.identity.scored.model import Model, current
from cja_pipeline.customers.identity.update import learn, update
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  times of a run do not matter here


def resolve(
    records: pd.DataFrame,
    *,
    rules: config.Identity | None = None,
    secret: bytes | None = None,
    model: Model | None = None,
) -> pd.DataFrame:
    """Find the records that belong to one person.

    Args:
        records: one row per record. `record_id` (distinct) is required; any of these columns is used: source,
            crm_id, merged_crm_ids (other CRM ids of the same person, joined by ``;``), login_id, loyalty_id,
            email, email_sha256 (hexadecimal digest of the lower-case address), phone, mobile, first_name,
            last_name, birth_date, address, postcode, city, country (two letters, reads phone numbers without
            a country code), visitor_id (cookie or device). Missing values are None or NaN.
        rules: default ``identity.yml``.
        secret: key of the ids; default the installation's `CJA_SECRET_KEY`.
        model: what a pair of records weighs; default: learnt from the table, or the shipped one if the table
            is too small (``training.records_at_least``) to learn from.

    Returns:
        One row per record in the order given: record_id, customer_id, rule (``linked``: with another record;
        ``device``: attached through its cookie; ``alone``), size (records of the customer). The ids depend on
        the secret and on the first record of each customer only.

    Raises:
        ValueError: record_id is missing, empty or repeated; the message names the column and the row.
    """
    import pandas as pd

    from cja_pipeline.settings import get_settings

    keyring = Keyring(secret or get_settings().hmac_key())
    rules = rules or config.identity()
    frame = person_rows(records)
    with Warehouse(":memory:") as wh:
        wh.connection.register("given_records", frame)
        select = f"SELECT {', '.join(RECORD_COLUMNS)} FROM given_records"
        if model is None:
            big = len(frame) >= rules.training.records_at_least
            model = learn(wh, select, rules, keyring) if big else current(None)
        update(wh, select, rules, keyring, model, EPOCH)
        found = _labels(wh, rules)
    anchors = found.groupby("label")["record_id"].min()
    ids = anchors.map(lambda anchor: keyring.customer_id(f"record:{anchor}"))
    size = found["label"].map(found["label"].value_counts())
    rule = pd.Series("linked", index=found.index).mask(found["by_device"], "device").mask(size <= 1, "alone")
    told = found[["record_id"]].assign(
        customer_id=found["label"].map(ids).astype(object),
        rule=rule.astype(object),
        size=size.astype("int64"),
    )
    return told.set_index("record_id").loc[frame["record_key"]].reset_index()


def person_rows(records: pd.DataFrame) -> pd.DataFrame:
    """The columns of `intake` as text, missing ones empty, with record_id checked; plus visitor_id."""
    import pandas as pd

    if "record_id" not in records.columns:
        raise ValueError("column record_id is missing; expected one distinct id per row")
    wanted = [*RECORD_COLUMNS[1:], "visitor_id"]
    frame = records.reindex(columns=["record_id", *wanted]).rename(columns={"record_id": "record_key"})
    for column in frame.columns:
        codes, distinct = pd.factorize(frame[column], use_na_sentinel=True)
        plain = pd.Series([*(text(value) for value in distinct.tolist()), None], dtype=object).to_numpy()
        frame[column] = plain[codes]
    empty = frame["record_key"].isna()
    if empty.any():
        raise ValueError(f"column record_id is empty in row {int(empty.to_numpy().argmax()) + 1}")
    repeated = frame["record_key"].duplicated()
    if repeated.any():
        raise ValueError(
            f"column record_id repeats a value in row {int(repeated.to_numpy().argmax()) + 1}"
            f" ({int(repeated.sum())} repeated rows in all)"
        )
    return frame.assign(kind="record", source=frame["source"].fillna("table"))


def _labels(wh: Warehouse, rules: config.Identity) -> pd.DataFrame:
    """record_id, label, by_device: records that carry nothing but a cookie go with its owner."""
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE cookies AS SELECT g.record_key, g.visitor_id, c.cluster AS label,"
        " (c.node IN (SELECT node FROM customers.identity_keys)) AS identified FROM given_records g"
        " JOIN customers.identity_records r USING (record_key) JOIN customers.identity_clusters c USING"
        " (node)"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE devices AS SELECT DISTINCT visitor_id, false AS is_bot FROM cookies"
        " WHERE visitor_id IS NOT NULL"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE votes AS SELECT visitor_id, label, 1 AS weight FROM cookies"
        " WHERE visitor_id IS NOT NULL AND identified"
    )
    attach(wh, rules.devices)
    return wh.df(
        "SELECT c.record_key AS record_id, o.visitor_id IS NOT NULL AS by_device,"
        # what nobody owns is one anonymous customer per device
        " CASE WHEN o.visitor_id IS NULL THEN c.label ELSE coalesce(o.label,"
        " min(c.label) OVER (PARTITION BY o.visitor_id)) END AS label FROM cookies c"
        " LEFT JOIN owners o ON o.visitor_id = c.visitor_id AND NOT c.identified ORDER BY record_id"
    )
