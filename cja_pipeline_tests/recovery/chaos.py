"""Kill nights at random times and hold what is left against undisturbed nights.

    python -m cja_pipeline_tests.recovery.chaos --kills 500 --seed 1 --folder /tmp/chaos

A simulated shop lives through its nights one by one. Each night is started and killed (SIGKILL) at a random
moment several times in a row, then runs to its end. After every kill: the books balance, readers of the
serving database have the whole last night or the whole new one, and the newest page is one of the two. After
every finished night: everything on disk equals what an undisturbed shop has, and no temporary file is left.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from cja_pipeline_tests.recovery.nights import End, Nights
from cja_pipeline_tests.recovery.state import differences, leftovers, published_state, state, unbalanced

START = dt.date(2026, 3, 20)  # the clock change of 29 March is among the nights
HISTORY, NIGHTS = 9, 5
CUSTOMERS, SEED = 120, 7
FULL_SHARE = 0.1  # of the kills hit a night with Great Expectations and a run history on disk
LOW, HIGH = 5, 12  # kills in a row before a night is let through


@dataclass
class Tally:
    """What happened so far."""

    kills: int = 0
    nights: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.began) / 60

    def tell(self) -> None:
        """One line of progress."""
        print(
            f"{time.strftime('%H:%M:%S')} {self.kills} kills ({self.kills / self.minutes:.1f} a minute), "
            f"{self.nights} nights, {len(self.violations)} violations",
            flush=True,
        )

    def expect(self, good: bool, words: str) -> None:
        if not good:
            self.violations.append(words)
            print(f"VIOLATION {words}", flush=True)


def day_of(night: int) -> dt.date:
    return START + dt.timedelta(days=HISTORY + night)


def undisturbed(nights: Nights, folder: Path) -> tuple[Path, list[dict[str, str]], float]:
    """The home before the nights, the state after each of them, and the seconds that a night takes."""
    base, home = folder / "base", folder / "undisturbed"
    for old in (base, home):
        shutil.rmtree(old, ignore_errors=True)
    base.mkdir(parents=True)
    nights.build_world(base / "world", customers=CUSTOMERS, days=HISTORY + NIGHTS, seed=SEED, start=START)
    end = nights.run(base, START, day_of(-1), light=True)
    assert end.ok, end.log
    shutil.copytree(base, home)
    states, seconds = [state(base)], []
    for night in range(NIGHTS):
        end = nights.run(home, day_of(night), light=True)
        assert end.ok, end.log
        states.append(state(home))
        seconds.append(end.seconds)
    return base, states, max(seconds)


def judged(nights: Nights, home: Path, night: int) -> dict[str, str]:
    """What people see after an undisturbed night whose checks were really made: pages tell of checks."""
    copy = home.with_name("judged")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    end = nights.run(copy, day_of(night))
    assert end.ok, end.log
    return visible(copy)


def check_between(tally: Tally, home: Path, nights: list[dict[str, str]], what: str) -> None:
    """What must hold at any moment, whatever has just died: people see one of these nights as a whole."""
    tally.expect(not unbalanced(home), f"{what}: the books do not balance")
    found = visible(home)
    page = found.pop(PAGE)
    whole = [all(golden.get(name) == value for name, value in found.items()) for golden in nights]
    tally.expect(any(whole), f"{what}: readers of the database see neither night as a whole")
    tally.expect(page in {golden[PAGE] for golden in nights}, f"{what}: the newest page is of neither night")


PAGE = "file reports/latest/journey_map.html"


def visible(home: Path) -> dict[str, str]:
    """The serving database and the newest page."""
    page = hashlib.sha256((home / PAGE.removeprefix("file ")).read_bytes()).hexdigest()[:16]
    return published_state(home / "published.db") | {PAGE: page}


def chaos(folder: Path, kills: int, seed: int, tally: Tally) -> Tally:
    """Kill `kills` nights; the tally tells what went wrong."""
    dice = random.Random(seed)
    with Nights() as nights:
        base, states, longest = undisturbed(nights, folder)
        home = folder / "home"
        while tally.kills < kills:
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(base, home)
            for night in range(NIGHTS):
                before, after = states[night], states[night + 1]
                tries = min(dice.randint(LOW, HIGH), kills - tally.kills)
                lightly = [dice.random() >= FULL_SHARE for _ in range(tries)]
                seen = [before, after] if all(lightly) else [before, after, judged(nights, home, night)]
                for light in lightly:
                    moment = dice.uniform(0, longest if light else 2 * longest)
                    end = nights.run(home, day_of(night), light=light, kill_after=moment)
                    tally.seconds.append(end.seconds)
                    what = f"seed {seed}, kill {tally.kills}, night {night}, {end.seconds:.2f} s"
                    tally.expect(end.killed or end.ok, f"{what}: failed by itself: {end.log[-800:]}")
                    tally.kills += end.killed
                    if light and end.ok:  # it outlived its moment: the machine is faster than it was
                        longest = end.seconds
                    check_between(tally, home, seen, what)
                    tally.tell()
                longest = max(0.9 * longest, finish(tally, nights, home, night, after).seconds)
                if tally.kills >= kills:
                    break
    return tally


def finish(tally: Tally, nights: Nights, home: Path, night: int, after: dict[str, str]) -> End:
    """Let the night run to its end and compare everything."""
    end = nights.run(home, day_of(night), light=True)
    what = f"night {night} after {tally.kills} kills"
    tally.nights += 1
    tally.expect(end.ok, f"{what}: did not succeed: {end.log[-800:]}")
    found = differences(after, state(home))
    tally.expect(not found, f"{what}: differs from the undisturbed one in {found[:8]}")
    tally.expect(not (left := leftovers(home)), f"{what}: left {left[:5]}")
    return end


def main() -> None:
    """Run from a terminal; exits with 1 if anything was violated. Stopped by Ctrl-C or SIGTERM, it tells what
    it has seen so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the homes are [default: a temporary one]"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally = Tally()
    with (
        tempfile.TemporaryDirectory(prefix="cja-chaos-") as temporary,
        contextlib.suppress(KeyboardInterrupt),
    ):
        chaos(options.folder or Path(temporary), options.kills, options.seed, tally)
    middle = sorted(tally.seconds)[len(tally.seconds) // 2] if tally.seconds else 0.0
    told = {
        "kills": tally.kills,
        "nights_finished": tally.nights,
        "violations": tally.violations,
        "median_seconds_lived": round(middle, 2),
        "minutes": round(tally.minutes, 1),
    }
    print(json.dumps(told, indent=1))
    sys.exit(1 if tally.violations else 0)


if __name__ == "__main__":
    main()
