"""Journeys from any event log: sessions, transitions, windowed funnels. Works on your own DataFrame.

An event log has the columns ``user`` (any hashable id), ``ts`` (timestamp) and ``event`` (text), one row per
event, in any order. Events of one user at the same time keep the order of the rows, except in a funnel, where
they count in the order of its steps. The work is done in SQL by an in-memory DuckDB.

The warehouse's journey tables are built by `build_funnel`, `build_paths` and `build_cohorts`.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from cja_pipeline.kpis.chains import chain_query, summary_query
from cja_pipeline.kpis.journey_build import build_cohorts, build_funnel, build_paths

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["build_cohorts", "build_funnel", "build_paths", "funnel", "sessionize", "transitions"]


def sessionize(events: pd.DataFrame, *, timeout: dt.timedelta = dt.timedelta(minutes=30)) -> pd.DataFrame:
    """Number the sessions of each user: a pause longer than `timeout` starts a new one.

    A pause of exactly `timeout` does not. Midnight does not split a session.

    Returns:
        The events sorted by user, time (UTC, without zone) and row, with ``session`` (BIGINT, from 1 for each
        user) added.
    Raises:
        ValueError: a column is missing or there already, a user or time is null, a time cannot be read, or
            the timeout is no timedelta.
    """
    if "session" in events:
        raise ValueError("the event log has a column session already; drop or rename it first.")
    return _run(
        events,
        """
        SELECT * EXCLUDE (_row, _gap), CAST(1 + sum(CASE WHEN _gap > $timeout THEN 1 ELSE 0 END) OVER (
            PARTITION BY "user" ORDER BY ts, _row ROWS UNBOUNDED PRECEDING) AS BIGINT) AS session
        FROM (SELECT *, epoch_us(ts) - epoch_us(lag(ts) OVER (PARTITION BY "user" ORDER BY ts, _row)) AS _gap
              FROM log) AS gaps
        ORDER BY "user", ts, _row
        """,
        timeout=_microseconds("timeout", timeout),
    )


def transitions(
    events: pd.DataFrame, *, by: Sequence[str] | str = ("user",), ends: bool = True, collapse: bool = False
) -> pd.DataFrame:
    """Count which event directly follows which.

    Args:
        by: columns that hold one sequence together, for example ``("user", "session")``.
        ends: also count from ``start`` to each first event and from each last event to ``exit``.
        collapse: drop direct repeats of an event first.

    Returns:
        ``from_event, to_event, n`` (moves), ``users`` (distinct), ``rate`` (share of moves that leave
        from_event), ordered by n descending, then by name.
    Raises:
        ValueError: a column is missing, a user, time or event is null, or a time cannot be read.
    """
    by = (by,) if isinstance(by, str) else by
    _named(events)
    keys = ", ".join(f'"{column}"' for column in by)
    order = f"PARTITION BY {keys} ORDER BY ts, _row"
    return _run(
        events,
        f"""
        WITH marked AS (SELECT *, lag(event) OVER ({order}) AS previous FROM log),
        kept AS (SELECT * FROM marked WHERE previous IS NULL OR previous <> event OR NOT $collapse),
        moves AS (
            SELECT "user", event AS from_event, lead(event) OVER ({order}) AS following, 1 AS inner_move
            FROM kept
            UNION ALL
            SELECT "user", 'start', event, 0 FROM kept WHERE previous IS NULL
        )
        SELECT from_event, coalesce(following, 'exit') AS to_event, count(*) AS n,
               count(DISTINCT "user") AS users,
               count(*) / sum(count(*)) OVER (PARTITION BY from_event) AS rate
        FROM moves WHERE $ends OR (inner_move = 1 AND following IS NOT NULL)
        GROUP BY from_event, coalesce(following, 'exit')
        ORDER BY n DESC, from_event, to_event
        """,
        also=by,
        ends=ends,
        collapse=collapse,
    )


def funnel(
    events: pd.DataFrame,
    steps: Sequence[str],
    *,
    window: dt.timedelta | None = dt.timedelta(days=7),
    counting: Literal["best_chain", "first_entry"] = "best_chain",
    now: dt.datetime | None = None,
) -> pd.DataFrame:
    """How many users go through `steps` in this order within `window` (other events in between are allowed).

    ``best_chain``: a user reaches a step if any start leads there in time. ``first_entry``: only the first
    start counts, as in tools that count a user once, when first entering. The two can differ by a third.

    Args:
        steps: event names; one may occur twice and then needs two events.
        window: time from the first step to the last, both ends included; None for no limit.
        now: end of observation, default the newest event of the log.

    Returns:
        One row per step: ``step, event, users, previous, rate, ci_low, ci_high`` (Wilson, 95 %),
        ``median_seconds`` from the start (quickest chain of each user), ``immature`` (users one step before,
        whose window still runs at `now`), ``counting``. A step that never occurs warns: it may be misspelt.
    Raises:
        ValueError: fewer than two steps, an unknown counting, or an event log as in `transitions`.
    """
    from cja_pipeline.kpis.stats import wilson

    if isinstance(steps, str) or len(steps) < 2:
        raise ValueError("funnel: expected a list of two or more steps.")
    if counting not in ("best_chain", "first_entry"):
        raise ValueError(f"counting: expected best_chain or first_entry, got {counting!r}.")
    _named(events)
    for step in dict.fromkeys(steps):
        if len(events) and not (events["event"] == step).any():
            warnings.warn(f"funnel: no event is called {step!r}", stacklevel=2)
    names = list(dict.fromkeys(steps))
    codes = [names.index(step) + 1 for step in steps]
    limit = None if window is None else _microseconds("window", window)
    source = (
        'SELECT "user", epoch_us(ts) AS ts, _row AS tie, list_position($names, event) AS code FROM log '
        "WHERE list_contains($names, event)"
    )
    horizon = "(SELECT epoch_us(max(ts)) FROM log)" if now is None else f"epoch_us(TIMESTAMP '{_naive(now)}')"
    chains = chain_query("step_events", ['"user"'], codes, limit, counting)
    row = _run(
        events,
        f"WITH step_events AS ({source}) {summary_query(chains, [], len(steps), limit, horizon)}",
        names=names,
    ).iloc[0]
    import pandas as pd

    result = pd.DataFrame(
        {
            "step": range(1, len(steps) + 1),
            "event": list(steps),
            "users": [int(row[f"users_{i}"]) for i in range(1, len(steps) + 1)],
        }
    )
    result["previous"] = result["users"].shift().astype("Int64")
    before = result["users"].shift()
    result["rate"] = result["users"] / before.where(before > 0)
    result["ci_low"], result["ci_high"] = wilson(result["users"], before)
    result["median_seconds"] = [row[f"median_{i}"] for i in range(1, len(steps) + 1)]
    result["immature"] = [int(row[f"immature_{i}"]) for i in range(1, len(steps) + 1)]
    return result.assign(counting=counting)


def _run(events: pd.DataFrame, query: str, also: Sequence[str] = (), **params: object) -> pd.DataFrame:
    import duckdb

    if not hasattr(events, "columns"):
        raise ValueError("expected a DataFrame with the columns user, ts and event.")
    missing = [column for column in dict.fromkeys(("user", "ts", "event", *also)) if column not in events]
    if missing:
        raise ValueError(f"the event log lacks the columns {missing}; expected user, ts and event.")
    if events["user"].isna().any() or events["ts"].isna().any():
        raise ValueError("the event log has rows without user or time; remove them first.")
    log = events.reset_index(drop=True).assign(ts=_moments(events["ts"]))
    log["_row"] = range(len(log))
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("frame", log)
        connection.execute(
            "CREATE TEMP TABLE log AS SELECT * REPLACE (CAST(ts AS TIMESTAMP) AS ts) FROM frame"
        )
        return connection.execute(query, params).df() if params else connection.execute(query).df()


def _named(events: pd.DataFrame) -> None:
    if "event" in getattr(events, "columns", ()) and events["event"].isna().any():
        raise ValueError("the event log has rows without an event; name or remove them first.")


def _moments(times: pd.Series) -> Any:
    """Times as naive UTC; texts are read, numbers are not (of what unit?)."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(times) and len(times):
        raise ValueError(
            "ts: expected timestamps, got numbers; convert them with pandas.to_datetime(…, unit=…)."
        )
    texts = times.dtype == object or pd.api.types.is_string_dtype(times)
    try:
        form = "ISO8601" if texts else None
        return pd.to_datetime(times.to_numpy(), utc=True, format=form).tz_localize(None)
    except (TypeError, ValueError):
        raise ValueError("ts: expected timestamps or texts such as 2026-03-29 14:05:00.") from None


def _microseconds(name: str, span: dt.timedelta) -> int:
    if not isinstance(span, dt.timedelta) or span < dt.timedelta(0):
        raise ValueError(f"{name}: expected a datetime.timedelta of 0 or more, got {span!r}.")
    return span // dt.timedelta(microseconds=1)


def _naive(moment: dt.datetime) -> str:
    return (moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat(sep=" ")
