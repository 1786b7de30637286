"""Linking any table of people: columns found, bad input named, quality measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.customers.identity import explain, resolve, resolve_warehouse
from cja_pipeline.customers.identity.tables import (
    TableError,
    detect,
    person_records,
    read_table,
    resolve_file,
)
from cja_pipeline_tests.customers.people import register
from cja_pipeline_tests.customers.tables import SECRET, at, warehouse


def write(folder: Path, text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_are_recognised(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Rec_ID;Given Name;Surname;Date of Birth;E-Mail;Street Number;Address_1;PLZ;Entity\n"
        "1;Anna;Meier;1985-04-03;anna@web.de;12;Main Road;12345;x\n"
        "2;Bert;Koch;1950-01-02;bert@web.de;;Side Road;12345;y\n",
    )
    table = read_table(path)
    columns = detect(table, {}, path, "Entity")
    assert columns == {
        "record_id": "Rec_ID",
        "email": "E-Mail",
        "first_name": "Given Name",
        "last_name": "Surname",
        "birth_date": "Date of Birth",
        "house_number": "Street Number",
        "address": "Address_1",
        "postcode": "PLZ",
    }
    assert person_records(table, columns)["address"].tolist() == ["12 Main Road", "Side Road"]
    assert detect(table, {"login_id": "Surname"}, path)["login_id"] == "Surname"


def test_full_names_are_split() -> None:
    table = pd.DataFrame({"name": ["Anna Maria Meier", "Koch, Bert", "Cher", None]})
    records = person_records(table, {"full_name": "name"})
    assert records["first_name"].tolist()[:3] == ["Anna Maria", "Bert", "Cher"]
    assert records["last_name"].tolist()[:2] == ["Meier", "Koch"]
    assert records["record_id"].tolist() == ["row 1", "row 2", "row 3", "row 4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("id,email\n1,a@web.de,x\n", "line 2: 3 fields where the header has 2"),
        ("id,email,email\n1,a,b\n", "column 'email' occurs more than once"),
        ("id,email\n1,a@web.de\n1,b@web.de\n", "column record_id repeats a value in row 2"),
        ("id,email\n1,a@web.de\n,b@web.de\n", "column record_id is empty in row 2"),
        ("id,colour\n1,red\n", "no column says who a row is about"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        resolve_file(write(tmp_path, text), secret=SECRET)


def test_other_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="line 2 is not UTF-8"):
        read_table(write(tmp_path, "id,name\n1,Jürgen\n", encoding="latin-1"))
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "nothing.csv")
    path = write(tmp_path, "id,email\n1,a@web.de\n")
    with pytest.raises(TableError, match="column 'who' \\(truth\\) is missing"):
        resolve_file(path, truth="who", secret=SECRET)
    with pytest.raises(TableError, match="column 'mail' \\(for email\\) is missing"):
        resolve_file(path, columns={"email": "mail"}, secret=SECRET)
    with pytest.raises(TableError, match="'colour' is no field"):
        resolve_file(path, columns={"colour": "email"}, secret=SECRET)


def test_every_row_gets_a_customer(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,email,phone,who\n1,Anna@web.de,,a\n2,anna@web.de,0171 2345678,a\n"
        "3,,+491712345678,a\n4,b@web.de,,b\n",
    )
    output = tmp_path / "clusters.csv"
    result = resolve_file(path, truth="who", output=output, secret=SECRET)
    assert result.quality is not None
    assert (result.quality.precision, result.quality.recall, result.customers) == (1.0, 1.0, 2)
    written = pd.read_csv(output, dtype=str)
    assert written.columns.tolist() == ["customer_id", "id", "email", "phone", "who"]
    assert written["customer_id"].nunique() == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clusters.csv", "people.csv"]


def measured(frame: pd.DataFrame, folder: Path) -> object:
    path = folder / "people.csv"
    frame.to_csv(path, index=False)
    result = resolve_file(path, truth="person", secret=SECRET)
    return result.quality


@pytest.mark.slow
def test_scored_finds_damaged_copies(tmp_path: Path) -> None:
    quality = measured(register(1200, copies=1, most_slips=3, seed=4), tmp_path)
    assert quality.f1 >= 0.985  # type: ignore[attr-defined]
    assert quality.over_merged <= 0.005  # type: ignore[attr-defined]


@pytest.mark.slow
def test_scored_keeps_families_apart(tmp_path: Path) -> None:
    quality = measured(register(1500, copies=2, most_slips=2, seed=4, family=0.5), tmp_path)
    assert quality.f1 >= 0.95  # type: ignore[attr-defined]
    assert quality.over_merged <= 0.03  # type: ignore[attr-defined]


def test_scored_does_not_depend_on_the_order_of_rows() -> None:
    frame = register(120, copies=2, most_slips=2, seed=9)
    records = person_records(frame, detect(frame, {}, truth="person"))
    first = resolve(records, secret=SECRET).set_index("record_id")["customer_id"]
    shuffled = records.sample(frac=1, random_state=2)
    second = resolve(shuffled, secret=SECRET).set_index("record_id")["customer_id"]
    pd.testing.assert_series_equal(first.sort_index(), second.sort_index())


def test_scored_obeys_the_guard_rails() -> None:
    base = {"first_name": "Anna", "last_name": "Meier", "email": "anna@web.de", "birth_date": "1985-04-03"}
    crowd = [
        {"record_id": f"k{n}", "crm_id": f"9{n}", "email": "verein@sport.de", "first_name": None}
        for n in range(12)
    ]
    frame = pd.DataFrame(
        [
            {"record_id": "a", "crm_id": "1", **base},
            {"record_id": "b", "crm_id": "2", **base},
            {"record_id": "c", **base},
            *crowd,
        ]
    )
    found = resolve(frame, secret=SECRET).set_index("record_id")["customer_id"]
    assert found["a"] != found["b"]
    assert found["c"] in (found["a"], found["b"])
    assert found[[f"k{n}" for n in range(12)]].nunique() == 12


def test_weights_are_learnt_from_patterns() -> None:
    from cja_pipeline.customers.identity.scored.learn import expected_matches, posterior

    rng = np.random.default_rng(1)
    true_m, chance, pairs, share = [0.9, 0.1], [0.02, 0.98], 20_000, 0.3
    match = rng.random(pairs) < share
    patterns = pd.DataFrame(
        {
            name: np.where(match, rng.random(pairs) >= true_m[0], rng.random(pairs) >= chance[0]).astype(int)
            for name in ("a", "b", "c")
        }
    )
    patterns = patterns.groupby(["a", "b", "c"]).size().reset_index(name="pairs")
    levels = {name: [{"u_probability": value} for value in chance] for name in ("a", "b", "c")}
    start = {name: np.array([0.7, 0.3]) for name in ("a", "b", "c")}
    expected = expected_matches(patterns, levels, start)
    for name in ("a", "b", "c"):
        assert posterior(expected[name], start[name])[0] == pytest.approx(0.9, abs=0.02)
        assert expected[name].sum() == pytest.approx(share * pairs, rel=0.05)


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
