"""No quote lets a personal detail through, and harmless quotes stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cja_pipeline.journey_maps.redact import QUOTE_LIMIT, clean, quote, redact

CANARIES = [
    ("Write to jane.doe+shop@example.co.uk please", "jane.doe"),
    ("Mail me at j.doe (at) example.com now", "example.com"),
    ("call +49 (0)170 123-45 67 today", "123"),
    ("call 0170/1234567 today", "1234567"),
    ("my order #10023456 never came", "10023456"),
    ("my order ND-2026-00123 never came", "00123"),
    ("card 4111 1111 1111 1111 was charged twice", "4111"),
    ("IBAN DE89 3704 0044 0532 0130 00 refund please", "3704"),
    ("follow @jane_doe_88 for more of this", "jane_doe"),
    ("see https://shop.example/orders/1?u=jane for it", "jane"),
    ("I live in Hauptstraße 12a and nothing came", "Hauptstraße"),
    ("Dear Mr Weatherby, the parcel is late", "Weatherby"),
    ("My name is Jane Doe and I am annoyed", "Doe"),
    ("Danke, Frau Müller-Lüdenscheidt hat geholfen", "Lüdenscheidt"),
    ("the agent Petrova hung up on me", "Petrova"),
    ("login U0001234 does not work at all", "U0001234"),
]


@pytest.mark.parametrize(("text", "canary"), CANARIES)
def test_personal_details_are_hidden(text: str, canary: str) -> None:
    for shown in (redact(text, {"petrova"}), quote(text, {"petrova"})):
        assert canary.lower() not in shown.lower()


@pytest.mark.parametrize(
    "text",
    [
        "€9 delivery, and you tell me now?",
        "Is this EU or UK sizing? I gave up.",
        "Nine days for my own money.",
        "The zip broke after 2 days. 100 % disappointed.",
        "Reißverschluss nach 3 Wochen kaputt, sehr ärgerlich.",
    ],
)
def test_harmless_quotes_are_shown_as_they_are(text: str) -> None:
    assert quote(text) == text


def test_a_quote_that_is_mostly_personal_is_not_shown() -> None:
    assert quote("jane@example.com and john@example.com wrote about the parcel today") == ""
    assert quote("0170 1234567") == ""
    assert quote("") == ""
    assert quote(None) == ""


def test_long_quotes_end_at_a_word_within_the_limit() -> None:
    shown = quote("the parcel came late again and again " * 20)
    assert len(shown) <= QUOTE_LIMIT
    assert shown.endswith("…")
    assert not shown[:-1].endswith(" ")


def test_text_is_cleaned_of_what_changes_other_text() -> None:
    assert clean("a\x00b\u202ec\u2066d\u200be\nf\tg", 50) == "abcde f g"
    assert clean("e\u0301", 5) == "é"
    assert len(clean("x" + "\u0301" * 500, 50)) < 6
    assert clean("\ud800x", 5).endswith("x")
    assert clean("W" * 10_000, 20) == "W" * 19 + "…"


@given(st.text(max_size=400))
def test_any_text_gives_a_short_quote_or_none(text: str) -> None:
    shown = quote(text)
    assert len(shown) <= QUOTE_LIMIT
    assert "@" not in shown
