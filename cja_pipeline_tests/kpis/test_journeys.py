"""Sessions, transitions and funnels against brute force on random logs, with ties and day borders."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.journeys import funnel, sessionize, transitions

# random logs often lack a step
pytestmark = pytest.mark.filterwarnings("ignore:funnel")
MIDNIGHT = dt.datetime(2026, 3, 1)  # noqa: DTZ001 - the warehouse's times are naive UTC
NAMES = ["view", "cart", "checkout", "buy"]

# times in steps of 10 minutes around midnight: ties and pauses of exactly 30 minutes are frequent
LOGS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(-20, 40), st.sampled_from(NAMES)), min_size=1, max_size=60
)
FEW = settings(max_examples=20, deadline=None, derandomize=True)


def frame(rows: list[tuple[int, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user": [f"u{user}" for user, _, _ in rows],
            "ts": [MIDNIGHT + dt.timedelta(minutes=10 * moment) for _, moment, _ in rows],
            "event": [event for _, _, event in rows],
        }
    )


def by_user(rows: list[tuple[int, int, str]]) -> dict[int, list[tuple[int, str]]]:
    """Each user's events by time; equal times keep the order of rows."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for user, moment, event in rows:
        found[user].append((moment, event))
    return {user: sorted(events, key=lambda e: e[0]) for user, events in sorted(found.items())}


@FEW
@given(LOGS)
def test_sessions_equal_brute_force(rows):
    expected = []
    for user, events in by_user(rows).items():
        session, last = 0, None
        for moment, event in events:
            if last is None or (moment - last) * 10 > 30:
                session += 1
            last = moment
            expected.append((f"u{user}", event, session))
    got = sessionize(frame(rows))
    assert list(zip(got["user"], got["event"], got["session"], strict=True)) == expected


@FEW
@given(LOGS, st.booleans(), st.booleans())
def test_transitions_equal_brute_force(rows, ends, collapse):
    moves, users = Counter(), defaultdict(set)
    for user, events in by_user(rows).items():
        names = [event for _, event in events]
        if collapse:
            names = [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
        if ends:
            names = ["start", *names, "exit"]
        for pair in itertools.pairwise(names):
            moves[pair] += 1
            users[pair].add(user)
    got = transitions(frame(rows), ends=ends, collapse=collapse)
    found = {(r.from_event, r.to_event): (r.n, r.users) for r in got.itertuples()}
    assert found == {pair: (n, len(users[pair])) for pair, n in moves.items()}
    assert got.groupby("from_event")["rate"].sum().round(12).eq(1).all()


def reached(events: list[tuple[int, str]], steps: list[str], window: int | None, first_only: bool) -> int:
    """Furthest step of one user, by trying every chain of events."""
    rank = {name: steps.index(name) for name in steps}
    log = sorted((m, rank[e], i, e) for i, (m, e) in enumerate(events) if e in rank)
    starts = [i for i, (_, _, _, event) in enumerate(log) if event == steps[0]]
    best = 0

    def follow(place: int, step: int, start: int) -> int:
        deepest = step
        for i in range(place + 1, len(log)):
            moment, _, _, event = log[i]
            if window is not None and moment - start > window:
                break
            if step < len(steps) and event == steps[step]:
                deepest = max(deepest, follow(i, step + 1, start))
        return deepest

    for place in starts[:1] if first_only else starts:
        best = max(best, follow(place, 1, log[place][0]))
    return best


@FEW
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(-6, 12), st.sampled_from(NAMES)), min_size=1, max_size=24
    ),
    st.sampled_from([["view", "cart", "buy"], NAMES, ["view", "view", "buy"], ["cart", "view"]]),
    st.sampled_from([None, 0, 3, 6]),
    st.sampled_from(["best_chain", "first_entry"]),
)
def test_funnel_equals_brute_force(rows, steps, window, counting):
    depths = [reached(events, steps, window, counting == "first_entry") for events in by_user(rows).values()]
    limit = None if window is None else dt.timedelta(minutes=10 * window)
    got = funnel(frame(rows), steps, window=limit, counting=counting)
    assert got["users"].tolist() == [sum(depth >= i for depth in depths) for i in range(1, len(steps) + 1)]


def test_counting_modes_differ_as_they_should():
    """A visitor who comes back a month later and then buys at once is a buyer of the best chain only."""
    log = frame([(1, 0, "view"), (1, 5000, "view"), (1, 5001, "cart"), (1, 5002, "buy")])
    steps, week = ["view", "cart", "buy"], dt.timedelta(days=7)
    best = funnel(log, steps, window=week)
    first = funnel(log, steps, window=week, counting="first_entry")
    assert best["users"].tolist() == [1, 1, 1]
    assert best["median_seconds"].tolist() == [0, 600, 1200]
    assert first["users"].tolist() == [1, 0, 0]


def test_running_windows_are_immature_not_lost():
    log = frame([(1, 0, "view"), (2, 0, "view"), (2, 1, "buy"), (3, 700, "view")])
    got = funnel(log, ["view", "buy"], window=dt.timedelta(days=7))
    assert got["immature"].tolist() == [0, 2]
    late = funnel(log, ["view", "buy"], window=dt.timedelta(days=7), now=MIDNIGHT + dt.timedelta(days=10))
    assert late["immature"].tolist() == [0, 1]


def test_wilson_interval_of_a_step():
    log = frame([(i, 0, "view") for i in range(263)] + [(i, 1, "buy") for i in range(81)])
    step = funnel(log, ["view", "buy"]).iloc[1]
    assert (round(step["ci_low"], 4), round(step["ci_high"], 4)) == (0.2553, 0.3662)  # Newcombe 1998


def test_a_session_does_not_end_at_midnight():
    got = sessionize(frame([(1, -1, "view"), (1, 1, "cart"), (1, 5, "buy")]))
    assert got["session"].tolist() == [1, 1, 2]


def test_bad_logs_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"lacks the columns \['event'\]"):
        sessionize(frame([(1, 0, "view")]).drop(columns="event"))
    with pytest.raises(ValueError, match="without user or time"):
        funnel(frame([(1, 0, "view")]).assign(user=None), ["view", "buy"])
