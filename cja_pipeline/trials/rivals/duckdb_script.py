"""The outputs by one hand-written DuckDB script: ``script/*.sql``, in order, into one database file."""

from __future__ import annotations

from pathlib import Path

import duckdb

from cja_pipeline.config import SHIPPED
from cja_pipeline.trials.rivals.given import Given
from cja_pipeline.validated.lookups import COUNTRIES
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.validated.suites import load_sets

SCRIPT = Path(__file__).parent / "script"


def build(given: Given, folder: Path) -> None:
    """Run the script; the tables are in ``out.duckdb`` in `folder`."""
    empty = folder / "none.jsonl"  # for worlds without a JSON day
    empty.touch()
    variables = {
        "landing": str(given.landing),
        "given": str(given.handed),
        "json_files": given.json_files or [str(empty)],
        "event_names": list(load_streams()["web_events"].enums["event_name"].known),
        "currencies": list(load_sets()["iso_4217"]),
        "countries": str(COUNTRIES),
        "categories": str(SHIPPED / "ga4_source_categories.csv"),
        "observed_until": given.observed_until,
    }
    with duckdb.connect(str(folder / "out.duckdb")) as connection:
        connection.execute("SET memory_limit = ?", [given.memory])
        connection.execute("SET threads = ?", [given.threads])
        connection.execute("SET enable_progress_bar = false")
        for key, value in variables.items():
            connection.execute(f"SET VARIABLE {key} = ?", [value])
        for path in sorted(SCRIPT.glob("*.sql")):
            connection.execute(path.read_text(encoding="utf-8"))
