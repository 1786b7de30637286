"""Contacts that the CRM archived or deleted for good, compared with the truth of the simulated shop."""

from __future__ import annotations

import datetime as dt
import shutil

import httpx
import pytest

from cja_pipeline.privacy.vendor import note_deletions
from cja_pipeline.privacy.work import pending
from cja_pipeline.settings import get_settings
from cja_pipeline.sources import pull
from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.hubspot_deletions import deleted_contacts, known_contacts
from cja_pipeline.sources.registry import load_sources
from cja_pipeline.sources.window import Window
from cja_pipeline_tests.privacy.conftest import DAYS, START, Shop


def crm(shop: Shop, last: dt.date) -> list[str]:
    """Pull the CRM as it is on the night after `last`; the contacts it deleted for good."""
    night = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(2), tzinfo=dt.UTC)
    reports = pull(
        load_sources()["crm"],
        Window(last, last),
        night,
        shop.settings.landing_dir,
        world=shop.settings.world_dir,
    )
    return next(report.deleted for report in reports if report.stream == "contacts")


@pytest.fixture
def early(people: Shop) -> Shop:
    """The shop's CRM as it was landed on the third day."""
    shutil.rmtree(people.settings.landing_dir)
    assert crm(people, START + dt.timedelta(days=2)) == []
    return people


def test_deleted_contacts_are_found_and_merged_ones_are_not(early: Shop) -> None:
    known = known_contacts(early.settings.landing_dir)
    last = START + dt.timedelta(days=DAYS - 1)
    defects = early.truth("defects")
    erased = defects[defects["kind"] == "erased"]
    by_then = set(erased.loc[erased["day"] <= last, "key"])
    deleted = set(crm(early, last))
    # deletions before the first landing were never landed; those of the morning after count for the next day
    assert deleted >= by_then & known
    assert deleted <= set(erased["key"])
    assert len(deleted) >= 3
    merged = set(defects.loc[defects["kind"] == "merge", "key"])
    assert not merged & deleted


def test_a_deleted_contact_is_erased_and_stays_away(people: Shop) -> None:
    with people.open() as wh:
        contact, customer = wh.sql(
            "SELECT substr(record_key, 9), customer_id FROM customers.identity_links WHERE kind = 'contact' "
            "QUALIFY count(*) OVER (PARTITION BY customer_id) = 1 ORDER BY 1"
        ).fetchall()[0]
        assert note_deletions(people.settings, wh, [contact]) == 1
        assert note_deletions(people.settings, wh, [contact]) == 0
    (work,) = pending(people.settings)
    assert work.customer_id == customer
    assert work.reason == "deleted by the CRM"


def test_who_still_has_another_contact_did_not_leave(people: Shop) -> None:
    with people.open() as wh:
        (one, customer), (other, _) = wh.sql(
            "SELECT contact_id, customer_id FROM validated.contacts_current JOIN customers.identity_links "
            "ON record_key = concat('contact:', contact_id) WHERE email IS NOT NULL ORDER BY 1 LIMIT 2"
        ).fetchall()
        # two contacts with one address, and the night has seen that they are one person
        wh.execute(
            "UPDATE validated.contacts SET email = (SELECT any_value(email) FROM validated.contacts "
            "WHERE contact_id = ?) WHERE contact_id = ?",
            [one, other],
        )
        wh.execute(
            "UPDATE customers.identity_links SET customer_id = ? WHERE record_key = ?",
            [customer, f"contact:{other}"],
        )
        note_deletions(people.settings, wh, [one])
    (work,) = pending(people.settings)
    assert work.customer_id is None
    assert work.records == [f"contact:{one}"]
    assert work.values == [("crm_id", one)]


def test_a_fault_of_the_account_erases_nobody() -> None:
    def nothing(request: httpx.Request) -> httpx.Response:
        import json

        ids = [item["id"] for item in json.loads(request.content)["inputs"]]
        error = {"category": "OBJECT_NOT_FOUND", "context": {"ids": ids}}
        return httpx.Response(207, json={"results": [], "errors": [error]})

    def silent(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"results": []})

    for answer, known in ((nothing, 1000), (silent, 10)):
        with VendorClient(
            "https://crm.example",
            name="crm",
            token=lambda: "t",
            auth=lambda token: {},
            transport=httpx.MockTransport(answer),
        ) as client:
            assert deleted_contacts(client, "2026-09", [str(number) for number in range(known)]) == []


def test_an_archived_contact_is_in_no_audience(people: Shop) -> None:
    crm(people, START + dt.timedelta(days=DAYS + 6))
    people.rebuild()
    with people.open() as wh:
        archived = wh.sql(
            "SELECT DISTINCT l.customer_id FROM validated.contacts_current c JOIN customers.identity_links l "
            "ON l.record_key = concat('contact:', c.contact_id) GROUP BY 1 HAVING bool_and(c.archived)"
        ).fetchall()
        assert len(archived) >= 2
        allowed = wh.sql(
            "SELECT count(*) FROM customers.customers WHERE consent_marketing "
            "AND customer_id IN (SELECT unnest(?::VARCHAR[]))",
            [[row[0] for row in archived]],
        ).fetchall()
        assert allowed == [(0,)]
    assert get_settings().home == people.settings.home
