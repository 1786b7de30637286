"""Building: determinism, idempotence, refusal of nonsense, independence of blocks."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cja_pipeline.simulator.build import build_world
from cja_pipeline.simulator.calendar import Calendar
from cja_pipeline.simulator.config import world_config
from cja_pipeline.simulator.people import blocks_of, make_people
from cja_pipeline.simulator.world import World

from .conftest import SIZE
from .helpers import tree_hash

TINY = {"customers": 60, "days": 5, "horizon_days": 2, "start": dt.date(2026, 3, 27)}


def test_equal_arguments_give_equal_files(folder: Path, tmp_path: Path) -> None:
    build_world(tmp_path / "again", **SIZE)
    assert tree_hash(tmp_path / "again") == tree_hash(folder)


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    build_world(tmp_path / "a", seed=1, **TINY)
    build_world(tmp_path / "b", seed=2, **TINY)
    assert tree_hash(tmp_path / "a") != tree_hash(tmp_path / "b")


def test_an_existing_world_is_kept_and_another_replaces_it(tmp_path: Path) -> None:
    lines: list[str] = []
    first = build_world(tmp_path / "w", seed=1, progress=lines.append, **TINY)
    assert lines
    count = len(lines)
    assert build_world(tmp_path / "w", seed=1, progress=lines.append, **TINY) == first
    assert len(lines) == count
    stale = tmp_path / "w" / "stale"
    stale.write_text("")
    build_world(tmp_path / "w", seed=2, **TINY)
    assert not stale.exists()


def test_manifest_says_what_was_built(world: World) -> None:
    manifest = world.manifest
    assert manifest.start == SIZE["start"]
    assert (manifest.end - manifest.start).days == SIZE["days"] - 1
    assert (manifest.horizon_end - manifest.end).days == SIZE["horizon_days"]
    assert manifest.numpy_version == np.__version__


@pytest.mark.parametrize("wrong", [{"customers": 3}, {"days": 1}, {"horizon_days": -1}])
def test_impossible_sizes_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        build_world(tmp_path / "w", **(TINY | wrong))
    assert not (tmp_path / "w").exists()


def test_other_peoples_files_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="other files"):
        build_world(tmp_path, **TINY)
    assert (tmp_path / "thesis.txt").exists()


def test_an_unknown_currency_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rate for XYZ"):
        build_world(tmp_path / "w", currency="XYZ", **TINY)


@pytest.mark.parametrize(
    ("zone", "currency", "start"),
    [
        ("America/New_York", "GBP", dt.date(2026, 3, 6)),
        ("Asia/Kolkata", "CHF", dt.date(2028, 2, 27)),
        ("Pacific/Auckland", "EUR", dt.date(2025, 12, 30)),
    ],
)
def test_smallest_worlds_anywhere(tmp_path: Path, zone: str, currency: str, start: dt.date) -> None:
    """Twenty people for a few days in any zone and currency; the shop's own orders have the rate 1."""
    build_world(
        tmp_path, customers=20, days=4, horizon_days=0, start=start, seed=3, time_zone=zone, currency=currency
    )
    world = World.open(tmp_path)
    orders = world.truth("orders")
    assert (orders[orders.currency == currency].exchange_rate == 1.0).all()
    assert (orders[orders.currency != currency].exchange_rate != 1.0).all()
    assert len(world.ga4_objects(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))) == 4


def test_a_missing_world_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no simulated world"):
        World.open(tmp_path / "nothing")


def test_a_block_of_people_does_not_depend_on_the_others() -> None:
    config = world_config()
    calendar = Calendar(config, dt.date(2026, 1, 1), 30, 5, "Europe/Berlin")
    small, large = blocks_of(config, 5000), blocks_of(config, 9000)
    assert small[0] == large[0]
    one = make_people(config, calendar, 7, 0, *small[0])
    two = make_people(config, calendar, 7, 0, *large[0])
    assert all(np.array_equal(one.people[name], two.people[name]) for name in one.people)


def test_business_days_follow_the_shops_clock() -> None:
    calendar = Calendar(world_config(), dt.date(2026, 3, 28), 3, 1, "Europe/Berlin")
    assert (np.diff(calendar.edges)[:3] / 3_600_000_000).tolist() == [24, 23, 24]
    moments = calendar.moment(np.array([0.5, 1.0, 1.999]))
    assert calendar.day_of(moments).tolist() == [0, 1, 1]
    assert np.allclose(calendar.position(moments), [0.5, 1.0, 1.999], atol=1e-6)


def test_text_beyond_what_arrow_addresses_is_read_alike(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cja_pipeline.simulator.world.LARGE", 0)
    huge = World(folder).table("klaviyo/events")
    assert pa.types.is_large_string(huge.schema.field("json").type)
    assert huge["json"].num_chunks == 1
    assert huge.to_pylist() == world.table("klaviyo/events").to_pylist()


def test_rows_taken_from_parts_of_a_file_are_those_of_the_whole(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cja_pipeline.simulator.world.PARTS_KEPT", 2)
    shutil.copy(folder / "manifest.json", tmp_path)
    whole = world.table("klaviyo/events").slice(0, 1000)
    (tmp_path / "klaviyo").mkdir()
    pq.write_table(whole, tmp_path / "klaviyo" / "events.parquet", row_group_size=70)
    cut, columns = World(tmp_path), ("json", "profile_id")
    for seed in range(20):
        wanted = np.random.default_rng(seed).choice(len(whole), seed * 5)
        taken = cut.rows("klaviyo/events", columns, wanted)
        assert taken.to_pylist() == whole.select(columns).take(wanted).to_pylist()
