"""A small shop in which several people ask to be erased; what is known about them comes from its truth."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.config import shop
from cja_pipeline.customers.build import build_all
from cja_pipeline.privacy.suppress import read_suppression
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.simulator.build import build_world
from cja_pipeline.simulator.config import world_config
from cja_pipeline.sources import pull
from cja_pipeline.sources.registry import load_sources
from cja_pipeline.sources.window import Window
from cja_pipeline.validated.load import load
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import use_home

START, DAYS, CUSTOMERS = dt.date(2026, 9, 1), 10, 500
WINDOW = Window(START, START + dt.timedelta(days=DAYS - 1))
PEOPLE_TABLES = (
    "web_events",
    "contacts",
    "crm_orders",
    "tickets",
    "surveys",
    "email_events",
    "social_comments",
)
OTHERS = ("ad_insights", "social_posts")


@dataclass
class Shop:
    """A home with landing and warehouse, and the truth about its people."""

    settings: Settings

    def truth(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.settings.world_dir / "truth" / f"{name}.parquet")

    def night(self, window: Window = WINDOW) -> None:
        """Pull and load everything and build the customer view, as a night does."""
        as_of = dt.datetime.combine(window.end + dt.timedelta(days=1), dt.time(4), tzinfo=shop().zone)
        for source in load_sources().values():
            pull(
                source,
                window,
                as_of.astimezone(dt.UTC),
                self.settings.landing_dir,
                world=self.settings.world_dir,
                suppression=read_suppression(self.settings),
            )
        self.rebuild()

    def rebuild(self) -> None:
        """Load what is landed and build the customer view."""
        with self.open() as wh:
            for table in (*PEOPLE_TABLES, *OTHERS):
                load(wh, f"validated.{table}", self.settings.landing_dir, None, "test")
            build_all(wh, self.settings.hmac_key())

    def open(self) -> Warehouse:
        return Warehouse(self.settings.warehouse_path)


def _made(home: Path) -> Shop:
    settings = get_settings().prepare()
    config = world_config()
    config = config.model_copy(update={"noise": {**config.noise, "erased": 0.06, "archived": 0.04}})
    build_world(
        settings.world_dir,
        customers=CUSTOMERS,
        days=DAYS,
        seed=23,
        start=START,
        time_zone=shop().time_zone,
        currency=shop().currency,
        config=config,
    )
    return Shop(settings)


@pytest.fixture(scope="session")
def grown_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a shop after its history; read-only."""
    before = dict(os.environ)
    home = tmp_path_factory.mktemp("privacy") / "home"
    use_home(home)
    _made(home).night()
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
    return home


@pytest.fixture
def people(grown_shop: Path, tmp_path: Path) -> Iterator[Shop]:
    """A copy of that shop, in use by this process, free to be changed."""
    import shutil

    before = dict(os.environ)
    home = tmp_path / "home"
    shutil.copytree(grown_shop, home)
    use_home(home)
    yield Shop(get_settings().prepare())
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
