"""Resolving a warehouse: devices, ids that stay, the log, and nothing personal outside tagged columns."""

from __future__ import annotations

import pandas as pd
import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline.customers.identity.devices import attach, is_bot
from cja_pipeline.customers.identity.ids import assign
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import AS_OF, SECRET, at, put, warehouse

IDENTITY_TABLES = (
    "identity_links",
    "visitor_map",
    "customer_identifiers",
    "identity_log",
    "identity_edges",
    "identity_values",
    "identity_pairs",
)


def visit(visitor: str, clock: str, login: str | None = None, **more: object) -> dict:
    return {
        "visitor_id": visitor,
        "occurred_at": at(clock),
        "login_id": login,
        "ga_session_id": clock,
        **more,
    }


def customers(wh: Warehouse) -> dict[str, str]:
    return dict(wh.sql("SELECT record_key, customer_id FROM customers.identity_links").fetchall())


def rules(wh: Warehouse) -> dict[str, str]:
    return dict(wh.sql("SELECT visitor_id, rule FROM customers.visitor_map").fetchall())


def test_device_rules() -> None:
    kiosk = [visit("kiosk", f"3 10:{n:02d}", f"U{n}") for n in range(5)]
    family = [visit("family", f"{day} 10:00", "U1") for day in range(1, 9)] + [
        visit("family", "9 10:00", "U2")
    ]
    torn = [visit("torn", "1 10:00", "U1"), visit("torn", "2 10:00", "U2")]
    bot = [visit("bot", f"4 10:{n // 60:02d}:{n % 60:02d}", f"U{n}") for n in range(40)]
    wh = warehouse(
        web_events=[*kiosk, *family, *torn, *bot, visit("own", "5 10:00", "U3"), visit("new", "5 10:00")]
    )
    resolve_warehouse(wh, SECRET)
    assert rules(wh) == {
        "kiosk": "shared",
        "family": "dominant",
        "torn": "shared",
        "bot": "bot",
        "own": "sole",
        "new": "anonymous",
    }
    found = customers(wh)
    assert found["visitor:family"] == found["login:U1"]
    assert found["visitor:own"] == found["login:U3"]
    others = [found[f"visitor:{name}"] for name in ("kiosk", "torn", "bot", "new")]
    assert len({*others, *(found[f"login:U{n}"] for n in range(5))}) == 9
    # logins that only a machine tried are no customers
    assert "login:U39" not in found


def test_orders_tell_whose_device_it_is() -> None:
    wh = warehouse(
        web_events=[visit("v1", "5 10:00", event_name="purchase", order_id="O1"), visit("v2", "5 10:00")],
        contacts=[{"contact_id": "7", "email": "anna@web.de"}],
        crm_orders=[{"crm_order_id": "c1", "order_id": "O1", "contact_id": "7", "ordered_at": at("5 10:00")}],
    )
    resolve_warehouse(wh, SECRET)
    found = customers(wh)
    assert found["visitor:v1"] == found["contact:7"] != found["visitor:v2"]


def test_attach_is_by_share_of_evidence() -> None:
    with Warehouse(":memory:") as wh:
        wh.execute("CREATE TEMP TABLE devices AS SELECT unnest(['a', 'b', 'c']) AS visitor_id, false is_bot")
        wh.execute(
            "CREATE TEMP TABLE votes AS SELECT * FROM (VALUES ('a', 1, 8), ('a', 2, 2), ('b', 1, 79),"
            " ('b', 2, 21)) AS v (visitor_id, label, weight)"
        )
        attach(wh, identity().devices)
        found = wh.df("SELECT * FROM owners").set_index("visitor_id").sort_index()
        assert found["rule"].to_dict() == {"a": "dominant", "b": "shared", "c": "anonymous"}
        assert found.loc["a", "share"] == 0.8
        assert found["label"].fillna(-1).to_dict() == {"a": 1, "b": -1, "c": -1}
        tries = "SELECT {} FROM (VALUES (20, 20), (21, 21), (301, 1)) AS v (logins, logins_per_hour)"
        bots = wh.sql(tries.format(is_bot(identity().devices))).fetchall()
        assert [row[0] for row in bots] == [False, True, True]


def test_second_run_changes_nothing() -> None:
    wh = warehouse(
        web_events=[visit("v1", "5 10:00", "U1"), visit("v2", "6 10:00")],
        contacts=[{"contact_id": "7", "login_id": "U1", "created_at": at("1 10:00")}],
    )
    resolve_warehouse(wh, SECRET)
    first = [wh.df(f"SELECT * FROM customers.{name} ORDER BY ALL") for name in IDENTITY_TABLES]
    resolve_warehouse(wh, SECRET)
    for name, before in zip(IDENTITY_TABLES, first, strict=True):
        pd.testing.assert_frame_equal(wh.df(f"SELECT * FROM customers.{name} ORDER BY ALL"), before)


