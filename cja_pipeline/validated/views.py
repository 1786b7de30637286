"""Views of the newest version per key, over the tables that hold every version of a CRM record."""

from __future__ import annotations

from cja_pipeline.tables import TABLES
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse


def current_view(table: str) -> str:
    """DDL of ``validated.<table>_current``: per key the version with the latest update, then the latest
    pull."""
    declared = TABLES[f"validated.{table}"]
    columns = ", ".join(f'"{column}"' for column in declared.columns)
    key = declared.key[0]
    return (
        f"CREATE OR REPLACE VIEW validated.{table}_current AS SELECT {columns} FROM ("
        f"SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY updated_at DESC, _landed_at DESC, "
        f"_source_file DESC, _source_row DESC) AS _version FROM validated.{table}) AS versions "
        "WHERE _version = 1"
    )


def create_views(warehouse: Warehouse, table: str) -> None:
    """Create the view of current rows of one table, if its stream holds versions. Made anew each time: the
    table may have got other columns since."""
    if load_streams()[table].layout == "changes":
        warehouse.execute(current_view(table))
