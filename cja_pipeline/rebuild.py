"""Make the whole warehouse again from what was landed: after an upgrade, a change of rules, or in doubt.

The new warehouse grows beside the old one and takes its place only when it is finished and published, so a
rebuild that fails or is killed leaves everything as it was. Vendors are not asked again. On Spark the same is
true of the driver's file and of the files in the lake; the cluster's catalog follows the models as they run.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable
from pathlib import Path

import duckdb

from cja_pipeline.kpis import memory
from cja_pipeline.settings import Settings, other_settings
from cja_pipeline.spark import lake
from cja_pipeline.sql import literal
from cja_pipeline.warehouse import Warehouse
from cja_pipeline.warehouse_file import WarehouseBusyError

log = logging.getLogger(__name__)

# What no landing can tell: the id a customer has had, when customers merged, how past nights went, what they
# counted and why that changed.
REMEMBERED = (
    "customers.identity_links", "customers.identity_log", "customers.identity_quality", "quality.results",
    *memory.TABLES,
)  # fmt: skip


class NothingLandedError(RuntimeError):
    """There is no landed day to build from."""


def rebuild(settings: Settings, run: Callable[[dt.date, dt.date], bool]) -> bool:
    """Build a new warehouse from all landed days and put it in the place of the old one.

    Args:
        run: runs every room after the first for a range of days, on the warehouse of the current settings.

    Returns:
        Whether it succeeded; if not, the old warehouse and the published tables stay as they were, but for
        the results of the checks, which say why.

    Raises:
        NothingLandedError: the landing folder is empty.
    """
    days = landed_days(settings.landing_dir)
    if not days:
        raise NothingLandedError(
            f"{settings.landing_dir} holds no landed day. Run `cja run --from DAY --to DAY` first."
        )
    old = settings.warehouse_path
    new = old.with_name(f"{old.stem}.rebuilding{old.suffix}")
    discard(new)
    carry_over(old, new, settings)
    with other_settings(**{"CJA_DRIVER" if settings.spark_url else "CJA_WAREHOUSE": str(new)}):
        done = run(days[0], days[-1])
    if done:
        with Warehouse(new, memory_limit=settings.memory_limit, threads=settings.threads) as warehouse:
            lake.release(warehouse)
        os.replace(new, old)  # the finished file was closed, so it has no log of its own
    elif old.exists() and new.exists():
        keep_results(new, old, settings)
    discard(new)
    return done


def landed_days(landing: Path) -> list[dt.date]:
    """Business days that any stream has landed, oldest first."""
    names = {folder.name.removeprefix("dt=") for folder in landing.glob("*/*/dt=*")}
    return sorted(dt.date.fromisoformat(name) for name in names)


def carry_over(old: Path, new: Path, settings: Settings) -> None:
    """Copy the remembered tables into a new warehouse file."""
    with Warehouse(new, memory_limit=settings.memory_limit, threads=settings.threads) as warehouse:
        if not old.exists():
            return
        warehouse.execute(f"ATTACH {literal(str(old))} AS old (READ_ONLY)")
        lake.spare(warehouse, "old")
        for name in REMEMBERED:
            schema, _, table = name.partition(".")
            known = warehouse.scalar(
                "SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'old' "
                "AND table_schema = ? AND table_name = ?",
                [schema, table],
            )
            if known:
                warehouse.ensure(name)
                warehouse.execute(f"INSERT INTO {name} BY NAME SELECT * FROM old.{name}")
        warehouse.execute("DETACH old")


def keep_results(new: Path, old: Path, settings: Settings) -> None:
    """Take what the checks of a failed rebuild found into the warehouse that stays, for people to read."""
    try:
        with Warehouse(new, memory_limit=settings.memory_limit) as warehouse:
            warehouse.ensure("quality.results")
            # what passed is of tables that do not stay
            found = warehouse.df("SELECT * FROM quality.results WHERE NOT passed")
        if len(found):
            with Warehouse(old, memory_limit=settings.memory_limit) as warehouse:
                warehouse.ensure("quality.results")
                warehouse.connection.register("found", found)
                warehouse.execute(
                    "INSERT INTO quality.results BY NAME SELECT * FROM found "
                    "ANTI JOIN quality.results USING (run_id)"
                )
    except (WarehouseBusyError, duckdb.Error) as error:
        log.warning("What the checks found could not be kept: %s", error)


def discard(path: Path) -> None:
    """Remove a warehouse file and what belongs to it."""
    for suffix in ("", ".wal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
