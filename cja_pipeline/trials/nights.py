"""What a night costs as history grows: the same new day after 30, 180 and 365 days, and a full rebuild."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HISTORIES = (30, 180, 365)
GROWTH_BAR = 1.3  # a night after the longest history, against one after the shortest
REBUILD_BAR = 0.10  # a night after the longest history, against a rebuild of it
WHOLE, BESIDES = "night as a whole", "Dagster and pages"


def nights_trial(
    *,
    customers: int,
    histories: Sequence[int] = HISTORIES,
    seed: int = 7,
    tell: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure the last day of one simulated shop as a night of its own, after so many days of history.

    Each history is that many days before the last one: all but the newest loaded in one run, the newest as
    a night that is not measured, because the first one after a load also tidies the file that the load left.
    The longest is rebuilt from its landed files afterwards.

    Returns:
        One record per step, per room and for the night: ``room``, ``step`` (empty for sums), and per history
        ``cpu_<days>`` (CPU seconds) and ``peak_<days>`` (megabytes), ``cpu_rebuild`` and ``peak_rebuild``;
        ``growth`` (longest against shortest) and ``of_rebuild`` (longest night against the rebuild).
    """
    from cja_pipeline.settings import own_home
    from cja_pipeline.simulator.ensure import ensure_world

    histories = sorted(histories)
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="cja-nights-") as folder:
        world = Path(folder) / "world"
        _, last = ensure_world(world, customers=customers, days=histories[-1] + 1, seed=seed)
        for days in histories:
            home = Path(folder) / str(days)
            home.mkdir()
            (home / "world").symlink_to(world, target_is_directory=True)
            if tell:
                tell(f"{days} days of history")
            with own_home(home):
                _run(last - dt.timedelta(days=days), last - dt.timedelta(days=2))
                _run(last - dt.timedelta(days=1), last - dt.timedelta(days=1))
                found[str(days)] = _run(last, last)
        if tell:
            tell("rebuild")
        with own_home(home):
            found["rebuild"] = _rebuild()
    return _compared(found, str(histories[0]), str(histories[-1]))


def _run(first: dt.date, last: dt.date, job: str | None = None) -> list[dict[str, Any]]:
    """One run; the cost of each step, then of what is none."""
    from rich.console import Console

    from cja_pipeline.console import watching
    from cja_pipeline.machine import Meter
    from cja_pipeline.orchestration.jobs import NIGHTLY
    from cja_pipeline.orchestration.nightly import run_nights

    meter = Meter()
    with watching(Console(quiet=True)) as records:
        if not run_nights(first, last, reason="bench", job=job or NIGHTLY):
            raise RuntimeError(f"the run of {first} to {last} failed")
    whole = meter.read()
    steps = [
        {"room": r["group"], "step": r["step"], "cpu": r["cost"].cpu_seconds, "peak": r["cost"].peak_mb}
        for r in records
    ]
    rest = whole.cpu_seconds - sum(step["cpu"] for step in steps)
    return [*steps, {"room": BESIDES, "step": "", "cpu": rest, "peak": 0.0}]


def _rebuild() -> list[dict[str, Any]]:
    from cja_pipeline.orchestration.jobs import REBUILD
    from cja_pipeline.rebuild import rebuild
    from cja_pipeline.settings import get_settings

    steps: list[dict[str, Any]] = []

    def run(first: dt.date, last: dt.date) -> bool:
        steps.extend(_run(first, last, REBUILD))
        return True

    rebuild(get_settings(), run)
    return steps


def _compared(found: dict[str, list[dict[str, Any]]], short: str, long: str) -> list[dict[str, Any]]:
    """The runs side by side: steps, then rooms, then the whole."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for run, steps in found.items():
        for step in steps:
            for place in dict.fromkeys([(step["room"], step["step"]), (step["room"], ""), (WHOLE, "")]):
                line = lines.setdefault(place, {"room": place[0], "step": place[1]})
                line[f"cpu_{run}"] = line.get(f"cpu_{run}", 0.0) + step["cpu"]
                line[f"peak_{run}"] = max(line.get(f"peak_{run}", 0.0), step["peak"])
    for line in lines.values():
        line["growth"] = _ratio(line.get(f"cpu_{long}"), line.get(f"cpu_{short}"))
        line["of_rebuild"] = _ratio(line.get(f"cpu_{long}"), line.get("cpu_rebuild"))
    order = sorted(lines, key=lambda place: (place[1] == "", place[0] == WHOLE, place[0][:1]))
    return [lines[place] for place in order]


def _ratio(top: float | None, bottom: float | None) -> float | None:
    return top / bottom if top is not None and bottom else None
