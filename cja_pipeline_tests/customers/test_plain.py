"""The warehouse reads plain ids and addresses as the Normaliser does."""

from __future__ import annotations

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from cja_pipeline.customers.config import Identity, identity
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.customers.identity.plain import (
    is_plain_id,
    is_plain_mail,
    plain_domain,
    plain_id,
    plain_mails,
)

RULES: Identity = identity()
NORMALISER = Normaliser(RULES)
PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
IDS = st.lists(
    st.one_of(
        st.text(PRINTABLE, max_size=12),
        st.sampled_from([*RULES.junk_ids, "0-0", "-", "Ä17", " A17", "A17\t", "a" * 200, "a" * 201]),
        st.sampled_from(RULES.junk_ids).map(str.upper),
    ),
    min_size=1,
)
MAIL = RULES.email
LOCALS = st.one_of(
    st.text([*"abA.+-_'%{0", *PRINTABLE], max_size=8),
    st.sampled_from([*MAIL.role_names, "info+x", "mailto:anna", "MAILTO:anna", "+", "", "jürgen", "."]),
)
DOMAINS = st.one_of(
    st.sampled_from(
        [*MAIL.ignore_dots, *MAIL.ignore_plus, *MAIL.same_domain, *MAIL.misspelt, *MAIL.junk_domains,
         *MAIL.own_domains, "Firma.DE", "web.de.", "web", "müller.de", "a_b.com", ""]
    ),
    st.sampled_from([*MAIL.misspelt_endings, "com"]).map(lambda ending: f"firma.{ending}"),
    st.text([*"ab.-_", *PRINTABLE], max_size=8),
)  # fmt: skip
MAILS = st.lists(
    st.one_of(
        st.tuples(LOCALS, st.sampled_from(["@", "@", "@", "@@", ""]), DOMAINS).map("".join),
        st.sampled_from([*MAIL.junk_values, " anna@web.de", "ＡＮＮＡ@web.de"]),
    ),
    min_size=1,
)


@given(IDS)
@example(["nULL", "000", "A-17"])
def test_ids(values: list[str]) -> None:
    rows = _rows(values, f"SELECT value, {plain_id('value', RULES)} FROM given WHERE {is_plain_id('value')}")
    assert rows == [(value, NORMALISER.identifier(value)) for value, _ in rows]
    assert {value for value in values if value.isascii() and value.isalnum()} <= {value for value, _ in rows}


@given(MAILS)
@example(
    ["Anna.Meier@GMAIL.com", "anna+shop@googlemail.com", "info+x@firma.de", "anna@nordlicht-outdoor.example"]
)
def test_addresses(values: list[str]) -> None:
    con = _given(values)
    said = con.execute(
        f"SELECT DISTINCT {plain_domain('value')} FROM given WHERE {is_plain_mail('value')}"
    ).fetchall()
    con.execute("CREATE TABLE domains (said VARCHAR, domain VARCHAR)")
    for (domain,) in said:
        con.execute("INSERT INTO domains VALUES (?, ?)", [domain, NORMALISER.domain(domain)])
    select = (
        f"SELECT value, domain FROM (SELECT * FROM given WHERE {is_plain_mail('value')}) JOIN domains"
        f" ON said = {plain_domain('value')}"
    )
    rows = con.execute(plain_mails(select, RULES)).fetchall()
    read = NORMALISER.email, NORMALISER.as_hashed_by_vendors
    assert sorted(rows, key=str) == sorted(((v, read[0](v), read[1](v)) for v, *_ in rows), key=str)
    plain = {v for v in values if v.isascii() and v.count("@") == 1 and v.isprintable() and " " not in v}
    assert {v for v in plain if not v.startswith("@") and not v.endswith("@")} == {v for v, *_ in rows}


def _rows(values: list[str], select: str) -> list[tuple[str, ...]]:
    return _given(values).execute(select).fetchall()


def _given(values: list[str]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE TABLE given AS SELECT unnest(?::VARCHAR[]) AS value", [values])
    return con
