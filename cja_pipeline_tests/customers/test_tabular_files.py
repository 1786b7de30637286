"""Files of people as they come: what is wrong with one is named by line, row and column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cja_pipeline.config import ConfigError
from cja_pipeline.customers.identity.tabular.columns import TableError
from cja_pipeline.customers.identity.tabular.command import resolve
from cja_pipeline.customers.identity.tabular.file import read_mapping, resolve_file
from cja_pipeline.customers.identity.tabular.reader import read_table
from cja_pipeline.customers.identity.tabular.unread import unread, unused
from cja_pipeline_tests.customers.tables import SECRET


def write(folder: Path, text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("id,email\n1,a@web.de,x\n", "line 2: 3 fields where the header has 2"),
        # an open quote would swallow the rest of the file
        ('id,email\n1,a@web.de\n2,"b@web.de\n3,c@web.de\n', "line 3: .*double quotes must close"),
        ('id,email\n1,"a"b@web.de\n', "line 2: .*must be doubled"),
        ("id,email\n1\n", "line 2: 1 fields where the header has 2; a value that holds"),
        ("id,colour\n1,red\n", "no column says who a row is about.*colour.*--map"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TableError, match=message):
        resolve_file(path, secret=SECRET)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>\n<body>\n</body>\n</html>\n", "a page of HTML"),  # each line a row of one column
        (b"\n<!DOCTYPE html><p>one line</p>", "a page of HTML"),
        (b'<?xml version="1.0"?>\n<people/>\n', "a page of HTML or XML"),
        (b'[{"email": "a@web.de"}]', "JSON"),
        (b"\x93\x07\x1c\xfe\x02\x88\x01\x10z\x05\xa1", "binary data"),
        (b"PAR1\x15\x04", "ending .parquet"),
        (b"SQLite format 3\x00\x10\x00", "a database of SQLite"),
    ],
)
def test_what_is_no_table_is_said_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    answer = CliRunner().invoke(resolve, [str(path)])
    assert answer.exit_code == 1
    assert message in answer.output
    assert "not a table; expected CSV" in answer.output


@pytest.mark.parametrize("text", ["<Name>,<E-Mail>\nA,a@web.de\n", "[id],[E-Mail]\n1,a@web.de\n"])
def test_odd_headers_are_those_of_a_table(tmp_path: Path, text: str) -> None:
    table, _ = read_table(write(tmp_path, text))
    assert table.iloc[0, 1] == "a@web.de"


def test_other_faults_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "id,email\n1,a@web.de\n")
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(TableError, match="this is a folder"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="save the sheet as CSV"):
        read_table(write(tmp_path, "x", "people.xlsx"))
    with pytest.raises(TableError, match="no Parquet file"):
        read_table(write(tmp_path, "x", "people.parquet"))
    with pytest.raises(TableError, match="column 'who' \\(truth\\) is missing; the table has: id, email"):
        resolve_file(path, truth="who", secret=SECRET)
    with pytest.raises(ConfigError, match=r"line 1.*\n.*lines like `last_name: Kunde`"):
        read_mapping(write(tmp_path, "email: {a: 1}\n", "map.yml"))


def test_what_cannot_be_used_is_named_by_row_and_column() -> None:
    table = pd.DataFrame(
        {
            "Mail": ["a@web.de", "noreply@shop.de", None, "nobody"],
            "Phone": ["0171 2345678", "000", "soon", "12"],
            "Born": ["3.4.1985", "1990-02-31", None, "never"],
            "Colour": "red",
            "who": "x",
        }
    )
    columns = {"email": ["Mail"], "phone": ["Phone"], "birth_date": ["Born"]}
    assert unused(table, columns, "who") == [
        "not used: Colour (a YAML file with --map says what a column holds)"
    ]
    mail, phone, born = unread(table, columns)
    assert (
        mail
        == "column 'Mail': 2 of 3 values are no e-mail address of a person and count as missing (row 2, 4)"
    )
    assert "3 of 4 values" in phone
    assert "2 of 3 values are no possible birth date" in born
    assert unread(table.iloc[:1], columns) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str) -> None:
    for delimiter in ",;\t|":
        text = f'Name{delimiter}E-Mail\r\n"Jürgen\nÖzil"{delimiter}j@web.de\r\n\r\n{delimiter}\r\n'
        table, notes = read_table(write(tmp_path, text, encoding=encoding))
        assert table.columns.tolist() == ["Name", "E-Mail"]
        assert table["Name"].tolist() == ["Jürgen\nÖzil"]
        assert bool(notes) == (encoding == "cp1252")


def test_headers_that_occur_again_or_are_missing(tmp_path: Path) -> None:
    table, notes = read_table(write(tmp_path, "email,email,\na@web.de,b@web.de,c\n"))
    assert table.columns.tolist() == ["email", "email 2", "column 3"]
    assert notes == ["column 'email' occurs again; the second is called 'email 2'"]
