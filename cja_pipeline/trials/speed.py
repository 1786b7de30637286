"""What measuring costs, against the bars: KPIs per scan of the event table, customers scored, paths credited.

*One full scan* of a table is one query that takes ``count``, ``min``, ``max`` and the sum of a hash of every
column: each value is read, decompressed and looked at once, nothing is grouped or joined. CPU seconds of this
process are compared, because wall time depends on who else works on the machine.

There are two tables of events: the web events as they arrive, which the bar is about, and the touchpoints,
about a third as many, into which they and all other systems' records are resolved.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.machine import Meter
from cja_pipeline.trials.few_kpis import few_kpis
from cja_pipeline.trials.worlds import build_shop
from cja_pipeline.warehouse import Warehouse

EVENTS, CUSTOMERS, PATHS = 10_000_000, 1_000_000, 1_000_000
ARRIVED, RESOLVED = "validated.web_events", "customers.touchpoints"
FOUR = "channel, device, country, new_returning"
SCANS = 3  # KPIs may cost as much as so many scans of the web events


def speed_trial(*, events: int = EVENTS, seed: int = 7, people: int = 3_000) -> list[dict[str, Any]]:
    """Rows of ``what, rows, cpu_seconds, web_event_scans, touchpoint_scans, bar, met``; None where not known.

    A shop of so many people is simulated and copied, every customer under new ids, until there are `events`
    web events. ``*_scans`` is the cost in scans of that table.
    """
    with tempfile.TemporaryDirectory(prefix="cja-speed-") as folder:
        path = build_shop(Path(folder), customers=people, seed=seed, findings=False)
        with Warehouse(path) as wh:
            multiply(wh, -(-events // wh.count(ARRIVED)))
            rows = [wh.count(table) for table in (ARRIVED, RESOLVED)]
            slices = {"campaign": [], "segment": [], "country": ["month"]}
            with few_kpis(Path(folder) / "config", grain="month", slice_grains=slices):
                lean = _cost(wh)
            full = _cost(wh)
            # the second scan finds its pages in memory, as KPIs do
            scans = [min(_scan(wh, table) for _ in range(2)) for table in (ARRIVED, RESOLVED)]
    told = [
        _row(f"one full scan of {ARRIVED}", rows[0], scans[0]),
        _row(f"one full scan of {RESOLVED}", rows[1], scans[1]),
        _row(f"all KPIs x 4 slices ({FOUR}), by month", rows[0], lean, SCANS * scans[0]),
        _row("all KPIs, all slices, all grains (a night)", rows[0], full, SCANS * scans[0]),
    ]
    for row in told:
        row["web_event_scans"], row["touchpoint_scans"] = (round(row["cpu_seconds"] / s, 2) for s in scans)
    return [*told, *model_trial(seed)]


def model_trial(seed: int = 7) -> list[dict[str, Any]]:
    """Cost of scoring a million customers and of crediting a million paths."""
    return [
        _row("12-month value and P(active) of customers", CUSTOMERS, _scoring(seed), 2.0),
        _row("Markov order 1 over paths", PATHS, _markov(seed), 1.0),
    ]


def multiply(wh: Warehouse, copies: int) -> int:
    """Copy every customer with all that is theirs, under new ids; returns how many touchpoints there are."""
    read = {table for source in load_sources().values() for table in source.reads}
    wanted = read - {"customers.media"} | {ARRIVED}
    for table in sorted(name for name in wanted if not name.startswith("config.") and wh.exists(name)):
        columns = [row[0] for row in wh.sql(f"DESCRIBE {table}").fetchall()]
        chosen = ", ".join(
            f"CASE WHEN copy = 0 THEN {name} ELSE {name} || '.' || copy END AS {name}"
            if name.endswith("_id")
            else name
            for name in columns
        )
        wh.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT {chosen} FROM {table} "
            f"CROSS JOIN range({copies}) AS r(copy)"
        )
    return wh.count(RESOLVED)


def _row(what: str, rows: int, cpu: float, bar: float | None = None) -> dict[str, Any]:
    return {
        "what": what,
        "rows": rows,
        "cpu_seconds": round(cpu, 2),
        "web_event_scans": None,
        "touchpoint_scans": None,
        "bar": None if bar is None else round(bar, 2),
        "met": None if bar is None else cpu <= bar,
    }


def _scan(wh: Warehouse, table: str) -> float:
    names = [row[0] for row in wh.sql(f"DESCRIBE {table}").fetchall()]
    parts = ", ".join(f"count({n}), min({n}), max({n}), sum(hash({n}))" for n in names)
    meter = Meter()
    wh.sql(f"SELECT {parts} FROM {table}").fetchall()
    return meter.read().cpu_seconds


def _cost(wh: Warehouse) -> float:
    meter = Meter()
    build_kpi_values(wh)
    return meter.read().cpu_seconds


def _scoring(seed: int) -> float:
    import numpy as np

    from cja_pipeline.kpis.value import clv, fit_gamma_gamma, fit_mbg_nbd

    random = np.random.Generator(np.random.Philox(seed))
    age = random.integers(30, 730, CUSTOMERS).astype(float)
    frequency = random.poisson(random.gamma(0.5, 0.004, CUSTOMERS) * age).astype(float)
    recency = np.where(frequency > 0, np.ceil(age * random.random(CUSTOMERS)), 0.0)
    monetary = np.where(frequency > 0, random.gamma(3, 25, CUSTOMERS).round(2) + 1, 0.0)
    few = slice(0, 20_000)
    purchases = fit_mbg_nbd(frequency[few], recency[few], age[few])
    spending = fit_gamma_gamma(frequency[few], monetary[few])
    meter = Meter()
    clv(purchases, spending, frequency, recency, age, monetary)
    purchases.p_active(90.0, frequency, recency, age)
    return meter.read().cpu_seconds


def _markov(seed: int) -> float:
    import numpy as np

    from cja_pipeline.kpis.markov import Chain, credit

    random = np.random.Generator(np.random.Philox(seed))
    length = 1 + random.poisson(3.0, PATHS)
    path = np.repeat(np.arange(PATHS), length)
    channel = random.integers(0, 20, len(path))
    ends, orders = np.ones(PATHS), (random.random(PATHS) < 0.05).astype(float)
    meter = Meter()
    chain = Chain(path, channel, channels=20)
    effects, _ = chain.removal_effects(ends, orders[None])
    credit(effects, orders.sum(keepdims=True))
    return meter.read().cpu_seconds
