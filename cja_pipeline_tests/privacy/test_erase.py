"""Erasing people from the landing and the tables of a shop, compared with the truth about who is who."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.privacy import finish
from cja_pipeline.privacy.certificate import Certificate
from cja_pipeline.privacy.erase import note_erasure
from cja_pipeline.privacy.finish import finish_erasures
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.patterns import Scanner
from cja_pipeline.privacy.person import NobodyError, Person, SharedError, find_person
from cja_pipeline.privacy.scan import Residue, scan_files, scan_warehouse
from cja_pipeline.privacy.tombstones import FILE
from cja_pipeline.privacy.work import pending
from cja_pipeline.settings import get_settings
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import use_home
from cja_pipeline_tests.privacy.conftest import PEOPLE_TABLES, WINDOW, Shop
from cja_pipeline_tests.privacy.residue import places
from cja_pipeline_tests.validated import vendors as v

SOLE = ("contact", "email", "login", "profile", "loyalty")
CUSTOMER_TABLES = ("identity_links", "customer_identifiers", "sessions", "orders", "touchpoints", "feedback")


def person_of(shop: Shop, given: str, **options: bool) -> Person:
    with shop.open() as wh:
        return find_person(wh, Keys.of(shop.settings), given, **options)


def erase(shop: Shop, given: str) -> list[Certificate]:
    with shop.open() as wh:
        note_erasure(shop.settings, wh, find_person(wh, Keys.of(shop.settings), given), reason="request")
    shop.rebuild()
    with shop.open() as wh:
        return finish_erasures(shop.settings, wh)


def rich(shop: Shop) -> pd.Series:
    """The true person with most kinds of records in the shop: contact, mails, orders, visits with a login."""
    known = shop.truth("identifiers")
    contacts = known[known["kind"] == "contact"].drop_duplicates("person_id", keep=False)
    with shop.open() as wh:
        landed = wh.df(
            "SELECT c.contact_id AS value, c.email, (SELECT count(*) FROM validated.crm_orders o "
            "WHERE o.contact_id = c.contact_id) AS orders, (SELECT count(*) FROM validated.web_events e "
            "WHERE e.login_id = c.login_id) AS visits, (SELECT count(*) FROM validated.email_events e "
            "WHERE lower(e.email) = lower(c.email)) AS mails FROM validated.contacts_current c "
            "WHERE email IS NOT NULL AND NOT archived"
        )
    both = contacts.merge(landed, on="value")
    both["score"] = (both[["orders", "visits", "mails"]] > 0).sum(axis=1)
    return both.sort_values(["score", "orders", "visits"]).iloc[-1]


def true_identifiers(shop: Shop, person: str, kinds: Iterable[str] = SOLE) -> set[str]:
    """What only this person uses, by the truth."""
    known = shop.truth("identifiers")
    users = known.groupby("value")["person_id"].nunique()
    mine = known[(known["person_id"] == person) & known["kind"].isin(kinds)]
    return {value for value in mine["value"] if users[value] == 1}


def state(shop: Shop, without: str, *, seen: bool = True) -> dict[str, list[tuple[object, ...]]]:
    """The customer view of everybody else, `seen` with the times at which records were seen."""
    left_out = ["since"] if seen else ["since", "first_seen_at", "last_seen_at"]
    with shop.open() as wh:
        return {
            name: wh.sql(
                f"SELECT COLUMNS(lambda c: c NOT IN {tuple([*left_out, ''])}) FROM customers.{name} "
                "WHERE customer_id IS DISTINCT FROM ? ORDER BY ALL",
                [without],
            ).fetchall()
            for name in CUSTOMER_TABLES
        }


@dataclass
class Erased:
    """A shop after an erasure that was killed twice on the way, and what was known before."""

    home: Path
    certificate: Certificate
    customer: str
    truth: set[str]
    given: set[str]
    before: dict[str, list[tuple[object, ...]]]
    expected: dict[str, int]
    found_before: int


@pytest.fixture(scope="module")
def erased(grown_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erased]:
    """Erase the richest person; killed between the two files of the note, and again in the last step."""
    environment = dict(os.environ)
    home = tmp_path_factory.mktemp("erased") / "home"
    shutil.copytree(grown_shop, home)
    use_home(home)
    shop = Shop(get_settings().prepare())
    one = rich(shop)
    person = person_of(shop, one["email"])
    assert person.whole
    truth = true_identifiers(shop, one["person_id"])
    given = truth | {value for _, value in person.own} | {person.customer_id}
    before, expected = state(shop, person.customer_id), landed_of(shop, one, person)
    hits = len(places(home, truth))
    with shop.open() as wh:
        note_erasure(shop.settings, wh, person, reason="request")
    (shop.settings.decisions_dir / FILE).unlink()
    assert len(pending(shop.settings)) == 1
    assert (shop.settings.decisions_dir / FILE).exists()
    shop.rebuild()

    def killed(url: str) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, shop.open() as wh:
        patch.setattr(finish, "compact_published", killed)
        with pytest.raises(KeyboardInterrupt):
            finish_erasures(shop.settings, wh)
    assert len(pending(shop.settings)) == 1
    with shop.open() as wh:
        (certificate,) = finish_erasures(shop.settings, wh)
    yield Erased(home, certificate, person.customer_id, truth, given, before, expected, hits)
    os.environ.clear()
    os.environ.update(environment)
    get_settings.cache_clear()


def landed_of(shop: Shop, one: pd.Series, person: Person) -> dict[str, int]:
    """How many records of the person the tables hold, by the stream they came from."""
    logins = [value for kind, value in person.own if kind == "login_id"]
    cookies = [value for kind, value in person.own if kind == "cookie"]
    count = "SELECT count(*) FROM validated"
    with shop.open() as wh:
        return {
            "hubspot/contacts": wh.scalar(f"{count}.contacts WHERE contact_id = ?", [one["value"]]),
            "hubspot/orders": wh.scalar(f"{count}.crm_orders WHERE contact_id = ?", [one["value"]]),
            "klaviyo/events": wh.scalar(
                f"{count}.email_events WHERE lower(email) = lower(?)", [one["email"]]
            ),
            "ga4/events": wh.scalar(
                f"{count}.web_events WHERE visitor_id IN (SELECT unnest(?::VARCHAR[])) "
                "OR login_id IN (SELECT unnest(?::VARCHAR[]))",
                [cookies or [""], logins or [""]],
            ),
        }


def test_nothing_is_left_anywhere(erased: Erased) -> None:
    assert erased.found_before >= 3  # the landing and the warehouse held the person
    assert erased.certificate.residue == {}
    assert erased.certificate.files_scanned > 50
    assert erased.certificate.tables_scanned > 20
    assert places(erased.home, erased.given) == {}


def test_the_scan_would_have_found_the_person(erased: Erased, grown_shop: Path) -> None:
    """The certificate's scan sees what the other scan of these tests sees in the shop before."""
    scanner, residue = Scanner(erased.given), Residue()
    scan_files(grown_shop, scanner, residue)
    assert {name.partition("/")[0] for name in residue.found} >= {"landing"}
    with Warehouse(grown_shop / "warehouse.duckdb") as wh:
        scan_warehouse(wh, scanner, residue)
    assert {name for name in residue.found if name.startswith("warehouse ")} >= {
        "warehouse validated.contacts",
        "warehouse customers.identity_links",
    }


