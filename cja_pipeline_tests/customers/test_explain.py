"""Why records are one customer, and why not."""

from __future__ import annotations

import pytest

from cja_pipeline.customers.identity import explain, resolve_warehouse
from cja_pipeline_tests.customers.tables import SECRET, at, warehouse


def test_explanations() -> None:
    wh = warehouse(
        contacts=[
            {"contact_id": "1", "email": "anna@web.de", "login_id": "U1", "first_name": "Anna"},
            {"contact_id": "2", "email": "anna@web.de", "first_name": "Bert"},
        ],
        email_events=[
            {"occurred_at": at("2 10:00"), "event_type": "received", "profile_id": "P1", "login_id": "U1"}
        ],
        web_events=[{"visitor_id": "v1", "login_id": "U1", "occurred_at": at("3 10:00")}],
    )
    resolve_warehouse(wh, SECRET)
    customer = wh.scalar("SELECT customer_id FROM customers.identity_links WHERE record_key = 'contact:1'")
    told = explain.explain_customer(wh, customer).set_index("record_key")
    assert sorted(told.index) == ["contact:1", "login:U1", "profile:P1", "visitor:v1"]
    assert "login_id with" in told.loc["profile:P1", "tied_by"]
    assert told.loc["visitor:v1", "tied_by"] == "device: 100% of its logins and orders are this customer's"
    steps = explain.path_between(wh, "profile:P1", "login:U1")
    assert [step.rule for step in steps] in (["login_id"], ["login_id", "login_id"])
    assert steps[0].record_key == "profile:P1"
    assert steps[-1].other_key == "login:U1"
    assert explain.path_between(wh, "profile:P1", "contact:2") == []
    with pytest.raises(KeyError, match="there is no customer 'nobody'"):
        explain.explain_customer(wh, "nobody")
