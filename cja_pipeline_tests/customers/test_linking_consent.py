"""Consent of a record, of a link and of a customer: a refusal spreads, an agreement never does."""

from __future__ import annotations

import pytest

from cja_pipeline.customers import config
from cja_pipeline.customers.build import build_all
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline_tests.customers.tables import AS_OF, SECRET, at, put, warehouse

PERSON = {"email": "anna@web.de", "phone": "0171 2345678", "first_name": "Anna", "last_name": "Koch"}


def groups(monkeypatch: pytest.MonkeyPatch, linking: str, **consent: bool | None) -> list[set[str]]:
    """Who belongs together, of a contact with this consent and her records elsewhere."""
    rules = config.identity()
    asked = rules.model_copy(update={"consent": config.ConsentRules(linking=linking)})
    monkeypatch.setattr(config, "identity", lambda: asked)
    wh = warehouse(
        contacts=[{"contact_id": "1", "login_id": "U1", **PERSON, **consent}],
        crm_orders=[
            {"crm_order_id": "9", "order_id": "A9", "contact_id": "1", "email": "anna.k@firma.de",
             "ordered_at": at("2 10:00")},
        ],
        email_events=[
            {"occurred_at": at("2 10:00"), "event_type": "received", "profile_id": "P1", **PERSON},
            {"occurred_at": at("2 11:00"), "event_type": "received", "profile_id": "P2",
             "email": "anna.k@firma.de", "first_name": "Anna", "last_name": "Koch"},
        ],
        web_events=[
            {"visitor_id": "v1", "login_id": "U1", "occurred_at": at("3 10:00")},
            {"visitor_id": "v2", "order_id": "A9", "event_name": "purchase", "occurred_at": at("3 11:00")},
        ],
    )  # fmt: skip
    resolve_warehouse(wh, SECRET)
    links = wh.df("SELECT customer_id, record_key FROM customers.identity_links")
    return sorted((set(part) for _, part in links.groupby("customer_id")["record_key"]), key=sorted)


TOGETHER = {"contact:1", "order:9", "profile:P1", "profile:P2", "login:U1", "visitor:v1", "visitor:v2"}


def test_without_a_gate_everything_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups(monkeypatch, "none", consent_analytics=False) == [TOGETHER]


def test_who_refused_stays_alone_with_the_own_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    found = groups(monkeypatch, "consent_analytics", consent_analytics=False)
    assert {"contact:1", "order:9"} in found
    # what the others allow themselves goes on: the login and its device, the mailing list
    assert {"login:U1", "visitor:v1"} in found
    assert {"visitor:v2"} in found


@pytest.mark.parametrize("answer", [True, None])
def test_only_a_refusal_keeps_apart(monkeypatch: pytest.MonkeyPatch, answer: bool | None) -> None:
    assert groups(monkeypatch, "consent_analytics", consent_analytics=answer) == [TOGETHER]
    assert groups(monkeypatch, "consent_analytics", consent_analytics=answer, consent_marketing=False) == [
        TOGETHER
    ]


def test_withdrawal_takes_apart_and_agreement_joins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = config.identity()
    asked = rules.model_copy(update={"consent": config.ConsentRules(linking="consent_analytics")})
    monkeypatch.setattr(config, "identity", lambda: asked)
    profile = {"occurred_at": at("2 10:00"), "event_type": "received", "profile_id": "P1", **PERSON}
    wh = warehouse(email_events=[profile])
    told = []
    for answer in (True, False, True):
        put(wh, "contacts", [{"contact_id": "1", **PERSON, "consent_analytics": answer}])
        resolve_warehouse(wh, SECRET)
        told.append(wh.scalar("SELECT count(DISTINCT customer_id) FROM customers.identity_links"))
    assert told == [1, 2, 1]


def test_a_refusal_on_any_record_is_the_customers_and_an_answer_stays_its_own() -> None:
    def contact(name: str, **consent: bool) -> dict:
        return {"contact_id": name, "merged_contact_ids": f"{name};{name}2", "login_id": name,
                "created_at": at("1 10:00"), "updated_at": at("1 10:00"), **consent}  # fmt: skip

    def device(name: str, analytics: bool) -> dict:
        seen = {"visitor_id": f"v-{name}", "login_id": name, "occurred_at": at("3 10:00")}
        return {**seen, "consent_analytics": analytics}

    left = {"occurred_at": at("5 10:00"), "event_type": "unsubscribed", "profile_id": "P1", "login_id": "U4"}
    wh = warehouse(
        contacts=[
            contact("U1", consent_analytics=True),
            contact("U2", consent_analytics=True),
            contact("U3", consent_analytics=False),
            contact("U4", consent_marketing=True),
            {**contact("U42"), "merged_contact_ids": "U4;U42"},
        ],
        web_events=[device("U1", True), device("U2", False), device("U3", True)],
        email_events=[left],
    )
    build_all(wh, SECRET, AS_OF)
    answers = wh.sql(
        "SELECT l.record_key, c.consent_analytics, c.consent_marketing FROM customers.customers c"
        " JOIN customers.identity_links l USING (customer_id) WHERE l.kind = 'contact' ORDER BY 1"
    ).fetchall()
    assert answers == [
        ("contact:U1", True, None),
        ("contact:U2", False, None),
        ("contact:U3", False, None),
        ("contact:U4", None, False),
        ("contact:U42", None, False),
    ]
    spells = wh.sql(
        "SELECT record_key, granted, from_at FROM customers.consent_spells WHERE purpose = 'marketing'"
        " ORDER BY record_key"
    ).fetchall()
    # the second contact said nothing, and nobody else's answer becomes its own
    assert spells == [("contact:U4", True, at("1 10:00")), ("profile:P1", False, at("5 10:00"))]


@pytest.mark.parametrize("answers", [(True, False), (False, True)])
def test_of_a_yes_and_a_no_at_the_same_moment_the_no_counts(answers: tuple[bool, bool]) -> None:
    told = [
        {"visitor_id": "v1", "login_id": "U1", "occurred_at": at("3 10:00"), "consent_analytics": answer,
         "consent_marketing": answer}
        for answer in answers
    ]  # fmt: skip
    wh = warehouse(web_events=told)
    build_all(wh, SECRET, AS_OF)
    rows = wh.sql("SELECT consent_analytics, consent_marketing FROM customers.customers").fetchall()
    assert rows == [(False, False)]


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_names_at_the_same_moment_the_order_of_rows_decides_nothing(turned: bool) -> None:
    mails = [
        {"event_id": name, "occurred_at": at("2 10:00"), "event_type": "received", "profile_id": "P1",
         "first_name": name, "email": f"{name}@web.de"}
        for name in ("anna", "zoe")
    ]  # fmt: skip
    wh = warehouse(email_events=mails[::-1] if turned else mails)
    build_all(wh, SECRET, AS_OF)
    found = wh.sql("SELECT first_name, email FROM customers.email_profiles").fetchall()
    assert found == [("zoe", "zoe@web.de")]
