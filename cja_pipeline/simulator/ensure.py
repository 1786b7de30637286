"""Make sure that the world behind the mocks exists."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

from cja_pipeline.config import shop

CUSTOMERS, DAYS, SEED, HORIZON_DAYS = 20_000, 90, 7, 14


class OtherWorldError(ValueError):
    """The home folder already holds a world of another size or seed."""


def ensure_world(
    folder: Path,
    *,
    customers: int | None = None,
    days: int | None = None,
    seed: int | None = None,
    start: dt.date | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[dt.date, dt.date]:
    """Build the world in `folder` unless it is there; returns the first and last day of its history.

    A new world's history ends yesterday (shop's time zone), so that its UI looks alive, unless `start` is
    given. An existing world is kept whatever the date is.

    Raises:
        OtherWorldError: the folder holds a world with other arguments; nothing is overwritten.
    """
    asked = {"customers": customers, "days": days, "seed": seed, "start": start and start.isoformat()}
    manifest = folder / "manifest.json"
    if manifest.exists():
        found = json.loads(manifest.read_text())
        found.setdefault("days", 1 + (_date(found["end"]) - _date(found["start"])).days)
        other = {key: value for key, value in asked.items() if value is not None and found[key] != value}
        if other:
            raise OtherWorldError(
                f"{folder} holds another simulated world "
                f"({', '.join(f'{key} {found[key]}, not {value}' for key, value in other.items())}). "
                "Set CJA_HOME to another folder, or remove this one if you no longer need its data."
            )
        return _date(found["start"]), _date(found["end"])
    from cja_pipeline.simulator.build import build_world

    days = days or DAYS
    today = dt.datetime.now(shop().zone).date()
    built = build_world(
        folder,
        customers=customers or CUSTOMERS,
        days=days,
        seed=SEED if seed is None else seed,
        start=start or today - dt.timedelta(days=days),
        horizon_days=HORIZON_DAYS,
        time_zone=shop().time_zone,
        currency=shop().currency,
        progress=progress,
    )
    return built.start, built.end


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
