"""What readers have: the serving database, the page, and whether a publication is pending."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import sqlalchemy as sa

from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.journey_maps.publication import pending_since, publish_tonight
from cja_pipeline.journey_maps.serving import open_engine
from cja_pipeline.settings import SettingsError
from cja_pipeline.warehouse import Warehouse


def reader_findings(place: Place) -> Iterator[Finding]:
    """The serving database, a pending publication, the newest page."""
    settings = place.settings
    if not settings.warehouse_path.exists():
        return
    since = pending_since(settings.home)
    if since is not None and not place.night_running:
        yield Finding(
            "publication",
            "problem",
            f"A publication is pending since {since} UTC: readers of the database have the night before. The "
            "next run publishes.",
            "",
            lambda: _publish(place),
        )
    elif since is None:
        yield well("publication", "Readers of the database have what the warehouse holds.")
    yield _database(place)
    page = settings.reports_dir / "latest" / "journey_map.html"
    if page.exists():
        drawn = dt.datetime.fromtimestamp(page.stat().st_mtime, dt.UTC)
        yield well("page", f"The newest page was drawn on {drawn:%Y-%m-%d %H:%M} UTC.")
    else:
        yield Finding("page", "note", "No page is drawn yet.", "cja run")


def _publish(place: Place) -> str:
    settings = place.settings
    with Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit, patience=0) as warehouse:
        rows = publish_tonight(warehouse, settings)
    return f"{len(rows)} tables with {sum(rows.values()):,} rows are published."


def _database(place: Place) -> Finding:
    settings = place.settings
    if settings.database_url is None:
        return _sqlite(place)
    try:
        engine = open_engine(settings.published_url)
    except SettingsError as error:
        return Finding("database", "problem", str(error))
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect():
            return well("database", f"{shown} answers.")
    except sa.exc.SQLAlchemyError as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        words = (
            f"{shown} does not answer ({cause}). Readers wait; analytics go on, and the next run publishes."
        )
        return Finding("database", "problem", words, "cja doctor --fix")
    finally:
        engine.dispose()


def _sqlite(place: Place) -> Finding:
    path = place.settings.published_path
    if not path.exists():
        return Finding("database", "note", f"{path} is not there yet: nothing was published.", "cja run")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = type(error).__name__
    if verdict == "ok":
        return well("database", f"{path} is sound.")

    def mend() -> str:
        broken = path.with_name(f"{path.name}.broken-{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}")
        path.rename(broken)
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return f"{path.name} was set aside as {broken.name}. {_publish(place)}"

    return Finding("database", "problem", f"{path} is damaged ({verdict}).", "", mend)
