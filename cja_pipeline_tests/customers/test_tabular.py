"""Any table of people: columns found, dates read, bad input named, and people found as they truly are."""

from __future__ import annotations

import datetime as dt
import json
import stat
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.customers.identity import resolve
from cja_pipeline.customers.identity.measure import Quality
from cja_pipeline.customers.identity.names import split_full_name
from cja_pipeline.customers.identity.tabular.columns import TableError, detect, person_records
from cja_pipeline.customers.identity.tabular.dates import read_dates
from cja_pipeline.customers.identity.tabular.file import resolve_file
from cja_pipeline_tests.customers.people import register
from cja_pipeline_tests.customers.tables import SECRET


def write(folder: Path, text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        # the 25th of a 4th month says that the day comes first, 04/25 that the month does
        (["03/04/1985", "25/04/1985"], ["1985-04-03", "1985-04-25"]),
        (["03/04/1985", "04/25/1985"], ["1985-03-04", "1985-04-25"]),
        (["3.4.85", "03-APR-1985", "3. April 1985", "April 3, 1985"], ["1985-04-03"] * 4),
        (["19850403", "1985-04-03 00:00:00", "1985/4/3"], ["1985-04-03"] * 3),
        (["04031985", "12311985"], ["1985-04-03", "1985-12-31"]),
        (["25121980", "01021990"], ["1980-12-25", "1990-02-01"]),
        (["850403", "851231"], ["1985-04-03", "1985-12-31"]),
        ([dt.date(1985, 4, 3), pd.Timestamp("1985-04-03 10:00"), 19850403], ["1985-04-03"] * 3),
        # nothing else is known than the year; a slip of the pen keeps its digits
        (["1985", 1985.0], ["1985", "1985"]),
        (["19850403", "19859903"], ["1985-04-03", "19859903"]),
        (["unknown", None, "31.02.x", "1701-01-01"], [None, None, None, "17010101"]),
    ],
)
def test_dates_are_read_as_their_column_writes_them(column: list, expected: list) -> None:
    found = read_dates(pd.Series(column, dtype=object))
    assert [None if value != value else value for value in found] == expected


def test_every_source_has_its_own_order_of_dates() -> None:
    dates = pd.Series(["03/04/1985", "25/04/1985", "03/04/1985", "04/25/1985"])
    source = pd.Series(["uk", "uk", "us", "us"])
    assert read_dates(dates, source).tolist() == ["1985-04-03", "1985-04-25", "1985-03-04", "1985-04-25"]


def test_full_names_are_split() -> None:
    names = ["Anna Maria Meier", "Koch, Bert", "Cher", "Ludwig van Beethoven", "Maria de la Cruz", None]
    assert [split_full_name(name) for name in names] == [
        ("Anna Maria", "Meier"),
        ("Bert", "Koch"),
        (None, "Cher"),
        ("Ludwig", "van Beethoven"),
        ("Maria", "de la Cruz"),
        (None, None),
    ]


def headers(*names: str) -> dict[str, list[str]]:
    """Columns found in a table of one row with these headers."""
    return detect(pd.DataFrame([["x"] * len(names), ["x"] * len(names)], columns=list(names)), {}).columns


def test_columns_are_recognised() -> None:
    assert headers("Rec_ID", "Given Name", "Surname", "Date of Birth", "E-Mail", "Street Number", "PLZ") == {
        "email": ["E-Mail"],
        "first_name": ["Given Name"],
        "last_name": ["Surname"],
        "birth_date": ["Date of Birth"],
        "house_number": ["Street Number"],
        "postcode": ["PLZ"],
    }
    assert headers("Billing_E-Mail", "customerLastName", "Phone 1", "mailing_address_street_name") == {
        "email": ["Billing_E-Mail"],
        "phone": ["Phone 1"],
        "last_name": ["customerLastName"],
        "address": ["mailing_address_street_name"],
    }
    assert headers("Nachname", "employer_name", "product", "Geburtsjahr") == {
        "last_name": ["Nachname"],
        "birth_year": ["Geburtsjahr"],
    }


def test_addresses_are_recognised_by_what_cells_hold() -> None:
    table = pd.DataFrame({"kontakt": ["a@web.de", "b@web.de", None], "fingerprint": ["ab" * 32, None, None]})
    assert detect(table, {}).columns == {"email": ["kontakt"], "email_sha256": ["fingerprint"]}


