"""Sessions, transitions and a funnel of one event log: `kpis.journeys` beside retentioneering.

retentioneering is no dependency: it runs in an interpreter that has it (``python -m venv``, ``pip install
retentioneering``), which runs this very file; hence it imports nothing of the package at the top.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"]
PAUSE_MINUTES = 30


def compare(interpreter: Path, events: Path) -> list[dict[str, Any]]:
    """Rows of ``what, cpu_seconds, retentioneering, equal``; peak memory of the processes in the last row.

    Args:
        interpreter: a Python that has retentioneering.
        events: Parquet file of ``user, ts, event``, sorted.
    """
    import subprocess

    from cja_pipeline.machine import apart

    ours = apart(_ours, events)
    command = [str(interpreter), "-I", __file__, str(events)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603  (the user's own)
    theirs = json.loads(done.stdout.splitlines()[-1])
    rows = [
        {
            "what": what,
            "cpu_seconds": ours[what][0],
            "retentioneering": theirs[what][0],
            "equal": ours[what][1] == theirs[what][1],
        }
        for what in ("sessions", "transitions", "funnel")
    ]
    return [
        *rows,
        {"what": "peak MB", "cpu_seconds": ours["peak"], "retentioneering": theirs["peak"], "equal": None},
    ]


def _ours(path: Path) -> dict[str, Any]:
    import datetime as dt

    import pandas as pd

    from cja_pipeline.kpis.journeys import funnel, sessionize, transitions

    events = pd.read_parquet(path)

    def moves() -> list[list[Any]]:
        found = transitions(events, ends=False)
        return sorted(found[["from_event", "to_event", "n"]].to_numpy(object).tolist())

    return _measured(
        sessions=lambda: len(
            sessionize(events, timeout=dt.timedelta(minutes=PAUSE_MINUTES))[
                ["user", "session"]
            ].drop_duplicates()
        ),
        transitions=moves,
        funnel=lambda: funnel(events, STEPS, window=None)["users"].tolist(),
    )


def _theirs(path: str) -> dict[str, Any]:
    sys.modules["posthog"] = None  # type: ignore[assignment]  # it would tell its makers what is called
    import pandas as pd
    from retentioneering import Eventstream  # type: ignore[import-not-found]

    schema = {"path_cols": ["user"], "event_col": "event", "timestamp_col": "ts"}
    events = pd.read_parquet(path)

    def stream() -> Any:  # made for each part, as each of our functions is given the log anew
        return Eventstream(events, schema)

    def moves() -> list[list[Any]]:
        table = stream().transition_graph_data(edge_weight="count")
        inner = [name for name in table.index if name not in ("path_start", "path_end")]
        return sorted([a, b, int(table.loc[a, b])] for a in inner for b in inner if table.loc[a, b])

    return _measured(
        sessions=lambda: int(
            stream().split_sessions(timeout=f"{PAUSE_MINUTES}m").to_dataframe()["session_id"].nunique()
        ),
        transitions=moves,
        funnel=lambda: [step["unique_paths"] for step in stream().funnel_data(STEPS)["steps"]],
    )


def _measured(**parts: Callable[[], Any]) -> dict[str, Any]:
    """CPU seconds and result of each part, and the peak of resident memory in megabytes."""
    import resource

    found: dict[str, Any] = {}
    for what, run in parts.items():
        start = time.process_time()
        result = run()
        found[what] = round(time.process_time() - start, 2), result
    unit = 1e6 if sys.platform == "darwin" else 1024
    return found | {"peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)}


if __name__ == "__main__":
    print(json.dumps(_theirs(sys.argv[1])))
