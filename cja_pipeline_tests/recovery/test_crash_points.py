"""Killed at every named point, also while recovering from the kill before: the next run makes it good."""

from __future__ import annotations

import ast
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

import cja_pipeline
from cja_pipeline.crashpoints import POINTS
from cja_pipeline_tests.recovery.conftest import NIGHT, Shop
from cja_pipeline_tests.recovery.nights import Nights
from cja_pipeline_tests.recovery.state import differences, leftovers, published_state, state, unbalanced

PACKAGE = Path(cja_pipeline.__file__).parent
# In each chain a run dies at its point while it recovers from the death before; the last run lives.
# A second and third visit of a point is another table, folder or page.
CHAINS = {
    "landing": ["night:claimed", "landing:written", "landing:written", "landing:between_renames",
                "landing:between_renames:7", "landing:renamed", "landing:renamed:20"],
    "load": ["load:staged", "load:rows_written", "load:before_commit", "load:before_commit",
             "load:committed", "load:before_commit:6", "load:staged:9"],
    "rooms": ["identity:before_commit", "identity:committed", "table:before_commit:3", "table:committed:2",
              "step:written:8", "step:checked:9", "table:committed:12"],
    "readers": ["report:temporary", "report:renamed:2", "report:archived", "report:archived:2",
                "publish:begun", "publish:before_commit", "publish:committed", "publish:committed",
                "publish:remembered"],
}  # fmt: skip


def point_of(entry: str) -> tuple[str, str]:
    """``load:staged:9`` -> (``load:staged``, ``load:staged:9``); the first visit where none is given."""
    room, name, *nth = entry.split(":")
    return f"{room}:{name}", f"{room}:{name}:{nth[0] if nth else 1}"


def points_in_code() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint":
                argument = node.args[0]
                assert isinstance(argument, ast.Constant), f"{path}: a crash point needs a literal name"
                found.add(argument.value)
    return found


def test_every_point_is_listed_and_swept() -> None:
    assert points_in_code() == set(POINTS)
    assert {point_of(entry)[0] for chain in CHAINS.values() for entry in chain} == set(POINTS)


def test_a_point_kills_where_it_is_told_to_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from cja_pipeline import crashpoints

    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(crashpoints.os, "kill", lambda process, number: killed.append((process, number)))
    monkeypatch.setattr(crashpoints, "_passed", Counter())
    monkeypatch.delenv("CJA_CRASH_AT", raising=False)
    crashpoints.crashpoint("load:staged")
    monkeypatch.setenv("CJA_CRASH_AT", "load:committed:1")
    crashpoints.crashpoint("load:staged")
    monkeypatch.setenv("CJA_CRASH_AT", "load:staged:2")
    crashpoints.crashpoint("load:staged")
    assert killed == []
    crashpoints.crashpoint("load:staged")
    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS)
def test_after_any_death_the_next_run_gives_the_undisturbed_state(
    chain: str, shop: Shop, nights: Nights, tmp_path: Path
) -> None:
    home = shop.copy(tmp_path)
    before, after = (
        {name: value for name, value in golden.items() if name.startswith("published ")}
        for golden in (shop.before, shop.after)
    )
    for entry in CHAINS[chain]:
        end = nights.run(home, NIGHT, light=True, crash_at=point_of(entry)[1])
        assert end.killed, f"{entry}: the run did not get as far as its own death: {end.log}"
        assert not unbalanced(home), entry
        assert published_state(home / "published.db") in (before, after), entry
    end = nights.run(home, NIGHT, light=True)
    assert end.ok, end.log
    found = differences(shop.after, state(home))
    assert not found
    assert not leftovers(home)