def test_the_scan_reads_hashes_that_are_kept_as_numbers(warehouse: Warehouse) -> None:
    digest = "e04b32fe95a1c08d7b3f9d5527b3aac6"
    warehouse.execute(f"CREATE TABLE kept AS SELECT 1 AS node, CAST('{digest}' AS UUID) AS key")
    residue = Residue()
    scan_warehouse(warehouse, Scanner([digest]), residue)
    assert residue.found == {"warehouse main.kept": 1}


def test_all_the_persons_records_left_the_landing(erased: Erased) -> None:
    for stream, count in erased.expected.items():
        # the landing also holds repetitions, which the tables leave out
        removed = erased.certificate.landed_records_removed.get(stream, 0)
        assert count <= removed <= 1.1 * count + 2, stream


def test_the_note_and_the_certificate_name_nobody(erased: Erased) -> None:
    note = (erased.home / "decisions" / FILE).read_text()
    assert set(json.loads(note)) == {"erasure", "key", "at", "identifiers"}
    for text in [note, *(path.read_text() for path in (erased.home / "privacy").glob("e*"))]:
        assert not [value for value in erased.given if value in text]


def test_nobody_else_changes_and_all_days_again_bring_nobody_back(
    erased: Erased, grown_shop: Path, tmp_path: Path
) -> None:
    use_home(shutil.copytree(erased.home, tmp_path / "home"))
    shop = Shop(get_settings().prepare())
    assert state(shop, erased.customer) == erased.before
    shop.night()
    assert places(shop.settings.home, erased.given) == {}
    assert state(shop, erased.customer) == erased.before
    with shop.open() as wh:
        for table in PEOPLE_TABLES:
            assert unbalanced_days(wh, f"validated.{table}") == [], table
        short = "SELECT count(*) FROM quality.ledger WHERE stage = 'landed' AND announced > offered"
        assert wh.scalar(short) == 0
        removed = dict(
            wh.sql(
                "SELECT stream, sum(records) FROM quality.removals WHERE reason = 'erased' GROUP BY stream"
            ).fetchall()
        )
        assert removed == {k: v for k, v in erased.certificate.landed_records_removed.items() if v}
        with pytest.raises(NobodyError):
            find_person(wh, Keys.of(shop.settings), sorted(erased.truth)[0])
    # a landing put back from a backup is cleared before it is read
    shutil.rmtree(shop.settings.landing_dir)
    shutil.copytree(grown_shop / "landing", shop.settings.landing_dir)
    assert places(shop.settings.landing_dir, erased.truth) != {}
    with shop.open() as wh:
        for table in PEOPLE_TABLES:
            load(wh, f"validated.{table}", shop.settings.landing_dir, None, "backup")
    assert places(shop.settings.landing_dir, erased.given) == {}


