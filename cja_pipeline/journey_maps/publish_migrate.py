"""Bring the tables of a serving database from an older declaration to this one, inside the publication.

On PostgreSQL tables are altered by what Alembic finds to differ, so that views and rights that people made on
them stay. SQLite has neither rights nor views that hold a table: there a changed table is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from cja_pipeline.journey_maps.serving import PublishError

HOLDERS = """
    SELECT DISTINCT quote_ident(space.nspname) || '.' || quote_ident(view.relname)
    FROM pg_depend AS held
    JOIN pg_rewrite AS rule ON rule.oid = held.objid AND held.classid = 'pg_rewrite'::regclass
    JOIN pg_class AS view ON view.oid = rule.ev_class AND view.oid <> held.refobjid
    JOIN pg_namespace AS space ON space.oid = view.relnamespace
    LEFT JOIN pg_attribute AS field ON field.attrelid = held.refobjid AND field.attnum = held.refobjsubid
    WHERE held.refclassid = 'pg_class'::regclass AND held.refobjid = to_regclass(quote_ident(:name))
    AND (CAST(:column AS text) IS NULL OR field.attname = :column)
    ORDER BY 1
"""


def migrate(connection: sa.Connection, changed: dict[str, sa.Table]) -> set[str]:
    """On PostgreSQL, alter tables that are there to what is declared; returns those whose rows must be
    written again. A table with another key is dropped: it is made anew.

    Args:
        changed: tables of another declaration, without foreign keys; those of the database are dropped.

    Raises:
        PublishError: a view of somebody reads what would change; names the view.
    """
    from alembic.autogenerate import produce_migrations
    from alembic.migration import MigrationContext
    from alembic.operations import Operations, ops

    inspector = sa.inspect(connection)
    for name, target in changed.items():
        if inspector.has_table(name) and _another_key(inspector, target):
            drop(connection, "table", name)
    inspector.clear_cache()
    present = {name for name in changed if inspector.has_table(name)}
    if not present:
        return set()

    def ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        """Tables that changed, their columns, and the indexes that are named as ours are."""
        if kind == "table":
            return name in present
        if kind == "index":
            return not reflected or str(name).startswith(f"ix_{item.table.name}_")
        return kind == "column"

    metadata = next(iter(changed.values())).metadata
    options = {"compare_type": True, "include_object": ours, "target_metadata": metadata}
    context = MigrationContext.configure(connection, opts=options)
    found = produce_migrations(context, metadata).upgrade_ops
    operations, rewritten = Operations(context), set()
    for step in _steps(found.ops if found else ()):
        if isinstance(step, ops.DropColumnOp):
            _refuse_if_held(connection, step.table_name, step.column_name)
        elif isinstance(step, ops.AlterColumnOp) and step.modify_type is not None:
            _refuse_if_held(connection, step.table_name, step.column_name)
            # the values come from the warehouse in the same transaction, so the old ones need no conversion
            declared = step.modify_type.compile(dialect=connection.dialect)
            step.kw["postgresql_using"] = f"NULL::{declared}"
            rewritten.add(step.table_name)
        elif isinstance(step, ops.AddColumnOp):
            rewritten.add(step.table_name)
        operations.invoke(step)
    return rewritten


def drop(connection: sa.Connection, kind: str, name: str) -> None:
    """Drop a table or view of ours, if it is there.

    Raises:
        PublishError: on PostgreSQL, a view of somebody reads it; names the view.
    """
    _refuse_if_held(connection, name)
    connection.exec_driver_sql(f'DROP {kind.upper()} IF EXISTS "{name}"')


def _refuse_if_held(connection: sa.Connection, name: str, column: str | None = None) -> None:
    if connection.dialect.name != "postgresql":
        return
    views = connection.execute(sa.text(HOLDERS), {"name": name, "column": column}).scalars().all()
    if views:
        what = f"column {column} of {name}" if column else name
        raise PublishError(
            f"{what} is another in this version, and read by {', '.join(views)}: drop that, publish, "
            "create it again; until then the last publication stays"
        )


def _another_key(inspector: sa.Inspector, target: sa.Table) -> bool:
    """Whether the table has another primary key than is declared, or its columns other types."""
    declared = {column.name: column.type for column in target.primary_key}
    if set(inspector.get_pk_constraint(target.name)["constrained_columns"]) != set(declared):
        return True
    dialect = inspector.dialect
    return any(
        column["type"].compile(dialect=dialect) != declared[column["name"]].compile(dialect=dialect)
        for column in inspector.get_columns(target.name)
        if column["name"] in declared
    )


def _steps(operations: Iterable[Any]) -> Iterable[Any]:
    """The single operations among nested ones."""
    for one in operations:
        if hasattr(one, "ops"):
            yield from _steps(one.ops)
        else:
            yield one
