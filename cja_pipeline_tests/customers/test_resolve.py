"""One person, and never two: the guard rails, each with the case it is for."""

from __future__ import annotations

import hashlib
import random

import pandas as pd
import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity import resolve

SECRET = b"test key"


def groups(*records: dict, order: list[int] | None = None) -> list[set[str]]:
    """The records of each customer, by record_id (a, b, c … in the order given unless named)."""
    frame = pd.DataFrame([{"record_id": chr(97 + place), **record} for place, record in enumerate(records)])
    if order is not None:
        frame = frame.iloc[order]
    found = resolve(frame, secret=SECRET)
    assert list(found["record_id"]) == list(frame["record_id"])
    return sorted((set(part) for _, part in found.groupby("customer_id")["record_id"]), key=min)


def test_same_person_across_sources() -> None:
    assert groups(
        {"source": "crm", "crm_id": "10", "email": "Anna.Meier@gmail.com", "first_name": "Anna"},
        {"source": "email", "email": "annameier@googlemail.com", "phone": "0171 2345678"},
        {"source": "store", "phone": "+49 171 2345678", "first_name": "Anni"},
        {"source": "crm", "crm_id": "11", "email": "bert@web.de"},
    ) == [{"a", "b", "c"}, {"d"}]


def test_hashed_addresses_meet_plain_ones() -> None:
    as_written = hashlib.sha256(b"anna.meier@gmail.com").hexdigest()  # vendors hash without folding
    assert groups(
        {"email": "Anna.Meier@gmail.com"},
        {"email_sha256": as_written.upper()},
        {"email_sha256": hashlib.sha256(b"annameier@gmail.com").hexdigest()},
        {"email_sha256": hashlib.sha256(b"bert@web.de").hexdigest()},
        {"email_sha256": hashlib.sha256(b"bert@web.de").hexdigest()},
    ) == [{"a", "b", "c"}, {"d", "e"}]


@pytest.mark.parametrize(
    "junk",
    [
        {"email": "test@test.com"},
        {"email": "noreply@shop.de"},
        {"email": "info@firma.de"},
        {"login_id": "undefined"},
        {"login_id": "0000"},
        {"phone": "0000000000"},
        {"crm_id": "null"},
        {"email": ""},
        {"loyalty_id": "-1"},
    ],
)
def test_junk_joins_nobody(junk: dict) -> None:
    assert len(groups(*[junk] * 5)) == 5


def test_shared_address_joins_by_name_only() -> None:
    assert groups(
        {"crm_id": "1", "email": "paar@web.de", "first_name": "Bert"},
        {"crm_id": "2", "email": "paar@web.de", "first_name": "Carla"},
        {"email": "paar@web.de", "first_name": "Carla"},
        {"email": "paar@web.de"},  # whose? nobody knows
    ) == [{"a"}, {"b", "c"}, {"d"}]


def test_two_crm_ids_never_join_unless_the_crm_says_so() -> None:
    twice = [{"crm_id": "1", "email": "anna@web.de"}, {"crm_id": "2", "email": "anna@web.de"}]
    assert groups(*twice) == [{"a"}, {"b"}]
    assert groups({**twice[0], "merged_crm_ids": "2;7"}, twice[1]) == [{"a", "b"}]
    assert groups({**twice[0], "merged_crm_ids": "7"}, {"crm_id": "7"}, twice[1]) == [{"a", "b"}, {"c"}]


def test_duplicate_crm_records_join_if_the_shop_says_so() -> None:
    rules = identity().model_copy(update={"crm_duplicates": "same_name"})
    anna = {"email": "anna@web.de", "first_name": "Anna", "last_name": "Meier", "birth_date": "1985-04-03"}
    frame = pd.DataFrame(
        [
            {"record_id": "a", "crm_id": "1", **anna},
            {"record_id": "b", "crm_id": "2", **anna, "birth_date": "1985-03-04"},
            {"record_id": "c", "crm_id": "3", **anna, "birth_date": "1951-12-20"},
            {"record_id": "d", "crm_id": "4", "email": "anna@web.de"},
            {"record_id": "e", "crm_id": "5", **anna, "last_name": "Schulz"},
        ]
    )
    found = resolve(frame, rules=rules, secret=SECRET).groupby("customer_id")["record_id"].agg(set)
    assert sorted(found, key=min) == [{"a", "b"}, {"c"}, {"d"}, {"e"}]
    assert resolve(frame, secret=SECRET)["customer_id"].nunique() == 5