def test_a_shared_device_stays_with_the_others(people: Shop) -> None:
    with people.open() as wh:
        rows = wh.sql(
            "SELECT m.visitor_id, min(l.customer_id), max(l.customer_id) FROM validated.web_events e "
            "JOIN customers.visitor_map m USING (visitor_id) JOIN customers.identity_links l "
            "ON l.record_key = concat('login:', e.login_id) WHERE m.rule IN ('shared', 'dominant') "
            "GROUP BY 1 HAVING count(DISTINCT l.customer_id) > 1 ORDER BY 1"
        ).fetchall()
    assert rows, "the shop has no shared device"
    device, one, other = rows[0]
    before = state(people, one, seen=False)
    person = person_of(people, one)
    assert device not in {value for _, value in person.own}
    assert person.visits
    assert erase(people, one)[0].residue == {}
    assert state(people, one, seen=False) == before
    with people.open() as wh:
        left = wh.sql(
            "SELECT DISTINCT login_id FROM validated.web_events WHERE visitor_id = ?", [device]
        ).fetchall()
        logins = {value for kind, value in person.own if kind == "login_id"}
        assert not logins & {row[0] for row in left}
        assert wh.scalar("SELECT count(*) FROM customers.sessions WHERE customer_id = ?", [other]) > 0


