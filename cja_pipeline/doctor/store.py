"""The warehouse: who holds it, whether it can be read, is of this version, and balances."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import duckdb

from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.night_lock import last_holder
from cja_pipeline.store import open_warehouse
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.ledger import unbalanced_days
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse
from cja_pipeline.warehouse_file import WarehouseBusyError

# the machine or the settings stand in the way, not what the file holds
ELSEWHERE = (duckdb.OutOfMemoryException, duckdb.ProgrammingError, duckdb.PermissionException)
REFUSALS = ("Permission denied", "No space left", "Read-only file system", "Too many open files")
LEFT_BEHIND = ("*.rebuilding.duckdb*", ".*.duckdb.new*", "*.building")


def store_findings(place: Place) -> Iterator[Finding]:
    """The night's lock, the warehouse file, its columns and its books."""
    settings = place.settings
    if place.night_running:
        holder = last_holder(settings.home)
        yield Finding("night", "note", f"{holder or 'A run'} is at work; the warehouse is not looked into.")
        return
    holder = last_holder(settings.home)
    if holder is not None:
        yield Finding(
            "night",
            "note",
            f"{holder} did not end in order: its process died. What it had committed is whole; the next run "
            "does the rest.",
            "",
            lambda: "The name of the dead run was cleared; the next run does what it left.",
        )
    else:
        yield well("night", "No run is at work, and the last one ended in order.")
    yield from _left_behind(place)
    if not settings.warehouse_path.exists():
        if settings.landing_dir.is_dir():
            words = f"{settings.warehouse_path} is not there, but data are landed."
            yield Finding("warehouse", "problem", f"{words} Build it from them.", "cja rebuild")
        return
    try:
        with Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit, patience=0) as warehouse:
            yield well("warehouse", f"{settings.warehouse_path} can be opened.")
            yield _columns(place, warehouse)
            yield _books(warehouse)
    except WarehouseBusyError as error:
        yield Finding("warehouse", "problem", str(error))
    except duckdb.Error as error:
        yield _unreadable(place, error) if _is_damage(error) else _unopened(place, error)


def _left_behind(place: Place) -> Iterator[Finding]:
    home = place.settings.home
    left = sorted(path for pattern in LEFT_BEHIND for path in home.glob(pattern))
    if not left:
        return

    def mend() -> str:
        import shutil

        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"{', '.join(path.name for path in left)}: removed."

    names = ", ".join(path.name for path in left)
    yield Finding("half_built", "problem", f"Something died while it was built: {names}.", "", mend)


def _columns(place: Place, warehouse: Warehouse) -> Finding:
    different = {
        name: words for name in TABLES if warehouse.exists(name) and (words := warehouse.differs(name))
    }
    if not different:
        return well("columns", "Every table has the columns that this version declares.")

    def mend() -> str:
        with open_warehouse(place.settings, patience=0) as opened:
            for name in different:
                opened.ensure(name)
        return f"{len(different)} tables have today's columns; the next run fills them."

    name, words = next(iter(different.items()))
    return Finding(
        "columns",
        "note",
        f"{len(different)} tables were made by another version ({name}: {words}). The next run adapts them "
        "and reads the landed days again.",
        "",
        mend,
    )


def _books(warehouse: Warehouse) -> Finding:
    if not warehouse.exists("quality.ledger"):
        return well("books", "Nothing is loaded yet.")
    wrong: dict[str, list[dt.date]] = {}
    for name in load_streams():
        table = f"validated.{name}"
        if warehouse.exists(table) and (days := unbalanced_days(warehouse, table)):
            wrong[table] = days
    if not wrong:
        return well("books", "Every offered row is accounted for.")
    table, days = next(iter(wrong.items()))
    count = sum(map(len, wrong.values()))
    words = f"The books of {count} loaded days do not balance ({table}, {days[0]}): rows were lost or added."
    return Finding(
        "books", "problem", f"{words} Build the warehouse again from what was landed.", "cja rebuild"
    )


def _unreadable(place: Place, error: Exception) -> Finding:
    path = place.settings.warehouse_path

    def mend() -> str:
        broken = path.with_name(f"{path.name}.broken-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}")
        path.rename(broken)
        log = path.with_name(f"{path.name}.wal")
        with suppress(FileNotFoundError):
            log.rename(log.with_name(f"{broken.name}.wal"))
        return f"{path.name} was set aside as {broken.name}. Now run: cja rebuild"

    return Finding(
        "warehouse",
        "problem",
        f"{path} cannot be read ({type(error).__name__}). Nothing is lost: everything was landed, and "
        "readers have the published tables. It has to be set aside; then `cja rebuild` makes it again.",
        "",
        mend,
    )


def _is_damage(error: duckdb.Error) -> bool:
    return not isinstance(error, ELSEWHERE) and not any(words in str(error) for words in REFUSALS)


def _unopened(place: Place, error: duckdb.Error) -> Finding:
    path, cause = place.settings.warehouse_path, str(error).splitlines()[0]
    return Finding("warehouse", "problem", f"{path} could not be opened, and is left as it is: {cause}")


def stop_process(pid: int) -> str:
    """Ask a process to end."""
    os.kill(pid, signal.SIGTERM)
    return f"Process {pid} was asked to end."
