"""Resolve everybody in the warehouse: records, devices, stable ids, and the tables that other models join."""

from __future__ import annotations

import datetime as dt
from importlib.resources import files
from pathlib import Path

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.customers import config
from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity import ids, outputs, unlink
from cja_pipeline.customers.identity.devices import attach, is_bot
from cja_pipeline.customers.identity.drift import refreshed
from cja_pipeline.customers.identity.intake import NODE, RECORD_COLUMNS
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.scored.model import current
from cja_pipeline.customers.identity.update import Update, update
from cja_pipeline.customers.inputs import EMAIL_PROFILES
from cja_pipeline.keyed import build_keyed
from cja_pipeline.warehouse import Warehouse


def resolve_warehouse(
    wh: Warehouse, secret: bytes, as_of: dt.datetime | None = None, home: Path | None = None
) -> dict[str, int | float | str]:
    """Resolve all records of the validated tables; identity's tables follow in one transaction.

    Only records that changed since the last run, and whom they concern, are compared again; the result is
    that of a run from nothing. Running twice on the same data changes nothing.

    Args:
        secret: key of all pseudonyms. as_of: time of the log entries (UTC); default ``config.params.as_of``.
        home: folder with the installation's models (``identity/``) and decisions (``decisions/``); without
            one the shipped model is used and nothing is unlinked.

    Returns:
        Figures for the run's report: counts only, no personal data.
    """
    rules, keyring = config.identity(), Keyring(secret)
    moment = as_of or wh.scalar("SELECT as_of FROM config.params")
    decisions = unlink.standing(home / "decisions" if home else None)
    models = home / "identity" if home else None
    model = current(models)
    with wh.transaction():
        _devices(wh, rules)
        _records(wh, rules)
        _gate(wh, rules)
        done = update(wh, "SELECT * FROM person_records", rules, keyring, model, moment, decisions)
        newer = refreshed(wh, rules, model, models)
        if newer is not None:
            model = newer
            done = update(wh, "SELECT * FROM person_records", rules, keyring, model, moment, decisions)
        _attach(wh, rules)
        _members(wh)
        log = ids.renew(wh, keyring, whole=done.whole)
        figures = outputs.write(wh, rules, keyring, moment, log)
        crashpoint("identity:before_commit")
    crashpoint("identity:committed")
    return {**figures, **_told(done), "identity_model": model.version}


def _told(done: Update) -> dict[str, int | float]:
    return {"records_moved": done.moved, "records_compared": done.touched, "records_grouped": done.reached}


def _sql(name: str) -> str:
    return (files("cja_pipeline.customers.identity") / f"{name}.sql").read_text(encoding="utf-8")


def _devices(wh: Warehouse, rules: Identity) -> None:
    """Temporary tables `devices` and `evidence` (not of machines that try passwords)."""
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE devices AS SELECT *, {is_bot(rules.devices)} AS is_bot"
        f" FROM ({_sql('devices')})"
    )
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE evidence AS SELECT * FROM ({_sql('evidence')}) e"
        " ANTI JOIN (SELECT visitor_id FROM devices WHERE is_bot) b USING (visitor_id)"
    )


def _records(wh: Warehouse, rules: Identity) -> None:
    """Temporary table `person_records`: those of all sources, and one per login seen on the web."""
    build_keyed(wh, EMAIL_PROFILES)
    empty = ", ".join(
        f"CAST(NULL AS VARCHAR) AS {column}"
        for column in ("crm_id", "merged_crm_ids", "loyalty_id", "email", "email_sha256", "phone", "mobile",
                       "first_name", "last_name", "birth_date", "country", "address", "postcode", "city")
    )  # fmt: skip
    junk = "lower(trim(login_id)) IN (SELECT unnest(?::VARCHAR[])) OR trim(login_id, '0- ') = ''"
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE person_records AS SELECT * FROM ({_sql('records')}) UNION ALL BY NAME"
        " SELECT record_key, 'login' AS kind, 'web_analytics' AS source, login_id,"
        f" min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at, {empty} FROM"
        " (SELECT *, substr(record_key, 7) AS login_id FROM evidence WHERE kind = 'login')"
        f" WHERE NOT ({junk}) GROUP BY record_key, login_id",
        [[value.casefold() for value in rules.junk_ids]],
    )


def _gate(wh: Warehouse, rules: Identity) -> None:
    """Contacts who refused to be joined, and their orders, keep only their CRM id; no device is theirs."""
    purpose = rules.consent.linking
    if purpose == "none":
        return
    refused = f"SELECT contact_id FROM validated.contacts_current WHERE NOT {purpose}"
    wh.execute(
        f"DELETE FROM evidence WHERE record_key IN (SELECT concat('contact:', contact_id) FROM ({refused}))"
    )
    joining = ", ".join(
        f"{column} = NULL" for column in RECORD_COLUMNS[3:] if column not in ("crm_id", "merged_crm_ids")
    )
    wh.execute(f"UPDATE person_records SET {joining} WHERE crm_id IN ({refused})")


def _attach(wh: Warehouse, rules: Identity) -> None:
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE votes AS SELECT e.visitor_id, c.cluster AS label, e.weight FROM"
        " evidence e"
        " JOIN customers.identity_records r USING (record_key) JOIN customers.identity_clusters c USING"
        " (node)"
    )
    attach(wh, rules.devices)


def _members(wh: Warehouse) -> None:
    """Temporary table `members`: all records and devices with their group (label)."""
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE members AS SELECT p.record_key, p.kind, p.source, c.cluster AS label,"
        " p.first_seen_at, p.last_seen_at FROM person_records p JOIN customers.identity_records r USING"
        " (record_key)"
        " JOIN customers.identity_clusters c USING (node) UNION ALL"
        f" SELECT record_key, 'visitor', 'web_analytics', coalesce(label, {NODE}), first_seen_at,"
        " last_seen_at"
        " FROM (SELECT concat('visitor:', d.visitor_id) AS record_key, o.label, d.first_seen_at,"
        " d.last_seen_at"
        " FROM devices d JOIN owners o USING (visitor_id))"
    )