def test_crm_merges_are_transitive() -> None:
    assert groups(
        {"crm_id": "1", "merged_crm_ids": "2"}, {"crm_id": "2"}, {"crm_id": "3", "merged_crm_ids": "2;1"}
    ) == [{"a", "b", "c"}]


def test_conflicting_birth_dates_refuse() -> None:
    senior = {"phone": "030 9876501", "first_name": "Karl", "last_name": "Koch", "birth_date": "1950-02-01"}
    junior = {**senior, "birth_date": "1981-07-09"}
    assert groups(senior, junior) == [{"a"}, {"b"}]
    assert groups(senior, {**senior, "birth_date": "1950-01-02"}) == [{"a", "b"}]


def test_twins_stay_two() -> None:
    twin = {"phone": "030 9876501", "last_name": "Koch", "birth_date": "1990-05-05"}
    assert len(groups({**twin, "first_name": "Lena"}, {**twin, "first_name": "Paul"})) == 2


def test_recycled_number_does_not_bridge_people() -> None:
    assert groups(
        {"email": "anna@web.de", "first_name": "Anna", "phone": "0171 2345678"},
        {"email": "anna@web.de"},
        {"email": "bert@web.de", "first_name": "Bert", "phone": "0171 2345678"},
        {"email": "bert@web.de"},
    ) == [{"a", "b"}, {"c", "d"}]


def test_nameless_bridge_is_refused() -> None:
    # the middle record has the address of one and the number of the other
    found = groups(
        {"crm_id": "1", "email": "anna@web.de", "first_name": "Anna"},
        {"email": "anna@web.de", "phone": "0171 2345678"},
        {"crm_id": "2", "phone": "0171 2345678", "first_name": "Bert"},
    )
    assert len(found) == 2
    assert not any({"a", "c"} <= one for one in found)


def test_address_of_too_many_people_joins_nobody() -> None:
    many = [{"email": "verein@sport.de", "crm_id": str(number)} for number in range(6)]
    assert len(groups(*many, {"email": "verein@sport.de"})) == 7


def test_a_device_never_joins_people() -> None:
    kiosk = [{"crm_id": str(n), "login_id": f"U{n}", "visitor_id": "kiosk"} for n in range(300)]
    frame = pd.DataFrame([{"record_id": f"r{n}", **record} for n, record in enumerate(kiosk)])
    frame = pd.concat([frame, pd.DataFrame([{"record_id": "anonymous", "visitor_id": "kiosk"}])])
    found = resolve(frame, secret=SECRET)
    assert found["customer_id"].nunique() == 301


def test_device_follows_its_owner() -> None:
    assert groups(
        {"login_id": "U1", "visitor_id": "v1"},
        {"visitor_id": "v1"},
        {"visitor_id": "v2"},
        {"visitor_id": "v2"},
        {"login_id": "U1"},
    ) == [{"a", "b", "e"}, {"c", "d"}]


def test_order_of_rows_and_repetition_change_nothing() -> None:
    records = [
        {"crm_id": "1", "email": "paar@web.de", "first_name": "Bert", "phone": "0171 2345678"},
        {"crm_id": "2", "email": "paar@web.de", "first_name": "Carla"},
        {"email": "paar@web.de", "phone": "0171 2345678"},
        {"phone": "0171 2345678", "first_name": "Robert"},
        {"login_id": "U1", "email": "carla@web.de", "first_name": "Carla"},
        {"login_id": "U1", "crm_id": "2"},
    ]
    expected = groups(*records)
    rng = random.Random(3)
    for _ in range(3):
        order = list(range(len(records)))
        rng.shuffle(order)
        assert groups(*records, order=order) == expected


def test_identifiers_read_as_numbers() -> None:
    frame = pd.DataFrame(
        {"record_id": [1, 2, 3], "crm_id": [77.0, None, 77.0], "phone": [1712345678, None, None]}
    )
    found = resolve(frame, secret=SECRET)
    assert found["customer_id"].tolist()[0] == found["customer_id"].tolist()[2]
    assert found["rule"].tolist() == ["linked", "alone", "linked"]


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no column says who a row is about"):
        resolve(pd.DataFrame({"colour": ["red"]}), secret=SECRET)
    with pytest.raises(ValueError, match="record_id repeats a value in row 2"):
        resolve(pd.DataFrame({"record_id": ["a", "a"], "email": "a@web.de"}), secret=SECRET)
    with pytest.raises(ValueError, match="record_id is empty in row 1"):
        resolve(pd.DataFrame({"record_id": [None, "a"], "email": "a@web.de"}), secret=SECRET)


def test_no_records() -> None:
    assert resolve(pd.DataFrame({"record_id": []}), secret=SECRET).empty
