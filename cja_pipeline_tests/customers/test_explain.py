"""Why records are one customer, and why not; who was merged; what the golden record chose."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.customers.golden import write_rules
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline.customers.identity.explain import explain_customer, explain_pair, mask
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import SECRET, at, put, warehouse

MAIL = {"occurred_at": at("2 10:00"), "event_type": "received"}
ANNA = {
    "contact_id": "1",
    "email": "anna@web.de",
    "login_id": "U1",
    "first_name": "Anna",
    "last_name": "Koch",
}
BERT = {"contact_id": "2", "email": "anna@web.de", "first_name": "Bert", "last_name": "Rau"}


def shop() -> Warehouse:
    wh = warehouse(
        contacts=[{**ANNA, "country": "DE", "updated_at": at("1 10:00")}, BERT],
        email_events=[
            {**MAIL, "profile_id": "P1", "login_id": "U1", "first_name": "Anne", "last_name": "Koch"},
            {**MAIL, "profile_id": "P2", "email": "anna@web.de", "first_name": "Anna", "last_name": "Koch"},
        ],
        web_events=[{"visitor_id": "v1", "login_id": "U1", "occurred_at": at("3 10:00")}],
    )
    resolve_warehouse(wh, SECRET)
    wh.ensure("customers.sessions")
    write_rules(wh)
    wh.build("customers.golden_values")
    wh.build("customers.identity_evidence")
    return wh


def anna(wh: Warehouse) -> str:
    return str(wh.scalar("SELECT customer_id FROM customers.identity_links WHERE record_key = 'contact:1'"))


def test_a_customer_and_what_ties_the_records() -> None:
    wh = shop()
    story = explain_customer(wh, anna(wh))
    ties = {row["record"]: row["tied_by"] for row in story.records}
    assert sorted(ties) == ["contact:1", "login:U1", "profile:P1", "profile:P2", "visitor:v1"]
    assert ties["visitor:v1"] == ["device: all logins and orders on it are theirs"]
    assert any("the same login (crm, email)" in tie or "the same login" in tie for tie in ties["profile:P1"])
    assert any(tie.startswith("contact:1: score of") and "bits" in tie for tie in ties["profile:P2"])
    # every tie is one of the strongest links: as many as connect the records that are no devices
    assert sum(len(told) for told in ties.values()) == 2 * 3 + 1
    assert all(row["since"] for row in story.records)
    refused = [row for row in story.refused if "contact:2" in (row["record"], row["other"])]
    assert refused
    assert "conflicting first names" in {row["why"] for row in refused}


def test_values_are_masked_unless_asked_for() -> None:
    wh = shop()
    customer = anna(wh)
    told = str(explain_customer(wh, customer).golden)
    assert "anna@web.de" not in told
    assert "Koch" not in told
    golden = {row["attribute"]: row for row in explain_customer(wh, customer, values=True).golden}
    # the CRM is believed before the mailing list; what it says there is kept
    assert (golden["first_name"]["value"], golden["first_name"]["lost"]) == ("Anna", "Anne (email)")
    assert golden["country"]["from"] == "crm contact:1"
    assert [mask("anna@web.de"), mask("Koch")] == ["a…@web.de", "K…"]


def test_pairs() -> None:
    wh = shop()
    direct = explain_pair(wh, "contact:1", "profile:P2")
    assert direct.together
    assert direct.verdict.startswith("One customer, by score of")
    parts = {row["compared"]: row for row in direct.parts}
    assert parts["emails"]["they are"] == parts["first_name"]["they are"] == "equal"
    added = [row["adds bits"] for name, row in parts.items() if name != "together"]
    assert parts["any two records"]["adds bits"] < 0
    assert sum(added) == pytest.approx(parts["together"]["adds bits"], abs=0.5)  # each is rounded
    assert parts["together"]["adds bits"] == pytest.approx(direct.link["weight"], abs=0.06)  # type: ignore[index]
    way = explain_pair(wh, "profile:P1", "profile:P2")
    assert way.together
    assert way.path[0]["record"] == "profile:P1"
    assert way.path[-1]["other"] == "profile:P2"
    assert [a["other"] for a in way.path[:-1]] == [b["record"] for b in way.path[1:]]
    apart = explain_pair(wh, "contact:1", "contact:2")
    assert not apart.together
    assert "conflicting first names" in apart.verdict
    device = explain_pair(wh, "visitor:v1", "contact:2")
    assert device.verdict.endswith("Devices never merge people.")
    never = explain_pair(wh, "contact:2", "profile:P1")
    assert never.verdict.startswith("Two customers")
    with pytest.raises(KeyError, match="there is no record 'nobody'"):
        explain_pair(wh, "contact:1", "nobody")


def test_merged_ids_lead_to_the_customer_of_today() -> None:
    contact = {"contact_id": "1", "email": "anna@web.de", "first_name": "Anna", "created_at": at("1 10:00")}
    mail = {**MAIL, "profile_id": "P1", "email": "a.k@firma.de"}
    wh = warehouse(contacts=[contact], email_events=[mail])
    resolve_warehouse(wh, SECRET, at("3 03:00"))
    before = dict(wh.sql("SELECT record_key, customer_id FROM customers.identity_links").fetchall())
    put(wh, "contacts", [{**contact, "login_id": "U1"}])
    put(wh, "email_events", [mail, {**mail, "login_id": "U1", "occurred_at": at("3 10:00")}])
    resolve_warehouse(wh, SECRET, at("4 03:00"))
    kept, ended = before["contact:1"], before["profile:P1"]
    with pytest.raises(KeyError, match=f"it was merged into {kept}"):
        explain_customer(wh, ended)
    history = explain_customer(wh, kept).history
    assert [row["what"] for row in history] == [f"1 records of {ended} came to {kept}"]
    with pytest.raises(KeyError, match="there is no customer 'nobody'"):
        explain_customer(wh, "nobody")


def test_the_published_evidence_names_nobody() -> None:
    wh = shop()
    table = TABLES["customers.identity_evidence"]
    assert table.published
    assert not table.pii_columns
    text = wh.read("customers.identity_evidence").to_csv()
    assert not [secret for secret in ("anna@", "Koch", "U1", "P2", "contact:") if secret in text]
    rows = wh.sql(
        "SELECT verdict, count(*) FROM customers.identity_evidence GROUP BY verdict ORDER BY verdict"
    ).fetchall()
    assert dict(rows)["accepted"] >= 3
    assert wh.scalar("SELECT count(*) FROM customers.identity_evidence WHERE verdict = 'vetoed'") >= 1


def test_the_commands(home: object) -> None:
    path = get_settings().prepare().warehouse_path
    source = shop()
    with Warehouse(path) as wh:
        for name in ("links", "edges", "records", "log"):
            frame = source.df(f"SELECT * FROM customers.identity_{name}")
            wh.connection.register("copied", frame)
            wh.execute(f"CREATE TABLE customers.identity_{name} AS SELECT * FROM copied")
        for name in ("visitor_map", "golden_values"):
            wh.connection.register("copied", source.df(f"SELECT * FROM customers.{name}"))
            wh.execute(f"CREATE TABLE customers.{name} AS SELECT * FROM copied")
    customer = anna(source)
    shown = CliRunner().invoke(main, ["explain", "customer", customer])
    assert shown.exit_code == 0, shown.output
    assert "profile:P2" in shown.output
    assert "anna@web.de" not in shown.output
    full = CliRunner().invoke(main, ["explain", "customer", customer, "--show-values", "--json"])
    assert "anna@web.de" in {row["value"] for row in json.loads(full.output)["golden"]}
    missing = CliRunner().invoke(main, ["explain", "customer", "nobody"])
    assert (missing.exit_code, "no customer" in missing.output) == (1, True)
    nothing = CliRunner().invoke(main, ["explain", "pair", "contact:1", "nobody"])
    assert nothing.exit_code == 1
