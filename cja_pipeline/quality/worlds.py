"""Simulated shops to measure quality on: one with every planted fault, and clean ones without any."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cja_pipeline.settings import get_settings, own_home
from cja_pipeline.validated.load import load
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse

FAULTS = (
    "bot_cookies", "credential_bots", "kiosks", "duplicates", "malformed", "clock_skew", "jsonl_days",
    "junk_login", "junk_email", "junk_phone", "new_event", "damaged_ads", "damaged_crm",
    "klaviyo_duplicates", "hostile",
)  # fmt: skip
RUN = "measured"


@contextmanager
def shop(folder: Path, *, clean: bool) -> Iterator[Path]:
    """A home folder in use by this process, whose simulated world has planted faults, or (`clean`) none."""
    import yaml

    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "world.yml").write_text(yaml.safe_dump(world_settings(clean=clean)), encoding="utf-8")
    with own_home(folder, CJA_CONFIG=str(config)):
        yield folder


def world_settings(*, clean: bool) -> dict[str, Any]:
    """The shipped world as it is, or without incidents and damage."""
    import yaml

    from cja_pipeline.simulator.config import SHIPPED

    found: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    if clean:
        found["incidents"] = []
        found["noise"] |= dict.fromkeys(FAULTS, 0)
    return found


def validated_shop(
    folder: Path, *, customers: int, days: int, seed: int, start: dt.date
) -> tuple[Path, dt.date]:
    """Build the world, land its history and load room 2; returns the warehouse file and the last day."""
    from cja_pipeline.simulator.ensure import ensure_world
    from cja_pipeline.sources import pull
    from cja_pipeline.sources.registry import load_sources
    from cja_pipeline.sources.window import Window

    first, last = ensure_world(folder / "world", customers=customers, days=days, seed=seed, start=start)
    night = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(4), tzinfo=dt.UTC)
    landing = get_settings().landing_dir
    for source in load_sources().values():
        pull(source, Window(first, last), night, landing, world=folder / "world")
    path = folder / "warehouse.duckdb"
    with Warehouse(path) as warehouse:
        for name in load_streams():
            load(warehouse, name, landing, None, RUN)
    return path, last