def test_the_map_wins_and_joins_columns() -> None:
    table = pd.DataFrame({"a": ["Main Road"], "b": ["12"], "surname": ["x"], "c": ["Koch"], "y": ["1985"]})
    given = {"address": ["a", "b"], "last_name": "c", "birth_year": "y"}
    columns = detect(table, given).columns
    assert columns == {"last_name": ["c"], "birth_year": ["y"], "address": ["a", "b"]}
    assert person_records(table, columns).loc[0].to_dict() == {
        "last_name": "Koch",
        "address": "Main Road 12",
        "record_id": "row 1",
        "birth_date": "1985",
    }
    with pytest.raises(TableError, match="column 'mail' \\(for email\\) is missing"):
        detect(table, {"email": "mail"})
    with pytest.raises(TableError, match="'colour' is no field"):
        detect(table, {"colour": "a"})


def test_ids_that_tell_nothing_are_left_out() -> None:
    table = pd.DataFrame({"id": ["1", "1"], "contact_id": ["7", "8"], "email": ["a@web.de", "b@web.de"]})
    found = detect(table, {})
    assert found.columns == {"email": ["email"]}
    assert [note.split(":")[0] for note in found.notes] == ["contact_id", "id"]
    shared = table.assign(contact_id="7")
    assert detect(shared, {}).columns["crm_id"] == ["contact_id"]
    # the same id in two systems is two records
    two = table.assign(source=["a", "b"])
    records = person_records(two, detect(two, {}).columns)
    assert records["record_id"].tolist() == ["a:1", "b:1"]


def test_every_row_gets_a_customer(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,email,phone,who,customer_id\n1,Anna@web.de,,a,x\n2,anna@web.de,0171 2345678,a,x\n"
        "3,,+491712345678,a,y\n4,b@web.de,,b,z\n",
    )
    output = tmp_path / "clusters.csv"
    result = resolve_file(path, truth="who", output=output, secret=SECRET)
    assert result.quality is not None
    assert (result.quality.precision, result.quality.recall, result.customers) == (1.0, 1.0, 2)
    written = pd.read_csv(output, dtype=str)
    assert written.columns.tolist() == ["customer_id", "id", "email", "phone", "who", "customer_id_given"]
    assert written["customer_id"].nunique() == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clusters.csv", "people.csv"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o600  # names and addresses
    as_parquet = resolve_file(path, truth="who", output=tmp_path / "clusters.parquet", secret=SECRET)
    assert pd.read_parquet(tmp_path / "clusters.parquet")["customer_id"].tolist() == (
        as_parquet.table["customer_id"].tolist()
    )


def test_no_value_of_the_table_runs_in_a_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path, "last_name,phone\n=1+1,+49 171 2345678\n@sum,0171 2345678\n")
    resolve_file(path, output=tmp_path / "clusters.csv", secret=SECRET)
    written = pd.read_csv(tmp_path / "clusters.csv", dtype=str)
    assert written["last_name"].tolist() == ["'=1+1", "'@sum"]
    assert written["phone"].tolist() == ["+49 171 2345678", "0171 2345678"]


@pytest.mark.parametrize(
    ("text", "customers"),
    [
        ("first_name,email\n", 0),
        ("first_name,email\nAnna,anna@web.de\n", 1),
        ("first_name,last_name,email\n,,\nAnna,,\n,Koch,\n", 2),  # an empty line of data is no record
        ("name\nAnna Koch\nBert Müller\n", 2),
        ("name\n王小明\nИван Петров\nΝίκος Παπαδόπουλος\nمحمد علي\n", 4),
        ("email,phone\nkaputt,abc\nkaputt,abc\n", 2),
    ],
)
def test_odd_tables_are_resolved(tmp_path: Path, text: str, customers: int) -> None:
    result = resolve_file(write(tmp_path, text), secret=SECRET)
    assert result.customers == customers
    assert len(result.table) == max(0, text.count("\n") - 1 - text.count("\n,,\n"))


def test_a_few_rows_suffice() -> None:
    """A name is not common because it stands in two rows of four."""
    home = {"address": "Ringweg 1", "postcode": "80331", "city": "München"}
    rows = [
        {"first_name": "Bernd", "last_name": "Lau", "email": "kasse@partner.example", **home},
        {"first_name": "Bernd", "last_name": "Lau", "email": "bernd.lau@gmx.de", **home},
        {"first_name": "Clara", "last_name": "Öz", "email": "clara@oez.de"},
        {"first_name": "Ute", "last_name": "Lau", "email": "ute@gmx.de", **home},
    ]
    found = resolve(pd.DataFrame(rows), secret=SECRET)["customer_id"]
    assert [found.tolist().index(one) for one in found] == [0, 0, 2, 3]


