"""The pipeline's rooms beside other ways to the same outputs: one run, one world, each in its own process.

What is compared is the way from landed files to the outputs of `outputs.COMPARED`; the identity map is handed
to everybody (``cja bench identity`` measures that part). A contender whose rows differ from the pipeline's in
any compared column has not done the same work: the outputs that differ are told beside its cost.
"""

from __future__ import annotations

import datetime as dt
import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cja_pipeline.machine import Cost, Meter, apart
from cja_pipeline.settings import get_settings, own_home
from cja_pipeline.trials.rivals.given import Given, hand_out
from cja_pipeline.trials.rivals.journey_tools import compare
from cja_pipeline.trials.rivals.outputs import COMPARED, differences, of_pipeline

ROOMS, SCRIPT, PANDAS = "the pipeline's rooms", "one hand-written DuckDB script", "the same in pandas"
CONTENDERS = {ROOMS: "rooms", SCRIPT: "duckdb_script", PANDAS: "pandas_script"}
TIMES_SCRIPT, TIMES_PANDAS, MEMORY_SHARE, OVERHEAD = 1.3, 4.0, 0.5, 0.2
NIGHT, LARGE = 900_000, 9_000_000  # web events from which on the limits are judged: about a million, ten


@dataclass(frozen=True)
class Result:
    """What a contender cost, and per output that differs from the rooms' its rows lacking and too many."""

    name: str
    cost: Cost
    differs: dict[str, tuple[int, int]]


def rivals_trial(
    customers: int,
    days: int,
    contenders: Sequence[str] = tuple(CONTENDERS),
    *,
    night: bool = True,
    retentioneering: Path | None = None,
) -> dict[str, Any]:
    """Simulate a shop, run its night, build the outputs by each contender.

    Args:
        night: False makes only what contenders are handed, without Dagster, checks, KPIs and pages.
        retentioneering: a Python that has it, to be compared with.

    Returns:
        ``events``; ``night``: the rows of ``cja bench``; ``rivals``: cost and differences of each contender;
        ``bars``: see `bars`; ``tools``: see `journey_tools`.
    """
    with tempfile.TemporaryDirectory(prefix="cja-rivals-") as name:
        folder = Path(name)
        before = _night if night else _handed_only
        rows, until = apart(before, folder / "home", folder / "handed", customers, days)
        limits = get_settings()
        given = Given(
            folder / "home" / "landing", folder / "handed", until, limits.memory_limit, limits.threads
        )
        results = [race(contender, given, folder) for contender in contenders]
        events = apart(_events, folder)
        tools = []
        if retentioneering:
            apart(_event_log, folder)
            tools = compare(retentioneering, folder / "events.parquet")
    return {
        "events": events,
        "night": rows,
        "rivals": [{"name": one.name, **asdict(one.cost), "differs": one.differs} for one in results],
        "bars": bars(rows, {one.name: one.cost for one in results}, events),
        "tools": tools,
    }


def race(contender: str, given: Given, folder: Path) -> Result:
    """Build the outputs by a contender in a process of its own, compare them with those of the rooms."""
    place = folder / CONTENDERS[contender]
    place.mkdir()
    cost = apart(_build, CONTENDERS[contender], given, place)
    found = {} if contender == ROOMS else apart(_compare, folder / CONTENDERS[ROOMS], place)
    return Result(contender, cost, found)


def bars(
    night: Sequence[dict[str, Any]], costs: dict[str, Cost], events: int
) -> list[dict[str, float | str | bool | None]]:
    """The limits and whether they are met; None where there are fewer events than a limit is about.

    Against the script CPU seconds count, which other jobs on the machine change least; against pandas, which
    uses one thread where DuckDB uses two, the time that people wait.
    """
    measured = []
    rows = {row["room"]: row["cpu_seconds"] for row in night}
    if rows:
        overhead = (rows["checks"] + rows["Dagster"]) / rows["night as a whole"]
        measured.append(
            ("checks and Dagster, share of the night's CPU seconds", overhead, OVERHEAD, True, NIGHT)
        )
    if SCRIPT in costs:
        times = costs[ROOMS].cpu_seconds / costs[SCRIPT].cpu_seconds
        measured.append(("rooms, times the script's CPU seconds", times, TIMES_SCRIPT, True, NIGHT))
    if PANDAS in costs:
        times = costs[PANDAS].seconds / costs[ROOMS].seconds
        share = costs[ROOMS].peak_mb / costs[PANDAS].peak_mb
        measured.append(("pandas, times the rooms' wall seconds", times, TIMES_PANDAS, False, LARGE))
        measured.append(("rooms' memory, share of pandas'", share, MEMORY_SHARE, True, LARGE))
    return [
        {
            "bar": name,
            "measured": round(value, 2),
            "limit": limit,
            "from_events": least,
            "met": (value <= limit if at_most else value >= limit) if events >= least else None,
        }
        for name, value, limit, at_most, least in measured
    ]


