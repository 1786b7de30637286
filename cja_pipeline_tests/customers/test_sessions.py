"""Visits against a brute-force reading of the rules."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cja_pipeline.customers.build import build_sessions
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import SECRET, at, put, warehouse

TIMEOUT = dt.timedelta(minutes=30)
CAP = dt.timedelta(hours=24)
START = at("24 20:00", month=10)


def visits(events: list[dict]) -> list[tuple[str, dt.datetime, dt.datetime, int]]:
    """Straightforward: walk each device's events in order and open a visit where a rule says so."""
    found = []
    for visitor in sorted({event["visitor_id"] for event in events} - {None}):
        times = sorted(event["occurred_at"] for event in events if event["visitor_id"] == visitor)
        run_start = times[0]
        current = [times[0]]
        for before, now in itertools.pairwise(times):
            new_run = now - before > TIMEOUT
            new_part = (now - run_start) // CAP != (before - run_start) // CAP
            if new_run or new_part:
                found.append((visitor, current[0], current[-1], len(current)))
                current = []
            if new_run:
                run_start = now
            current.append(now)
        found.append((visitor, current[0], current[-1], len(current)))
    return sorted(found)


def cut(wh: Warehouse) -> list[tuple[str, dt.datetime, dt.datetime, int]]:
    rows = wh.sql(
        "SELECT m.visitor_id, min(a.occurred_at), max(a.occurred_at), count(*) "
        "FROM customers.web_activity a JOIN customers.visitor_map m USING (visitor_key) "
        "GROUP BY m.visitor_id, a.session_id"
    ).fetchall()
    return sorted(rows)


def sessions(wh: Warehouse) -> list[tuple[str, dt.datetime, dt.datetime, int]]:
    resolve_warehouse(wh, SECRET)
    build_sessions(wh)
    rows = cut(wh)
    totals = wh.sql("SELECT count(*), sum(events) FROM customers.sessions").fetchall()[0]
    assert totals == (len(rows), sum(row[3] for row in rows) or None)
    return rows


def session_starts(*times: dt.datetime) -> list[dt.datetime]:
    wh = warehouse(web_events=[{"occurred_at": time} for time in times])
    return [row[1] for row in sessions(wh)]


def test_pause_of_exactly_the_timeout_does_not_split() -> None:
    assert len(session_starts(at("2 10:00"), at("2 10:29:59"))) == 1
    assert len(session_starts(at("2 10:00"), at("2 10:30:00"))) == 1
    assert len(session_starts(at("2 10:00"), at("2 10:30:01"))) == 2
    just_over = at("2 10:30") + dt.timedelta(microseconds=1)
    assert len(session_starts(at("2 10:00"), just_over)) == 2


def test_midnight_does_not_split() -> None:
    starts = session_starts(at("2 22:50"), at("2 23:10"), at("2 23:20"))  # 23:50 to 00:20 in Berlin
    assert starts == [at("2 22:50")]
    assert session_starts(at("2 23:50"), at("3 00:20")) == [at("2 23:50")]


def test_cut_after_24_hours_without_a_pause() -> None:
    times = [at("2 10:00") + dt.timedelta(minutes=20 * step) for step in range(3 * 24 * 2)]
    assert session_starts(*times) == [at("2 10:00"), at("3 10:00")]


def test_clock_change_is_an_hour_like_any_other() -> None:
    # 2026-10-25 03:00 becomes 02:00 in Berlin: 02:50 summer time and 02:05 winter time are 15 minutes apart
    summer, winter = at("25 0:50", month=10), at("25 1:05", month=10)
    assert session_starts(summer, winter) == [summer]


def test_business_date_in_the_zone_of_the_shop() -> None:
    wh = warehouse(
        web_events=[
            {"visitor_id": "a", "occurred_at": at("24 21:59", month=10)},
            {"visitor_id": "b", "occurred_at": at("24 22:00", month=10)},
            {"visitor_id": "c", "occurred_at": at("25 22:59", month=10)},
            {"visitor_id": "d", "occurred_at": at("25 23:00", month=10)},
        ]
    )
    sessions(wh)
    days = [
        row[0].day
        for row in wh.sql("SELECT business_date FROM customers.sessions ORDER BY started_at").fetchall()
    ]
    assert days == [24, 25, 25, 26]  # the 25th has 25 hours


def test_without_consent_counted_but_never_a_visit() -> None:
    wh = warehouse(
        web_events=[
            {"occurred_at": at("2 10:00"), "visitor_id": None, "event_name": "page_view"},
            {"occurred_at": at("2 10:01"), "visitor_id": None, "event_name": "purchase", "order_id": "O1"},
            {"occurred_at": at("2 10:02"), "visitor_id": None, "event_name": "purchase", "order_id": "O1"},
        ]
    )
    assert sessions(wh) == []
    rows = wh.sql("SELECT event_name, events, orders FROM customers.consent_denied ORDER BY 1").fetchall()
    assert rows == [("page_view", 1, 0), ("purchase", 2, 1)]


