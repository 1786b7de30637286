"""Orders, feedback, touchpoints, stages and customers on a few hand-made rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from cja_pipeline.customers.build import build_all
from cja_pipeline.customers.sentiment import reader
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import AS_OF, SECRET, at, put, warehouse

ANNA = {
    "contact_id": "1",
    "login_id": "U1",
    "email": "anna@web.de",
    "country": "DE",
    "created_at": at("1 08:00"),
}


def order(number: str, clock: str, gross: float = 100, **more: object) -> dict:
    return {
        "crm_order_id": f"c{number}",
        "order_id": number,
        "contact_id": "1",
        "ordered_at": at(clock),
        "gross_revenue": gross,
        **more,
    }


def built(**tables: list[dict]) -> Warehouse:
    wh = warehouse(**{"contacts": [ANNA], **tables})
    build_all(wh, SECRET, AS_OF)
    return wh


def test_orders_are_counted_once_in_one_currency() -> None:
    wh = built(
        crm_orders=[
            order("O1", "2 10:00", 100, discount=10, refund=20),
            order("O2", "3 10:00", 50, currency="CHF", exchange_rate=1.0625),
            order("O3", "4 10:00", 50, currency="GBP"),
            order("O4", "5 10:00", is_test=True),
            order("O5", "5 11:00", is_canceled=True),
            order("O6", "6 10:00", sales_channel="store"),
            order("O7", "7 10:00", currency="XXX", exchange_rate=1.0),
            # two CRM records of one order: the later version counts
            order("O8", "8 10:00", 10, crm_order_id="k1", updated_at="2026-11-09"),
            order("O8", "8 10:00", 30, crm_order_id="k2", updated_at="2026-11-10"),
        ],
        web_events=[
            {
                "occurred_at": at("2 10:00"),
                "event_name": "purchase",
                "order_id": "O1",
                "value": 90,
                "currency": "EUR",
            },
            {
                "occurred_at": at("2 10:01"),
                "event_name": "purchase",
                "order_id": "O1",
                "value": 90,
                "currency": "EUR",
            },
            {
                "occurred_at": at("9 10:00"),
                "event_name": "purchase",
                "order_id": "W9",
                "value": 44,
                "currency": "EUR",
            },
            {
                "occurred_at": at("5 10:00"),
                "event_name": "purchase",
                "order_id": "O4",
                "value": 99,
                "currency": "EUR",
            },
        ],
    )
    rows = wh.sql(
        "SELECT order_id, net_revenue, money_status, is_first_order, in_crm, in_web, web_reports "
        "FROM customers.orders ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("O1", Decimal("70.00"), "ok", True, True, True, 2),
        ("O2", Decimal("53.13"), "ok", False, True, False, 0),
        ("O3", None, "missing_exchange_rate", False, True, False, 0),
        ("O6", Decimal("100.00"), "ok", False, True, False, 0),
        ("O7", None, "missing_currency", False, True, False, 0),
        ("O8", Decimal("30.00"), "ok", False, True, False, 0),
        ("W9", Decimal("44.00"), "ok", False, False, True, 1),
    ]
    assert wh.sql("SELECT order_id, reason FROM customers.orders_excluded ORDER BY 1").fetchall() == [
        ("O4", "test"),
        ("O5", "canceled"),
    ]
    assert wh.scalar("SELECT count(*) FROM customers.orders WHERE currency <> 'EUR'") == 0


def journey(wh: Warehouse) -> list[tuple]:
    return wh.sql(
        "SELECT touchpoint_type, state, stage, stage_rule FROM customers.touchpoints ORDER BY sequence"
    ).fetchall()


def test_stages_follow_the_customer() -> None:
    web = [
        ("2 10:00", "session_start"),
        ("2 10:01", "view_item"),
        ("2 10:02", "view_item"),
        ("2 10:03", "scroll"),
        ("3 10:00", "session_start"),
        ("3 10:05", "begin_checkout"),
        ("4 10:00", "session_start"),
    ]
    wh = built(
        web_events=[{"occurred_at": at(clock), "event_name": name, "login_id": "U1"} for clock, name in web],
        crm_orders=[order("O1", "3 10:06")],
        tickets=[
            {"ticket_id": "t", "contact_id": "1", "created_at": at("5 10:00"), "subject": "Hi", "body": ""}
        ],
        surveys=[
            {
                "submission_id": "s",
                "contact_id": "1",
                "survey_type": "NPS",
                "score": 9,
                "submitted_at": at("6 10:00"),
            },
            {
                "submission_id": "r",
                "contact_id": "1",
                "survey_type": "NPS",
                "score": 8,
                "submitted_at": at("7 10:00"),
            },
        ],
    )
    assert journey(wh) == [
        ("visit", "new", "awareness", "first_contact"),
        ("product_view", "new", "awareness", "first_contact"),
        ("product_view", "new", "consideration", "looks_closer"),
        ("visit", "considering", "consideration", "still_considering"),
        ("begin_checkout", "considering", "purchase", "checkout"),
        ("purchase", "considering", "purchase", "order"),
        ("visit", "customer", "retention", "comes_back"),
        ("ticket", "customer", "retention", "service"),
        ("nps", "customer", "advocacy", "promoter"),
        ("nps", "customer", "retention", "service"),
    ]
    spells = wh.sql(
        "SELECT stage, entered_at, exited_at, rule_id, touchpoints FROM customers.stage_spells ORDER BY spell"
    ).fetchall()
    assert spells == [
        ("awareness", at("2 10:00"), at("2 10:02"), "first_contact", 2),
        ("consideration", at("2 10:02"), at("3 10:05"), "looks_closer", 2),
        ("purchase", at("3 10:05"), at("4 10:00"), "checkout", 2),
        ("retention", at("4 10:00"), at("6 10:00"), "comes_back", 2),
        ("advocacy", at("6 10:00"), at("7 10:00"), "promoter", 1),
        ("retention", at("7 10:00"), None, "service", 1),
    ]
    row = wh.sql(
        "SELECT stage, highest_stage, orders, last_nps, open_tickets FROM customers.customers"
    ).fetchall()
    assert row == [("retention", "advocacy", 1, 8.0, 1)]


def test_every_touchpoint_has_its_customer_and_machines_have_none() -> None:
    wh = built(
        web_events=[
            {"visitor_id": "bot", "occurred_at": at("2 10:00") + dt.timedelta(milliseconds=50 * n)}
            for n in range(200)
        ],
        email_events=[
            {
                "occurred_at": at("2 09:00"),
                "event_type": "received",
                "profile_id": "P1",
                "email": "anna@web.de",
            },
            {
                "occurred_at": at("2 09:01"),
                "event_type": "opened",
                "profile_id": "P1",
                "is_machine_open": True,
            },
            {
                "occurred_at": at("2 09:02"),
                "event_type": "opened",
                "profile_id": "P1",
                "is_machine_open": False,
            },
            {"occurred_at": at("2 09:03"), "event_type": "bounced", "profile_id": "P1"},
        ],
        social_comments=[
            {
                "comment_id": "k",
                "author_id": "a",
                "occurred_at": at("3 10:00"),
                "message": "Love it, great shop!",
            }
        ],
    )
    rows = wh.sql(
        "SELECT touchpoint_type, department, channel FROM customers.touchpoints ORDER BY occurred_at"
    ).fetchall()
    assert rows == [
        ("email_received", "Marketing", "Email"),
        ("email_opened", "Marketing", "Email"),
        ("comment", "Social media", "Organic Social"),
    ]
    flags = wh.sql("SELECT is_known, is_bot, sources FROM customers.customers ORDER BY 3").fetchall()
    assert flags == [(True, False, "crm, email"), (False, False, "social"), (False, True, "web_analytics")]
    opens = wh.sql("SELECT delivered, opens, machine_opens, bounces FROM customers.media").fetchall()
    assert opens == [(1, 1, 1, 1)]


def test_referral_goes_to_who_invited() -> None:
    wh = built(
        contacts=[
            {**ANNA, "referral_code": "ANNA1", "referred_by_code": "ANNA1"},
            {"contact_id": "2", "created_at": at("4 10:00"), "referred_by_code": "ANNA1"},
            {"contact_id": "3", "created_at": at("4 10:00"), "referred_by_code": "NOBODY"},
            {"contact_id": "5", "created_at": dt.datetime(2199, 1, 1), "referred_by_code": "ANNA1"},  # noqa: DTZ001
        ]
    )
    rows = wh.sql(
        "SELECT t.touchpoint_type, t.stage, l.record_key FROM customers.touchpoints t "
        "JOIN customers.identity_links l USING (customer_id)"
    ).fetchall()
    assert rows == [("referral", "advocacy", "contact:1")]


def test_opt_out_spreads_and_opt_in_does_not() -> None:
    yes, no = {"consent_marketing": True}, {"consent_marketing": False}
    cases = [
        ([yes, no], (None, False)),
        ([yes, {}], (None, True)),
        ([{**yes, "email_opt_out": True}, {}], (None, False)),
        ([{}, {}], (None, None)),
        ([{"consent_analytics": False}, {"consent_analytics": True}], (False, None)),
    ]
    contacts = [
        {"contact_id": f"k{case}-{place}", "merged_contact_ids": f"k{case}-0;k{case}-1", **answer}
        for case, (answers, _) in enumerate(cases)
        for place, answer in enumerate(answers)
    ]
    wh = built(contacts=contacts)
    rows = wh.sql(
        "SELECT min(l.record_key), min(consent_analytics), min(consent_marketing) FROM customers.customers "
        "JOIN customers.identity_links l USING (customer_id) GROUP BY customer_id ORDER BY 1"
    ).fetchall()
    assert [row[1:] for row in rows] == [expected for _, expected in cases]


def test_who_can_be_mailed() -> None:
    """Leaving the list holds for all addresses of a customer; a dead address only if there is no other."""
    addresses = {"left": "unsubscribed", "dead": "bounced", "back": "reachable", "flag": "unsubscribed"}
    mails = [
        ("left", "received", 1, None),
        ("left", "unsubscribed", 2, None),
        ("dead", "received", 1, None),
        ("dead", "bounced", 2, "hard"),
        ("back", "bounced", 1, "hard"),
        ("back", "received", 2, None),
        ("soft", "received", 1, None),
        ("soft", "bounced", 2, "soft"),
    ]
    wh = built(
        contacts=[
            {"contact_id": name, "email": f"{name}@mail.example", "email_opt_out": name == "flag"}
            for name in addresses
        ]
        + [{"contact_id": "none", "login_id": "U1"}],
        email_events=[
            {
                "event_id": f"{name}{day}",
                "profile_id": name,
                "email": f"{name}@mail.example",
                "event_type": kind,
                "occurred_at": at(f"{day} 10:00"),
                "bounce_type": bounce,
            }
            for name, kind, day, bounce in mails
        ],
    )
    rows = wh.sql(
        "SELECT min(l.record_key), min(c.email_status) FROM customers.customers c "
        "JOIN customers.identity_links l USING (customer_id) "
        "WHERE l.kind IN ('contact', 'profile') GROUP BY customer_id"
    ).fetchall()
    found = {key.split(":")[1]: status for key, status in rows}
    assert found == {**addresses, "soft": "reachable", "none": "no_address"}


def test_nobody_invites_themselves() -> None:
    anna_again = {
        "contact_id": "4",
        "created_at": at("4 10:00"),
        "merged_contact_ids": "1;4",
        "referred_by_code": "ANNA1",
    }
    wh = built(
        contacts=[
            {**ANNA, "referral_code": "ANNA1"},
            anna_again,
            {"contact_id": "2", "referred_by_code": "ANNA1"},
            {"contact_id": "3", "referred_by_code": "NOBODY"},
        ]
    )
    rows = wh.sql(
        "SELECT min(l.record_key), bool_or(c.is_referred) FROM customers.customers c "
        "JOIN customers.identity_links l USING (customer_id) GROUP BY customer_id ORDER BY 1"
    ).fetchall()
    assert rows == [("contact:1", False), ("contact:2", True), ("contact:3", False)]
    assert wh.count("customers.referrals") == 0  # when the second contact came is not known


def test_building_again_gives_equal_tables() -> None:
    tables = {
        "web_events": [
            {"occurred_at": at("2 10:00"), "visitor_id": f"v{n}", "login_id": "U1" if n else None}
            for n in range(4)
        ],
        "crm_orders": [order("O1", "2 10:00"), order("O2", "2 10:00")],
    }
    wh = built(**tables)
    names = ["sessions", "orders", "touchpoints", "stage_spells", "customers", "customer_identifiers"]
    first = {name: wh.sql(f"SELECT * FROM customers.{name} ORDER BY ALL").fetchall() for name in names}
    put(wh, "web_events", list(reversed(tables["web_events"])))
    build_all(wh, SECRET, AS_OF)
    # the events were numbered anew, which is what their ids are made of here
    for name in ("sessions", "orders", "customers", "customer_identifiers"):
        assert wh.sql(f"SELECT * FROM customers.{name} ORDER BY ALL").fetchall() == first[name]
    for name in names:
        key = ", ".join(TABLES[f"customers.{name}"].key)
        assert wh.scalar(f"SELECT count(*) - count(DISTINCT ({key})) FROM customers.{name}") == 0


def test_an_empty_warehouse_builds() -> None:
    wh = warehouse()
    rows = build_all(wh, SECRET, AS_OF)
    assert set(rows.values()) == {0}


@pytest.mark.parametrize(
    ("text", "language", "sign", "status"),
    [
        ("Great service, arrived in two days, thank you!", "en", 1, "scored"),
        ("The checkout keeps crashing and nobody answers. Terrible.", "en", -1, "scored"),
        ("When will my order arrive?", "en", 0, "scored"),
        ("Seit Wochen keine Antwort, ich bin sehr enttäuscht.", "de", -1, "scored"),
        ("Keine Probleme, alles bestens, danke!", "de", 1, "scored"),
        ("Das ist nicht gut.", "de", -1, "scored"),
        ("Wann kommt meine Bestellung an?", "de", 0, "scored"),
        ("Le produit est arrivé cassé et je suis très déçu.", "en", None, "unsupported_language"),
        ("Bardzo dobry sklep i szybka dostawa", None, None, "unsupported_language"),
        ("  ", "en", None, "empty"),
        (None, None, None, "empty"),
        ("😡", None, -1, "unsupported_language"),
    ],
)
def test_sentiment(text: str | None, language: str | None, sign: int | None, status: str) -> None:
    score, found, _ = reader().sentiment(text, language)
    assert found == status
    if status == "scored":
        assert score is not None
        assert (score > 0.05) - (score < -0.05) == sign
    else:
        assert score is None


@pytest.mark.parametrize(
    ("text", "topic", "device"),
    [
        ("Where is my parcel? The tracking shows nothing.", "delivery", None),
        ("Die Kasse stürzt auf dem Handy ab, ich kann nicht bezahlen", "checkout", "mobile"),
        ("Still waiting for my refund", "returns", None),
        ("Hello there", "other", None),
        (None, "other", None),
    ],
)
def test_topic_and_device(text: str | None, topic: str, device: str | None) -> None:
    assert reader().topic(text) == topic
    assert reader().device(text) == device
