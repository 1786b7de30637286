"""What a night costs as history grows: the same new day after 30, 180 and 365 days, and a full rebuild."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HISTORIES = (30, 180, 365)
NIGHTS = 3  # the same one of each history, in turn: the middle one counts
GROWTH_BAR = 1.3  # a night after the longest history, against one after the shortest
REBUILD_BAR = 0.10  # a night after the longest history, against a rebuild of it
WHOLE, BESIDES = "night as a whole", "Dagster and pages"

Steps = list[dict[str, Any]]


def nights_trial(
    *,
    customers: int,
    histories: Sequence[int] = HISTORIES,
    nights: int = NIGHTS,
    seed: int = 7,
    tell: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure the last day of one simulated shop as a night of its own, after so many days of history.

    Each history is that many days before the last one: all but the newest loaded in one run, the newest as
    a night that is not measured, because the first one after a load also tidies the file that the load left.
    The last day then runs on copies, `nights` times each, in turn and each in a process of its own: a
    machine's mood changes within minutes. What is told of a history is its night of middle cost. The longest
    is rebuilt from its landed files.

    Returns:
        One record per step, per room and for the night: ``room``, ``step`` (empty for sums), and per history
        ``cpu_<days>`` (CPU seconds) and ``peak_<days>`` (megabytes), ``cpu_rebuild`` and ``peak_rebuild``;
        ``growth`` (longest against shortest) and ``of_rebuild`` (longest night against the rebuild).
    """
    from cja_pipeline.machine import apart
    from cja_pipeline.simulator.ensure import ensure_world

    say = tell or (lambda _: None)
    histories = sorted(histories)
    tries: dict[int, list[Steps]] = {days: [] for days in histories}
    with tempfile.TemporaryDirectory(prefix="cja-nights-") as folder:
        world, copy = Path(folder) / "world", Path(folder) / "copy"
        _, last = ensure_world(world, customers=customers, days=histories[-1] + 1, seed=seed)
        eve = last - dt.timedelta(days=1)
        for days in histories:
            say(f"{days} days of history")
            home = Path(folder) / str(days)
            home.mkdir()
            (home / "world").symlink_to(world, target_is_directory=True)
            apart(_run_in, home, last - dt.timedelta(days=days), eve - dt.timedelta(days=1))
            apart(_run_in, home, eve, eve)
        for number in range(nights):
            say(f"night {number + 1} of {nights} after each")
            for days, found in tries.items():
                shutil.copytree(Path(folder) / str(days), copy, symlinks=True)
                found.append(apart(_run_in, copy, last, last))
                shutil.rmtree(copy)
        say("rebuild")
        rebuilt = apart(_rebuild, Path(folder) / str(histories[-1]))
    middle = {str(days): sorted(found, key=_cost)[nights // 2] for days, found in tries.items()}
    return _compared({**middle, "rebuild": rebuilt}, str(histories[0]), str(histories[-1]))


def _cost(steps: Steps) -> float:
    return sum(float(step["cpu"]) for step in steps)


def _run_in(home: Path, first: dt.date, last: dt.date) -> Steps:
    from cja_pipeline.settings import own_home

    with own_home(home):
        return _run(first, last)


def _run(first: dt.date, last: dt.date, job: str | None = None) -> Steps:
    """One run; the cost of each step, then of what is none."""
    from rich.console import Console

    from cja_pipeline.console import watching
    from cja_pipeline.machine import Meter
    from cja_pipeline.orchestration.jobs import NIGHTLY
    from cja_pipeline.orchestration.nightly import run_nights

    meter = Meter()
    with watching(Console(quiet=True)) as records:
        if not run_nights(first, last, reason="bench", job=job or NIGHTLY):
            failed = [f"{one['step']} by {', '.join(one['errors'])}" for one in records if one["errors"]]
            raise RuntimeError(f"the run of {first} to {last} failed: {'; '.join(failed) or 'no check'}")
    whole = meter.read()
    steps = [
        {"room": r["group"], "step": r["step"], "cpu": r["cost"].cpu_seconds, "peak": r["cost"].peak_mb}
        for r in records
    ]
    rest = whole.cpu_seconds - sum(step["cpu"] for step in steps)
    return [*steps, {"room": BESIDES, "step": "", "cpu": rest, "peak": 0.0}]


def _rebuild(home: Path) -> Steps:
    from cja_pipeline.orchestration.jobs import REBUILD
    from cja_pipeline.rebuild import rebuild
    from cja_pipeline.settings import get_settings, own_home

    steps: Steps = []

    def run(first: dt.date, last: dt.date) -> bool:
        steps.extend(_run(first, last, REBUILD))
        return True

    with own_home(home):
        rebuild(get_settings(), run)
    return steps


def _compared(found: dict[str, Steps], short: str, long: str) -> list[dict[str, Any]]:
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
