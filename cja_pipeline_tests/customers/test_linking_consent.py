"""Whoever refuses to be joined is joined with nothing, and nobody's agreement joins anybody else."""

from __future__ import annotations

import pytest

from cja_pipeline.customers import config
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline_tests.customers.tables import SECRET, at, warehouse

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