def test_two_devices_at_once_are_two_visits() -> None:
    wh = warehouse(
        web_events=[
            {"visitor_id": "phone", "login_id": "U1", "occurred_at": at("2 10:00")},
            {"visitor_id": "laptop", "login_id": "U1", "occurred_at": at("2 10:01")},
            {"visitor_id": "phone", "login_id": "U1", "occurred_at": at("2 10:02")},
        ]
    )
    assert len(sessions(wh)) == 2
    assert wh.scalar("SELECT count(DISTINCT customer_id) FROM customers.sessions") == 1


# minutes from the start, with many exact ties and pauses around the timeout
minute = st.one_of(
    st.integers(0, 60 * 40),
    st.sampled_from([0, 29, 30, 31, 60, 61, 24 * 60, 24 * 60 - 1, 24 * 60 + 1]),
)
events_strategy = st.lists(
    st.tuples(st.sampled_from(["v1", "v2", None]), minute, st.sampled_from([0, 1, 59])),
    min_size=1,
    max_size=60,
)


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    devices = [{"visitor_id": name, "occurred_at": START} for name in ("v", "v1", "v2")]
    wh = warehouse(web_events=devices)
    resolve_warehouse(wh, SECRET)
    return wh


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events_strategy, st.randoms(use_true_random=False))
def test_as_brute_force(shared: Warehouse, drawn: list, shuffler: random.Random) -> None:
    events = [
        {
            "event_id": f"x{number}",
            "visitor_id": visitor,
            "occurred_at": START + dt.timedelta(minutes=minutes, seconds=seconds),
        }
        for number, (visitor, minutes, seconds) in enumerate(drawn)
    ]
    put(shared, "web_events", events)
    shared.ensure("customers.consent_spells")
    shared.build("customers.web_activity")
    first = cut(shared)
    assert first == visits(events)
    ids = shared.sql("SELECT event_id, session_id FROM customers.web_activity ORDER BY 1").fetchall()
    # the order of arrival and a second run change nothing
    shuffled = list(events)
    shuffler.shuffle(shuffled)
    put(shared, "web_events", shuffled)
    shared.build("customers.web_activity")
    assert cut(shared) == first
    assert shared.sql("SELECT event_id, session_id FROM customers.web_activity ORDER BY 1").fetchall() == ids


def test_long_chains_without_a_pause_are_cut_like_brute_force(shared: Warehouse) -> None:
    rng = random.Random(5)
    moment, events = START, []
    for number in range(900):
        moment += dt.timedelta(
            seconds=rng.choice([60, 600, 1500, 1799, 1800, 1801 if rng.random() < 0.02 else 900])
        )
        events.append({"event_id": f"x{number}", "visitor_id": "v", "occurred_at": moment})
    shared.ensure("customers.consent_spells")
    put(shared, "web_events", events)
    shared.build("customers.web_activity")
    assert cut(shared) == visits(events)


def test_engagement() -> None:
    wh = warehouse(
        web_events=[
            {"visitor_id": "short", "occurred_at": at("2 10:00"), "engagement_ms": 9_999},
            {"visitor_id": "long", "occurred_at": at("2 10:00"), "engagement_ms": 10_000},
            {"visitor_id": "two", "occurred_at": at("2 10:00")},
            {"visitor_id": "two", "occurred_at": at("2 10:01")},
            {"visitor_id": "buys", "occurred_at": at("2 10:00"), "event_name": "purchase", "order_id": "O1"},
        ]
    )
    sessions(wh)
    rows = wh.sql(
        "SELECT m.visitor_id, s.engaged, s.is_bounce FROM customers.sessions s "
        "JOIN customers.visitor_map m USING (customer_id) ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("buys", True, False),
        ("long", True, False),
        ("short", False, True),
        ("two", True, False),
    ]


def test_order_reported_twice_counts_once_and_pages_are_in_order() -> None:
    wh = warehouse(
        web_events=[
            {
                "occurred_at": at("2 10:02"),
                "event_name": "purchase",
                "order_id": "O1",
                "page_path": "/thanks",
            },
            {
                "occurred_at": at("2 10:03"),
                "event_name": "purchase",
                "order_id": "O1",
                "page_path": "/thanks",
            },
            {"occurred_at": at("2 10:00"), "event_name": "page_view", "page_path": "/start"},
        ]
    )
    sessions(wh)
    row = wh.sql(
        "SELECT orders, order_id, landing_page, exit_page, events FROM customers.sessions"
    ).fetchall()[0]
    assert row == (1, "O1", "/start", "/thanks", 3)


def test_machines_are_marked() -> None:
    def hits(visitor: str, count: int, pause: float, engagement: int | None = None) -> list[dict]:
        steps = [dt.timedelta(seconds=pause * step) for step in range(count)]
        return [
            {"visitor_id": visitor, "occurred_at": at("2 10:00") + step, "engagement_ms": engagement}
            for step in steps
        ]

    flood, silent, reader = hits("flood", 300, 0.1), hits("silent", 31, 3), hits("reader", 60, 20, 9000)
    query = "SELECT events, is_bot FROM customers.sessions ORDER BY 1"
    wh = warehouse(web_events=[*flood, *silent, *reader])
    sessions(wh)
    assert wh.sql(query).fetchall() == [(31, True), (60, False), (300, True)]
    # where no time in the foreground is measured at all, silence says nothing
    put(wh, "web_events", [*flood, *silent])
    sessions(wh)
    assert wh.sql(query).fetchall() == [(31, False), (300, True)]