def test_a_mailbox_of_many_numbers_is_nobodys() -> None:
    crowd = [{"email": "keine@angabe.de", "phone": f"0171 23456{n:02d}"} for n in range(12)]
    pair = [{"email": "anna@web.de", "phone": "0171 9999999"}, {"email": "anna@web.de"}]
    found = resolve(pd.DataFrame(crowd + pair), secret=SECRET)
    assert found["customer_id"].nunique() == 13


def test_copies_of_a_row_are_one_customer() -> None:
    row = {"first_name": "Anna", "last_name": "Koch", "birth_date": "1985-04-03", "email": "anna@web.de"}
    others = [{"first_name": f"Name{n}", "last_name": f"Last{n}", "email": f"n{n}@web.de"} for n in range(5)]
    found = resolve(pd.DataFrame([row] * 700 + others), secret=SECRET)
    assert found["customer_id"].nunique() == 6
    assert found["size"].max() == 700
    # rows that say next to nothing are no copies of one person
    assert resolve(pd.DataFrame([{"first_name": "Anna"}] * 9 + others), secret=SECRET)["size"].max() == 1


def test_the_order_of_rows_decides_nothing() -> None:
    frame = register(120, copies=2, most_slips=2, seed=9).drop(columns="person")
    first = resolve(frame, secret=SECRET).set_index("record_id")["customer_id"]
    second = resolve(frame.sample(frac=1, random_state=2), secret=SECRET).set_index("record_id")[
        "customer_id"
    ]
    pd.testing.assert_series_equal(first.sort_index(), second.sort_index())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CJA_HOME", str(tmp_path / "home"))
    path = write(
        tmp_path, "Wer,Kunde,E-Mail\n1,Anna Koch,a@web.de\n1,Anna Koch,a@web.de\n2,Bert Rau,b@web.de\n"
    )
    mapping = write(tmp_path, "full_name: Kunde\n", "map.yml")
    arguments = [
        "resolve",
        str(path),
        "--truth",
        "Wer",
        "--map",
        str(mapping),
        "-o",
        str(tmp_path / "out.csv"),
    ]
    told = CliRunner().invoke(main, [*arguments, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["customers"], found["quality"]["f1"], found["columns"]["full_name"]) == (2, 1.0, ["Kunde"])
    assert "comparing records" in told.stderr
    shown = CliRunner().invoke(main, arguments)
    assert "3 rows are 2 customers" in shown.stdout
    assert "precision" in shown.stdout
    failed = CliRunner().invoke(main, ["resolve", str(tmp_path / "nothing.csv")])
    assert failed.exit_code == 1
    assert "there is no such file" in failed.stderr


def measured(frame: pd.DataFrame, folder: Path) -> Quality:
    path = folder / "people.csv"
    frame.to_csv(path, index=False)
    found = resolve_file(path, truth="person", secret=SECRET).quality
    assert found is not None
    return found


@pytest.mark.slow
def test_damaged_copies_are_found(tmp_path: Path) -> None:
    quality = measured(register(1200, copies=1, most_slips=3, seed=4), tmp_path)
    assert quality.f1 >= 0.985
    assert quality.over_merged <= 0.005


@pytest.mark.slow
def test_families_stay_apart(tmp_path: Path) -> None:
    quality = measured(register(1500, copies=2, most_slips=2, seed=4, family=0.5), tmp_path)
    assert quality.f1 >= 0.95
    assert quality.over_merged <= 0.03


@pytest.mark.slow
def test_american_dates_of_one_system_meet_german_ones_of_another(tmp_path: Path) -> None:
    frame = register(800, copies=1, most_slips=1, seed=8)
    dates = frame["date_of_birth"].fillna("")
    american = dates.str[4:6] + "/" + dates.str[6:8] + "/" + dates.str[:4]
    german = dates.str[6:8] + "." + dates.str[4:6] + "." + dates.str[:4]
    frame["system"] = ["us" if number % 2 else "de" for number in range(len(frame))]
    frame["date_of_birth"] = american.where(frame["system"] == "us", german).where(
        dates.str.len() == 8, dates
    )
    assert measured(frame, tmp_path).f1 >= 0.98
