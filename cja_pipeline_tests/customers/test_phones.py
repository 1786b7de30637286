"""The answer from the tables is the library's own, wherever and however a number is written."""

from __future__ import annotations

import random

import phonenumbers
import pytest

from cja_pipeline.customers.identity import phones

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
        compact = phones._BETWEEN.sub("", value)
        plain = phones._PLAIN.fullmatch(compact)
        found = plain and phones._by_table(compact, plain[1], region)
        if found:
            by_table += 1
            assert found == phones._by_library(value, region), (value, region)
    assert by_table > 500
