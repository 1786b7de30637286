"""Figures as text in two languages, against expectations written by hand."""

from __future__ import annotations

import contextlib
import datetime as dt
import locale

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.journey_maps.formats import MINUS, NOTHING, THIN, TIED
from cja_pipeline.journey_maps.labels import load_labels

EN = load_labels("en").formats
DE = load_labels("de").formats


@pytest.mark.parametrize(
    ("value", "digits", "english", "german"),
    [
        (1_204_311, 0, "1,204,311", "1.204.311"),
        (1234.5, 1, "1,234.5", "1.234,5"),
        (-14, 0, f"{MINUS}14", f"{MINUS}14"),
        (0.5, 0, "1", "1"),  # half up, not to even
        (2.675, 2, "2.68", "2,68"),  # by the decimal that is written, not by the binary below it
        (-0.0001, 2, "0.00", "0,00"),  # no negative zero
        (None, 0, NOTHING, NOTHING),
        (float("nan"), 0, NOTHING, NOTHING),
        (float("inf"), 0, NOTHING, NOTHING),
    ],
)
def test_numbers(value: float | None, digits: int, english: str, german: str) -> None:
    assert EN.number(value, digits) == english
    assert DE.number(value, digits) == german


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (99_999, "99,999"),
        (412_300, f"412{TIED}k"),
        (999_499, f"999{TIED}k"),
        (999_500, f"1{TIED}M"),
        (1_234_567, f"1.2{TIED}M"),
        (84_000_000, f"84{TIED}M"),
        (3_400_000_000, f"3.4{TIED}bn"),
    ],
)
def test_large_counts_are_short(value: float, text: str) -> None:
    assert EN.short(value) == text


@pytest.mark.parametrize(
    ("value", "currency", "rough", "english", "german"),
    [
        (84_000, "EUR", False, f"€{TIED}84{TIED}k", f"84{TIED}Tsd.{TIED}€"),
        (21.4, "EUR", False, f"€{TIED}21.40", f"21,40{TIED}€"),
        (138, "EUR", False, f"€{TIED}138", f"138{TIED}€"),
        (-1.3, "EUR", False, f"{MINUS}€{TIED}1.30", f"{MINUS}1,30{TIED}€"),
        (7_000, "EUR", True, f"€{TIED}7{TIED}k", f"7{TIED}Tsd.{TIED}€"),
        (999.6, "EUR", True, f"€{TIED}1{TIED}k", f"1{TIED}Tsd.{TIED}€"),
        (55, "JPY", False, f"¥{TIED}55", f"55{TIED}¥"),
        (6.5, "KWD", False, f"KWD{TIED}6.500", f"6,500{TIED}KWD"),
        (1_234, "JPY", True, f"¥{TIED}1.2{TIED}k", f"1,2{TIED}Tsd.{TIED}¥"),
        (3.456, "EUR", True, f"€{TIED}3.46", f"3,46{TIED}€"),
        (12, "XYZ", False, f"XYZ{TIED}12.00", f"12,00{TIED}XYZ"),
    ],
)
def test_money(value: float, currency: str, rough: bool, english: str, german: str) -> None:
    assert EN.money(value, currency, rough=rough) == english
    assert DE.money(value, currency, rough=rough) == german


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0294, f"2.94{THIN}%"),
        (0.412, f"41.2{THIN}%"),
        (0.00001, f"<{THIN}0.01{THIN}%"),
        (0.0, f"0.00{THIN}%"),
    ],
)
def test_shares(share: float, text: str) -> None:
    assert EN.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (42, f"42{TIED}s"),
        (19 * 60, f"19{TIED}min"),
        (5 * 3600, f"5{TIED}hours"),
        (3_600 * 2.5, f"2.5{TIED}hours"),
        (86_400, f"1{TIED}day"),
        (1.2 * 86_400, f"1.2{TIED}days"),
        (28 * 86_400, f"28{TIED}days"),
        (119 * 86_400, f"119{TIED}days"),
        (607 * 86_400, f"20{TIED}months"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert EN.duration(seconds) == text


def test_dates_write_the_year_once_where_it_is_the_same() -> None:
    assert EN.dates(dt.date(2026, 10, 24), dt.date(2026, 11, 20)) == "24 October – 20 November 2026"
    assert EN.dates(dt.date(2025, 12, 24), dt.date(2026, 1, 20)) == "24 December 2025 – 20 January 2026"
    assert EN.dates(dt.date(2026, 10, 25), dt.date(2026, 10, 27), short=True) == "25 – 27 Oct 2026"
    assert DE.dates(dt.date(2026, 10, 25), dt.date(2026, 10, 27), short=True) == "25. – 27. Okt. 2026"
    assert DE.dates(dt.date(2026, 10, 24), dt.date(2026, 11, 20)) == "24. Oktober – 20. November 2026"
    assert EN.moment(dt.datetime(2026, 11, 21, 4, 41)) == "21 Nov 2026, 04:41"  # noqa: DTZ001


def test_an_interval_writes_its_unit_once() -> None:
    assert EN.between(EN.percent(0.0279), EN.percent(0.0309)) == f"2.79 to 3.09{THIN}%"
    assert EN.between(EN.money(20.1, "EUR"), EN.money(22.8, "EUR")) == f"€{TIED}20.10 to 22.80"
    assert EN.between(EN.money(900, "EUR"), EN.money(12_000, "EUR")) == f"€{TIED}900 to 12{TIED}k"
    assert DE.between(DE.money(20.1, "EUR"), DE.money(22.8, "EUR")) == f"20,10 bis 22,80{TIED}€"


def test_the_process_locale_changes_nothing() -> None:
    expected, inherited = EN.number(1234.5, 1), locale.setlocale(locale.LC_ALL)
    try:
        for name in ("de_DE.UTF-8", "C"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, name)
                assert EN.number(1234.5, 1) == expected
    finally:
        locale.setlocale(locale.LC_ALL, inherited)


@settings(deadline=None)  # a busy machine is no fault
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_can_be_written(value: float) -> None:
    for form in (EN, DE):
        for text in (
            form.number(value, 1),
            form.short(value),
            form.percent(value),
            form.money(value, "EUR"),
            form.duration(value),
            form.change_in_points(value),
        ):
            assert text
            assert len(text) < 40
            assert "nan" not in text
            assert "inf" not in text
