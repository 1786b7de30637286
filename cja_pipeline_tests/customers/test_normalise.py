"""Canonical identifiers; junk becomes nothing, never a shared value."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import uuid

import pandas as pd
import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.names import NameBook, birth_dates_conflict, within_one_edit
from cja_pipeline.customers.identity.normalise import Normaliser, fold


@pytest.fixture(scope="module")
def normaliser() -> Normaliser:
    return Normaliser(identity())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Anna.Meier@GMAIL.com ", "annameier@gmail.com"),
        ("anna.meier+shop@googlemail.com", "annameier@gmail.com"),
        ("anna.meier@gmial.com", "annameier@gmail.com"),
        ("anna.meier@web.de", "anna.meier@web.de"),  # dots mean something elsewhere
        ("anna+shop@firma.de", "anna+shop@firma.de"),  # so does the plus at a company
        ("anna+shop@outlook.com", "anna@outlook.com"),
        ("ＡＮＮＡ@web.de", "anna@web.de"),  # full-width letters
        ("jürgen@müller.de", "jürgen@müller.de"),
        ("anna@web.de.", "anna@web.de"),
        ("test@test.com", None),
        ("noreply@firma.de", None),
        ("no-reply@firma.de", None),
        ("info+x@firma.de", None),
        ("Kontakt@Firma.de", None),
        ("anna@nordlicht-outdoor.example", None),  # the shop's own
        ("someone@example.com", None),
        ("anna@web", None),
        ("anna@@web.de", None),
        ("undefined", None),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_email(normaliser: Normaliser, raw: object, expected: str | None) -> None:
    assert normaliser.email(raw) == expected


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("0171 2345678", None, "+491712345678"),
        ("+49 (0)171 2345678", None, "+491712345678"),
        ("0049 171/2345678", "AT", "+491712345678"),
        ("0664 1234567", "AT", "+436641234567"),
        ("07400 123456", "GB", "+447400123456"),
        ("00000000", None, None),
        ("0171 1111111", None, None),
        ("11111111111", None, None),
        ("0123456789", None, None),
        ("030 12345600", None, None),  # the shop's own number
        ("call me", None, None),
        (None, None, None),
    ],
)
def test_phone(normaliser: Normaliser, raw: object, region: str | None, expected: str | None) -> None:
    assert normaliser.phone(raw, region) == expected


@pytest.mark.parametrize(
    "junk", ["undefined", "NULL", " none ", "0", "000-000", "-1", "[object Object]", "guest", ""]
)
def test_junk_ids(normaliser: Normaliser, junk: str) -> None:
    assert normaliser.identifier(junk) is None


def test_ids_keep_their_spelling(normaliser: Normaliser) -> None:
    assert normaliser.identifier("0012") == "0012"
    assert normaliser.identifier("3956592627.102561") == "3956592627.102561"
    assert normaliser.identifier("123456789012345678") == "123456789012345678"
    assert normaliser.identifier(77.0) == "77"  # a column with gaps, read as float
    assert normaliser.identifier("x" * 201) is None


def test_names(normaliser: Normaliser) -> None:
    assert normaliser.first_name("Dr. Jörg") == "joerg"
    assert normaliser.first_name("Anna-Maria") == "anna"
    assert normaliser.name("von der Straße") == "von der strasse"
    assert normaliser.first_name("Test") is None
    assert normaliser.name("Ñandú") == fold("nandu")


def test_birth_dates(normaliser: Normaliser) -> None:
    assert normaliser.birth_date("3.4.1985") == "1985-04-03"
    assert normaliser.birth_date(dt.date(1985, 4, 3)) == "1985-04-03"
    assert normaliser.birth_date(pd.Timestamp("1985-04-03")) == "1985-04-03"
    assert normaliser.birth_date(pd.NaT) is None
    assert normaliser.birth_date("1900-01-01") is None
    assert normaliser.birth_date("soon") is None


def test_key_is_hmac_over_the_digest() -> None:
    digest = hashlib.sha256(b"anna@web.de").hexdigest()
    expected = hmac.new(b"secret", b"email\x1f" + digest.encode(), "sha256").hexdigest()[:32]
    keyring = Keyring(b"secret")
    assert keyring.of("email", "anna@web.de") == expected
    assert keyring.of_hash("email", digest) == expected
    assert keyring.of("phone", "anna@web.de") != expected
    assert Keyring(b"other").of("email", "anna@web.de") != expected
    assert "hunter2" not in repr(Keyring(b"hunter2"))


@pytest.mark.parametrize("secret", [b"secret", b"s" * 64, b"a secret longer than one block of the hash " * 3])
def test_the_warehouse_makes_the_same_keys(secret: bytes) -> None:
    import duckdb

    keyring = Keyring(secret)
    hashed, pads = keyring.sql("email", "sha256(value)")
    assert secret.decode() not in hashed
    values = ["anna@web.de", "jörg@müller.de", ""]
    for value in values:
        row = duckdb.execute(f"SELECT {hashed} FROM (SELECT ? AS value)", [*pads, value])
        assert row.fetchall() == [(uuid.UUID(keyring.of("email", value)),)]
    nothing = duckdb.execute(f"SELECT {hashed} FROM (SELECT NULL AS value)", pads)
    assert nothing.fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("anna", "anna", True),
        ("anna", "annna", True),
        ("katrin", "katirn", True),
        ("julia", "julian", True),
        ("anna", "bert", False),
        ("", "a", True),
        ("ab", "ba", True),
        ("abcd", "abdce", False),
    ],
)
def test_one_edit(a: str, b: str, expected: bool) -> None:
    assert within_one_edit(a, b) is within_one_edit(b, a) is expected


def test_names_in_conflict() -> None:
    book = NameBook(identity().names, ["julia"] * 40 + ["julian"] * 30 + ["katrin"] * 50 + ["katirn"])
    assert book.conflict(("julia", "koch"), ("julian", "koch"))  # both are names of their own
    assert not book.conflict(("katrin", None), ("katirn", None))  # a slip: the other spelling is rare
    assert not book.conflict(("k", None), ("katrin", None))
    assert book.conflict(("k", None), ("julia", None))
    assert not book.conflict(("max", None), ("maximilian", None))
    assert not book.conflict(("anna", "schmidt"), ("schmidt", "anna"))
    assert book.conflict(("tim", None), ("tom", None))


def test_birth_dates_in_conflict() -> None:
    assert not birth_dates_conflict("1985-04-03", "1985-04-03")
    assert not birth_dates_conflict("1985-04-03", "1985-03-04")  # day and month swapped
    assert not birth_dates_conflict("1985-04-03", "1985-04-08")  # one digit
    assert birth_dates_conflict("1985-04-03", "1987-11-03")
