"""Business days and their edges, clock changes included."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from cja_pipeline.sources.window import Window, day_of, parse_stamp, parse_time, utc_stamp, utc_text

BERLIN = "Europe/Berlin"


def test_days_are_inclusive() -> None:
    window = Window(dt.date(2026, 2, 27), dt.date(2026, 3, 2))
    assert [day.day for day in window.days()] == [27, 28, 1, 2]
    assert Window(window.start, window.start).days() == [window.start]
    with pytest.raises(ValueError, match="cannot end"):
        Window(window.end, window.start)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24), ("2028-02-29", 24)]
)
def test_a_day_lasts_as_long_as_the_clock_says(day: str, hours: int) -> None:
    window = Window(dt.date.fromisoformat(day), dt.date.fromisoformat(day))
    assert window.end_utc(BERLIN) - window.start_utc(BERLIN) == dt.timedelta(hours=hours)


def test_a_year_of_days_leaves_no_gap_and_no_overlap() -> None:
    days = Window(dt.date(2026, 1, 1), dt.date(2026, 12, 31)).days()
    edges = [(Window(day, day).start_utc(BERLIN), Window(day, day).end_utc(BERLIN)) for day in days]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(edges))
    for day, (start, end) in zip(days, edges, strict=True):
        assert day_of(start, BERLIN) == day == day_of(end - dt.timedelta(microseconds=1), BERLIN)


def test_texts_of_times() -> None:
    moment = dt.datetime(2026, 6, 1, 4, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert utc_text(moment) == "2026-06-01T02:00:00Z"
    assert parse_stamp(utc_stamp(moment)) == moment
    for text in ("2026-06-01T02:00:00Z", "2026-06-01T02:00:00+0000", "2026-06-01T04:00:00+02:00"):
        assert parse_time(text) == moment
    with pytest.raises(ValueError, match="zone"):
        parse_time("2026-06-01T02:00:00")
