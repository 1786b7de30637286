"""Publish the contract tables to the serving database: SQLite by default, PostgreSQL by URL.

Everything happens in one transaction, so a reader sees the last night or this one, never a mixture, and an
interrupted publish leaves the last night in place. Only rows that differ from the last night are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.journey_maps import publish_write
from cja_pipeline.journey_maps.publish_extras import (
    MEANING,
    add_keys,
    create_view,
    drop_keys,
    outdated_views,
    references,
    view_hash,
    view_texts,
)
from cja_pipeline.journey_maps.publish_migrate import drop, migrate
from cja_pipeline.journey_maps.publish_rows import Fingerprint, Rows
from cja_pipeline.journey_maps.restricted import publish_restricted
from cja_pipeline.journey_maps.serving import (
    PUBLICATION,
    PublishError,
    declared_tables,
    definition,
    open_engine,
)
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PublishError", "publish", "read_published"]
DICTIONARY = "data_dictionary"
PATIENCE = "30s"  # for readers who hold a table that must be altered; everybody behind waits as long


def publish(warehouse: Warehouse, url: str) -> dict[str, int]:
    """Bring every published table in the database at `url` to tonight's state; returns rows by name.

    A published table that the warehouse does not hold yet is created empty. Columns tagged ``pii`` are
    never published. Money is DECIMAL on PostgreSQL; SQLite has no decimal type and keeps a REAL. Tables of
    an older declaration are brought to this one first; those that are declared no more are dropped.

    Raises:
        PublishError: the database cannot be opened or written, or a view of somebody reads what would
            change; the last published state is untouched.
    """
    published = TABLES.published()
    if DICTIONARY in published:
        from cja_pipeline.journey_maps.dictionary import build_dictionary

        build_dictionary(warehouse)
    engine = open_engine(url)
    counted: dict[str, int] = {}
    written: list[Rows] = []
    try:
        held = references(warehouse, published)
        keyed = declared_tables(published, held)
        # SQLite has foreign keys in CREATE TABLE only, PostgreSQL must have seen the table they point to
        targets = keyed if engine.dialect.name == "sqlite" else declared_tables(published)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            known = _known(connection)
            usable = _brought_to_declaration(connection, targets, keyed, known)
            for name, table in published.items():
                columns = tuple(column for column, spec in table.columns.items() if not spec.pii)
                rows = Rows(warehouse, name, table, columns)
                counted[name] = _bring(connection, targets[name], rows, usable.get(name), name in usable)
                if warehouse.exists(table.full_name):
                    written.append(rows)
            add_keys(connection, keyed)
            _bring_views(connection, set(published))
            publish_restricted(connection, warehouse)
            crashpoint("publish:before_commit")
        crashpoint("publish:committed")
        for rows in written:
            rows.remember()
    except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        place = sa.engine.make_url(url).render_as_string(hide_password=True)
        # the driver's text may hold row values, so only its kind is told
        cause = getattr(error, "orig", None) or error
        driver = engine.dialect.loaded_dbapi
        passing = isinstance(cause, (driver.OperationalError, driver.InterfaceError))
        raise PublishError(f"cannot publish to {place}: {type(cause).__name__}", passing=passing) from error
    finally:
        engine.dispose()
        for rows in written:
            rows.forget()
    return counted


def read_published(name: str) -> pd.DataFrame:
    """A published table as a DataFrame, times as UTC timestamps without zone, from the serving database."""
    import pandas as pd

    published = TABLES.published()
    if name not in published:
        raise KeyError(f"no published table {name!r}; there are: {', '.join(sorted(published))}")
    engine = open_engine(get_settings().published_url)
    try:
        with engine.connect() as connection:
            target = declared_tables({name: published[name]})[name]
            return pd.read_sql(sa.select(target), connection)
    finally:
        engine.dispose()


def _known(connection: sa.Connection) -> dict[str, tuple[Fingerprint, str]]:
    """What the serving database says it holds: tables and views."""
    PUBLICATION.create(connection, checkfirst=True)
    return {
        row.table_name: (Fingerprint(row.rows, row.fingerprint), row.definition)
        for row in connection.execute(sa.select(PUBLICATION))
    }


def _brought_to_declaration(
    connection: sa.Connection,
    targets: dict[str, sa.Table],
    keyed: dict[str, sa.Table],
    known: dict[str, tuple[Fingerprint, str]],
) -> dict[str, Fingerprint | None]:
    """Bring what is there to today's declaration. Returns the tables that can stay, with what they hold;
    None if every row is to be looked at."""
    dialect, hashes = connection.dialect.name, {name: known[name][1] for name in known}
    found = sa.inspect(connection).get_multi_columns(filter_names=list(targets)).items()
    there = {name: {str(column["name"]) for column in columns} for (_, name), columns in found}
    changed = {
        name: target
        for name, target in targets.items()
        if hashes.get(name) != definition(connection, target)
        or not there.get(name, set()) >= {column.name for column in target.columns}  # somebody took one away
    }
    gone = known.keys() - targets.keys() - MEANING.keys()
    for name in outdated_views(dialect, hashes, set(targets), changed.keys() | gone):
        _forget(connection, "view", name)
    drop_keys(connection, keyed, outdated=changed.keys() | gone)
    for name in sorted(gone):
        _forget(connection, "table", name)
    rewritten = migrate(connection, changed) if dialect == "postgresql" else set(changed)
    present = set(sa.inspect(connection).get_table_names())
    if dialect == "sqlite":
        present -= rewritten
    return {
        name: known[name][0] if name in known and name not in rewritten else None
        for name in targets
        if name in present
    }


def _forget(connection: sa.Connection, kind: str, name: str) -> None:
    drop(connection, kind, name)
    connection.execute(PUBLICATION.delete().where(PUBLICATION.c.table_name == name))


def _bring(
    connection: sa.Connection, target: sa.Table, rows: Rows, held: Fingerprint | None, present: bool
) -> int:
    """Bring one table to tonight's state by the least writing that is safe; returns its rows.

    Args:
        held: what it holds for sure, unless others changed it.
        present: whether it is there as declared; else it is made anew.
    """
    tonight: Fingerprint | None = None
    if not rows.warehouse.exists(rows.table.full_name):
        tonight = Fingerprint(0, "0")
        if present:
            connection.execute(target.delete())
        else:
            publish_write.make(connection, target, None)
    else:
        if held is not None and rows.published() == held and _count(connection, target) == held.rows:
            tonight = rows.compare(held)
        if tonight is None:
            tonight = rows.fingerprint()
            (publish_write.renew if present else publish_write.make)(connection, target, rows)
        elif tonight != held:
            publish_write.change(connection, target, rows)
        if tonight != held and _count(connection, target) != tonight.rows:
            raise PublishError(f"{target.name} has rows with one key; the last publication stays")
    _record(connection, target.name, tonight, definition(connection, target))
    return tonight.rows


def _bring_views(connection: sa.Connection, tables: set[str]) -> None:
    """Create the views that are missing."""
    present = set(sa.inspect(connection).get_view_names())
    for name, text in view_texts(connection.dialect.name, tables).items():
        if name not in present:
            create_view(connection, name, text)
            _record(connection, name, Fingerprint(0, "0"), view_hash(text))


def _count(connection: sa.Connection, target: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(target)).scalar_one())


def _record(connection: sa.Connection, name: str, found: Fingerprint, declared: str) -> None:
    connection.execute(PUBLICATION.delete().where(PUBLICATION.c.table_name == name))
    values = {"rows": found.rows, "fingerprint": found.digest, "definition": declared}
    connection.execute(PUBLICATION.insert().values(table_name=name, **values))
