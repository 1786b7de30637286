"""The answer from the tables is the library's own, wherever and however a number is written."""

from __future__ import annotations

import random
from pathlib import Path

import phonenumbers
import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity import phones
from cja_pipeline.customers.identity.exchange import fill, text_table
from cja_pipeline.customers.identity.normalise import Normaliser
from cja_pipeline.customers.identity.plain_phones import read_plain_phones
from cja_pipeline.warehouse import Warehouse

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
SPELLINGS = ("+{code}{n}", "00{code}{n}", "0{n}", "{n}", "+{code} (0){n}", "+{code} {n}", "0049{n}", "+{n}",
             "00{n}", "011{code}{n}", "1{n}", "{code}{n}")  # fmt: skip


def spelled(rng: random.Random, region: str) -> str:
    """A number of a region, real or nearly so, in any spelling."""
    example = phonenumbers.example_number(region)
    digits = str(example.national_number if example else rng.randrange(10**4, 10**11))
    digits = rng.choice(["", digits[: rng.randrange(1, len(digits) + 1)]]) + str(
        rng.randrange(10 ** rng.randrange(2, 9))
    )
    if rng.random() < 0.6 and example:
        digits = str(example.national_number)
    text = rng.choice(SPELLINGS).format(code=phonenumbers.country_code_for_region(region), n=digits)
    return "".join(rng.choice(["", "", "", " ", "-", "/", "."]) + letter for letter in text)


@pytest.mark.parametrize("seed", range(4))
def test_as_the_library_says(seed: int) -> None:
    rng = random.Random(seed)
    by_table = 0
    for _ in range(4_000):
        region = rng.choice([*REGIONS, "DE", "DE", "AT", "FR", "GB"])
        value = spelled(rng, rng.choice([region, region, rng.choice(REGIONS)]))
        compact = phones.BETWEEN.sub("", value)
        plain = phones.PLAIN.fullmatch(compact)
        found = plain and phones._by_table(compact, plain[1], region)
        if found:
            by_table += 1
            assert found == phones._by_library(value, region), (value, region)
    assert by_table > 500


@pytest.mark.parametrize("home", ["DE", "US", "IT"])
def test_the_warehouse_reads_plain_spellings_as_the_normaliser(home: str, tmp_path: Path) -> None:
    rules = identity()
    rules = rules.model_copy(update={"phone": rules.phone.model_copy(update={"default_region": home})})
    normaliser, rng = Normaliser(rules), random.Random(home)
    rows = [("01512 3456789", "ＤＥ"), ("+49 151 23456789", "Deutschland"), ("0049 030 1234567", None)]
    for junk in (
        *rules.phone.junk_digits,
        *rules.phone.own_numbers,
        "0151 11111111",
        "0151 15151515",
        "",
        "-",
    ):
        rows += [(f"{start}{junk}", None) for start in ("", "0", "+49", "0049", "+")]
    for _ in range(20_000):
        region = rng.choice([*REGIONS, *["DE", "DE", "AT", "FR", "GB"] * 40])
        rows.append((spelled(rng, region), rng.choice([region, region, None, region.lower(), "", "XX"])))
    with Warehouse(tmp_path / "w.duckdb") as wh:
        table = text_table([(str(n), *row) for n, row in enumerate(rows)], ("node", "value", "country"))
        fill(wh, "given", table)
        read_plain_phones(wh, normaliser, "SELECT * FROM given")
        found = wh.sql(
            "SELECT CAST(node AS INTEGER), value, country, is_read, number FROM said_phones"
        ).fetchall()
    assert sorted(row[:3] for row in found) == [(n, *row) for n, row in enumerate(rows)]
    read = [(value, country, number) for _, value, country, is_read, number in found if is_read]
    assert read == [(value, country, normaliser.phone(value, country)) for value, country, _ in read]
    assert all(number is None for *_, is_read, number in found if not is_read)
    assert len(read) > 2_000
    assert sum(number is None for *_, number in read) > (0 if home == "US" else 3)