def test_a_referral_code_that_a_second_record_has_as_its_own_stays_with_it(people: Shop) -> None:
    """A broken copy of a contact, joined with nobody, has the code of the first: each can be erased alone."""
    copy = v.contact(
        "99000000009", email="copy@nowhere.example", phone=None, shop_login_id=None, loyalty_id=None
    )
    with people.open() as wh:
        one = rich(people)
        ((code,),) = wh.sql(
            "SELECT any_value(referral_code) FROM validated.contacts WHERE contact_id = ?", [one["value"]]
        ).fetchall()
    copy["properties"]["referral_code"] = code
    v.land_lines(
        people.settings.landing_dir, "hubspot/contacts", [copy], day=WINDOW.end, run="run=20260911T030000Z"
    )
    people.rebuild()
    customer = person_of(people, one["email"]).customer_id
    person = person_of(people, customer)
    assert ("referral_code", code) in person.shared
    before = state(people, customer, seen=False)
    assert erase(people, customer)[0].residue == {}
    assert state(people, customer, seen=False) == before
    assert pending(people.settings) == []


def test_an_identifier_of_several_people_is_asked_back(people: Shop) -> None:
    with people.open() as wh:
        shared = wh.sql(
            "SELECT c.email FROM validated.contacts_current c JOIN customers.identity_links l "
            "ON l.record_key = concat('contact:', c.contact_id) WHERE email IS NOT NULL "
            "GROUP BY 1 HAVING count(DISTINCT l.customer_id) > 1 ORDER BY 1"
        ).fetchall()
    assert shared, "the shop has no address of two people"
    with pytest.raises(SharedError) as error:
        person_of(people, shared[0][0])
    assert shared[0][0] not in str(error.value)
    with pytest.raises(NobodyError) as nobody:
        person_of(people, "nobody@nowhere.example")
    assert "nowhere" not in str(nobody.value)


def test_who_is_left_behind_is_told_from_who_is_gone(people: Shop) -> None:
    """Two people in one night: a place that nobody knows of holds one, and only that one stays open."""
    one = rich(people)
    with people.open() as wh:
        ((address,),) = wh.sql(
            "SELECT min(email) FROM validated.contacts_current WHERE email LIKE '%@%' AND email NOT IN "
            "(SELECT email FROM validated.contacts_current GROUP BY 1 HAVING count(*) > 1) AND email <> ?",
            [one["email"]],
        ).fetchall()
    found = [person_of(people, one["email"]), person_of(people, address)]
    forgotten = people.settings.home / "forgotten.txt"
    forgotten.write_text(f"call {one['email']} back")
    with people.open() as wh:
        left, gone = [note_erasure(people.settings, wh, person, reason="request") for person in found]
    people.rebuild()
    with people.open() as wh:
        certificates = {each.erasure: each for each in finish_erasures(people.settings, wh)}
    assert set(certificates[left.erasure].residue) == {"forgotten.txt"}
    assert certificates[gone.erasure].clean
    assert [work.erasure for work in pending(people.settings)] == [left.erasure]
    forgotten.unlink()
    with people.open() as wh:
        (again,) = finish_erasures(people.settings, wh)
    assert again.clean
    assert pending(people.settings) == []


def test_who_has_the_address_within_their_own_stays(people: Shop) -> None:
    """jo + the address of the erased person is somebody else's: in tables, files, decisions and pages."""
    one = rich(people)
    address = f"jo{one['email'].lower()}"
    other = v.contact(
        "99000000008", email=address, phone=None, shop_login_id=None, loyalty_id=None, firstname="Jo"
    )
    v.land_lines(
        people.settings.landing_dir, "hubspot/contacts", [other], day=WINDOW.end, run="run=20260911T030000Z"
    )
    people.rebuild()
    people.settings.decisions_dir.mkdir(exist_ok=True)
    note = people.settings.decisions_dir / "notes.jsonl"
    note.write_text(json.dumps({"why": f"asked {address}"}) + "\n" + json.dumps({"why": one["email"]}) + "\n")
    assert erase(people, one["email"])[0].residue == {}
    assert note.read_text() == json.dumps({"why": f"asked {address}"}) + "\n"
    with people.open() as wh:
        kept = wh.scalar("SELECT count(*) FROM validated.contacts WHERE lower(email) = ?", [address])
    assert kept == 1
