"""Measure the pipeline room by room on a simulated shop of a chosen size, in a folder of its own."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console

from cja_pipeline.console import print_json, print_table, watching
from cja_pipeline.machine import Cost, Meter
from cja_pipeline.settings import own_home


def run_bench(console: Console, *, customers: int, days: int, as_json: bool = False) -> bool:
    """Build a world, run its whole history as one run, print the cost of each room; True on success.

    Seconds and CPU seconds are of this process; the peak is the resident memory while the room worked. What
    the rooms' checks and Dagster with its history cost is told apart from the rooms' work.
    """
    with tempfile.TemporaryDirectory(prefix="cja-bench-") as folder:
        rows, ok = measure_night(Path(folder), customers, days)
    if as_json:
        print_json(rows)
        return ok
    print_table(
        console,
        ["room", "rows", "seconds", "CPU s", "rows/s", "peak MB"],
        [
            [
                row["room"],
                row["rows"],
                row["seconds"],
                row["cpu_seconds"],
                row["rows_per_second"],
                row["peak_mb"],
            ]
            for row in rows
        ],
        title=f"{customers:,} customers, {days} days",
    )
    return ok


def measure_night(home: Path, customers: int, days: int) -> tuple[list[dict[str, Any]], bool]:
    """Build a world under `home` and run its whole history there as one run, apart from any installation.

    Returns:
        One row per room, for checks, for Dagster and for the night, and whether the run succeeded.
    """
    from cja_pipeline.orchestration.nightly import run_nights
    from cja_pipeline.simulator.ensure import ensure_world

    meter = Meter()
    first, last = ensure_world(home / "world", customers=customers, days=days)
    world = meter.read()
    whole = Meter()
    with own_home(home), watching(Console(quiet=True)) as records:
        ok = run_nights(first, last, reason="bench")
    total = whole.read()
    rooms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        rooms[record["group"]].append(record)
    rows = [_row("0_simulator", 0, world.seconds, world.cpu_seconds, world.peak_mb)]
    rows += [
        _row(
            room,
            sum(step["rows"] for step in steps),
            sum(step["work"].seconds for step in steps),
            sum(step["work"].cpu_seconds for step in steps),
            max(step["cost"].peak_mb for step in steps),
        )
        for room, steps in sorted(rooms.items())
    ]
    peak = max(row["peak_mb"] for row in rows[1:]) if len(rows) > 1 else total.peak_mb
    done = sum(row["rows"] for row in rows)
    work, whole_steps = (_sum([step[kind] for step in records]) for kind in ("work", "cost"))
    rows += [
        _row("checks", 0, whole_steps[0] - work[0], whole_steps[1] - work[1], peak),
        _row("Dagster", 0, total.seconds - whole_steps[0], total.cpu_seconds - whole_steps[1], peak),
    ]
    return [*rows, _row("night as a whole", done, total.seconds, total.cpu_seconds, peak)], ok


def _sum(costs: list[Cost]) -> tuple[float, float]:
    """Wall and CPU seconds of several pieces of work."""
    return sum(cost.seconds for cost in costs), sum(cost.cpu_seconds for cost in costs)


def _row(room: str, rows: int, seconds: float, cpu: float, peak: float) -> dict[str, Any]:
    return {
        "room": room,
        "rows": rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "rows_per_second": round(rows / seconds) if seconds and rows else None,
        "peak_mb": round(peak),
    }
