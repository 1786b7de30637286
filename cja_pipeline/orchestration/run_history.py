"""Dagster's record of a run: where it lies, and how it is forgotten."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

import dagster as dg


def run_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Files that belong to one run, events and captured output, with the run's id."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            for part in path.relative_to(root).parts:
                run = part.partition(".")[0]
                if _is_id(run):
                    yield run, path


def forget_runs(runs: Iterable[str]) -> None:
    """Remove runs from the history with everything that was recorded about them."""
    found = sorted(runs)
    if not found:
        return
    with dg.DagsterInstance.get() as instance:
        for run in found:
            instance.delete_run(run)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