def test_ids_are_inherited_and_changes_logged() -> None:
    anna = {"contact_id": "1", "email": "anna@web.de", "first_name": "Anna", "created_at": at("1 10:00")}
    mail = {
        "occurred_at": at("2 10:00"),
        "event_type": "received",
        "profile_id": "P1",
        "email": "a.m@firma.de",
    }
    wh = warehouse(contacts=[anna], email_events=[mail], web_events=[visit("v1", "1 09:00")])
    resolve_warehouse(wh, SECRET, at("3 03:00"))
    first = customers(wh)
    assert len(set(first.values())) == 3
    # Anna logs in on her device and adds her other address: all three are one
    put(wh, "contacts", [{**anna, "login_id": "U1"}])
    put(wh, "email_events", [mail, {**mail, "login_id": "U1", "occurred_at": at("3 10:00")}])
    put(wh, "web_events", [visit("v1", "1 09:00"), visit("v1", "3 09:00", "U1")])
    resolve_warehouse(wh, SECRET, at("4 03:00"))
    second = customers(wh)
    assert set(second.values()) == {first["contact:1"]}, "the known and older id stays"
    log = wh.sql(
        "SELECT event, customer_id, other_customer_id, records FROM customers.identity_log ORDER BY 3"
    ).fetchall()
    kept = first["contact:1"]
    assert log == sorted(
        [("merge", kept, first["profile:P1"], 1), ("merge", kept, first["visitor:v1"], 1)],
        key=lambda row: row[2],
    )
    # the profile turns out to be somebody else's
    put(wh, "email_events", [mail])
    resolve_warehouse(wh, SECRET, at("5 03:00"))
    third = customers(wh)
    assert third["contact:1"] == third["visitor:v1"] == kept
    assert third["profile:P1"] == first["profile:P1"], "the view returns to what it would have been"
    split = wh.sql(
        "SELECT customer_id, other_customer_id FROM customers.identity_log WHERE event = 'split'"
    ).fetchall()
    assert split == [(third["profile:P1"], kept)]
    since = wh.sql("SELECT since FROM customers.identity_links WHERE record_key = 'contact:1'").fetchall()
    assert since == [(at("3 03:00"),)]


@pytest.mark.parametrize("older", ["x", "y"])
def test_merge_keeps_the_older_id(older: str) -> None:
    members = pd.DataFrame(
        {
            "record_key": ["contact:1", "contact:2"],
            "kind": "contact",
            "label": 0,
            "first_seen_at": pd.Timestamp("2026-01-01"),
        }
    )
    since = {"x": "2026-02-01", "y": "2026-02-01", older: "2026-01-01"}
    previous = pd.DataFrame(
        {
            "record_key": ["contact:1", "contact:2"],
            "customer_id": ["x", "y"],
            "since": pd.to_datetime([since["x"], since["y"]]),
        }
    )
    found = assign(members, previous, Keyring(SECRET))
    assert found.customer_ids.to_dict() == {0: older}
    assert found.log[["event", "customer_id"]].to_numpy().tolist() == [["merge", older]]


def test_split_leaves_the_id_with_the_larger_part() -> None:
    keys = [f"contact:{n}" for n in range(5)]
    members = pd.DataFrame(
        {
            "record_key": keys,
            "kind": "contact",
            "label": [0, 0, 1, 1, 1],
            "first_seen_at": pd.Timestamp("2026-01-01"),
        }
    )
    previous = pd.DataFrame({"record_key": keys, "customer_id": "x", "since": pd.Timestamp("2026-01-01")})
    found = assign(members, previous, Keyring(SECRET))
    assert found.customer_ids[1] == "x" != found.customer_ids[0]
    assert found.log["event"].tolist() == ["split"]
    assert found.log["records"].tolist() == [2]


def test_no_personal_data_in_untagged_columns() -> None:
    secrets = [
        "anna@web.de",
        "+491712345678",
        "0171 2345678",
        "Anna",
        "Meier",
        "U777",
        "123.456",
        "1985-04-03",
    ]
    wh = warehouse(
        web_events=[visit("123.456", "5 10:00", "U777")],
        contacts=[
            {
                "contact_id": "1",
                "email": "anna@web.de",
                "phone": "0171 2345678",
                "first_name": "Anna",
                "last_name": "Meier",
                "login_id": "U777",
                "birth_date": "1985-04-03",
                "created_at": AS_OF,
            },
            {"contact_id": "2", "email": "anna@web.de"},
        ],
    )
    figures = resolve_warehouse(wh, SECRET)
    assert not any(secret in str(figures) for secret in secrets)
    for name in IDENTITY_TABLES:
        table = TABLES[f"customers.{name}"]
        frame = wh.read(table.full_name).drop(columns=table.pii_columns)
        text = frame.to_csv()
        assert not [secret for secret in secrets if secret in text], name


def test_evidence_tells_why_and_why_not() -> None:
    wh = warehouse(
        contacts=[
            {"contact_id": "1", "email": "paar@web.de", "first_name": "Bert"},
            {"contact_id": "2", "email": "anna@web.de", "first_name": "Anna", "phone": "0171 2345678"},
            {"contact_id": "3", "email": "anna@web.de", "first_name": "Anna"},
        ],
        surveys=[{"submission_id": "s1", "email": "paar@web.de", "submitted_at": at("5 10:00")}],
    )
    resolve_warehouse(wh, SECRET)
    rows = wh.sql(
        "SELECT least(record_key, other_key), greatest(record_key, other_key), rule, weight > 0, verdict, "
        "reason FROM customers.identity_edges ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("contact:1", "survey:s1", "score", True, "accepted", None),
        ("contact:2", "contact:3", "score", True, "refused", "different CRM ids"),
    ]