def _night(home: Path, handed: Path, customers: int, days: int) -> tuple[list[dict[str, Any]], dt.datetime]:
    from cja_pipeline.bench import measure_night
    from cja_pipeline.warehouse import Warehouse

    rows, ok = measure_night(home, customers, days)
    if not ok:
        raise RuntimeError("the night failed: nothing to compare with")
    with Warehouse(home / "warehouse.duckdb") as wh:
        return rows, hand_out(wh, handed)


def _handed_only(home: Path, handed: Path, customers: int, days: int) -> tuple[list[Any], dt.datetime]:
    """What `_night` leaves for contenders, by the same steps without Dagster; no costs."""
    from cja_pipeline.customers.config import config_tables
    from cja_pipeline.customers.feedback import build_feedback
    from cja_pipeline.customers.identity import resolve_warehouse
    from cja_pipeline.simulator.ensure import ensure_world
    from cja_pipeline.trials.worlds import TABLES, land
    from cja_pipeline.validated.load import load
    from cja_pipeline.warehouse import Warehouse

    first, last = ensure_world(home / "world", customers=customers, days=days)
    with own_home(home), Warehouse(home / "warehouse.duckdb") as wh:
        as_of = land(home / "world", first, last, home / "landing")
        for table in TABLES:
            load(wh, table, home / "landing", None, "trial")
        config_tables(wh, as_of.astimezone(dt.UTC).replace(tzinfo=None))
        resolve_warehouse(wh, b"key of the trials")
        build_feedback(wh)
        return [], hand_out(wh, handed)


def _build(module: str, given: Given, folder: Path) -> Cost:
    meter = Meter()
    with own_home(folder / "home"):
        importlib.import_module(f"cja_pipeline.trials.rivals.{module}").build(given, folder)
    return meter.read()


def _compare(ours: Path, theirs: Path) -> dict[str, tuple[int, int]]:
    """The outputs that differ: rows that `theirs` lacks and rows that only it has."""
    import duckdb

    from cja_pipeline.sql import literal

    found = {}
    with duckdb.connect(str(ours / "out.duckdb"), config={"memory_limit": "1500MB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        database = theirs / "out.duckdb"
        if database.exists():
            connection.execute(f"ATTACH {literal(str(database))} AS theirs (READ_ONLY)")
        for table in COMPARED:
            there = f"theirs.{table}" if database.exists() else literal(str(theirs / f"{table}.parquet"))
            _, lacking, more = differences(connection, table, of_pipeline(table), there)
            if lacking or more:
                found[table] = lacking, more
    return found


def _events(folder: Path) -> int:
    from cja_pipeline.warehouse import Warehouse

    with Warehouse(folder / CONTENDERS[ROOMS] / "out.duckdb") as wh:
        return wh.count("validated.web_events")


def _event_log(folder: Path) -> None:
    """Write the web events as a plain log."""
    from cja_pipeline.sql import literal
    from cja_pipeline.warehouse import Warehouse

    there = literal(str(folder / "events.parquet"))
    with Warehouse(folder / CONTENDERS[ROOMS] / "out.duckdb") as wh:
        wh.execute(
            'COPY (SELECT visitor_id AS "user", occurred_at AS ts, event_name AS event '
            "FROM validated.web_events WHERE visitor_id IS NOT NULL "
            f"ORDER BY visitor_id, occurred_at, event_id) TO {there} (FORMAT parquet)"
        )
