"""The record of processing (GDPR Art. 30): which personal data, what for, where, for how long.

Facts about the company come from ``privacy.yml``, everything else from the tags of the declared columns, so
the record cannot fall behind the tables.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.privacy.config import Privacy, limit_of, load_privacy
from cja_pipeline.privacy.pages import Part, tables_page
from cja_pipeline.tables import TABLES, Table
from cja_pipeline.validated.streams import load_streams

PAGE = "processing.html"


def write_processing(reports_dir: Path) -> Path:
    """Write ``latest/processing.html``."""
    path = reports_dir / "latest" / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, processing_page(load_privacy()).encode())
    return path


def processing_page(facts: Privacy) -> str:
    """The page; see the module."""
    people = [table for table in TABLES.values() if table.pii_columns or "customer_id" in table.columns]
    parts = [
        Part(
            "Who is responsible",
            ["", ""],
            [
                ("Controller", facts.controller),
                ("Contact", facts.contact),
                ("People concerned", "; ".join(facts.subjects)),
                ("Transfers to third countries", facts.transfers),
            ],
        ),
        Part(
            "Purposes",
            ["Purpose", "Legal basis", "Consent asked", "Rooms"],
            [
                (one.name, one.basis, one.consent or "none needed", ", ".join(one.rooms))
                for one in facts.purposes
            ],
        ),
        Part(
            "Sources",
            ["Vendor and stream", "Becomes", "Kept for"],
            [
                (stream.stream, f"validated.{name}", _limit(f"validated.{name}"))
                for name, stream in load_streams().items()
            ],
        ),
        Part("Personal data by kind", ["Kind", "Columns", "Tables"], _categories(facts)),
        Part(
            "Tables with people in them",
            ["Table", "What it holds", "Personal data", "Form", "Kept for", "Who can read it"],
            [_row(table) for table in people],
            "A table without a limit of its own is made anew every night from tables that have one.",
        ),
        Part(
            "Recipients",
            ["Recipient", "Gets", "Where"],
            [(one.name, one.gets, one.where) for one in facts.recipients],
        ),
        Part("Measures", ["", "Measure"], list(enumerate(facts.measures, 1))),
    ]
    lead = "What this pipeline does with personal data. Made from the declared tables every night."
    links = [("Journey map", "journey_map.html"), ("Dictionary", "dictionary.html")]
    return tables_page("Record of processing", lead, parts, links)


def category_of(column: str, facts: Privacy) -> str:
    """The kind of data a tagged column holds."""
    return next((name for name, columns in facts.categories.items() if column in columns), "other")


def _categories(facts: Privacy) -> list[tuple[str, str, str]]:
    columns: dict[str, set[str]] = defaultdict(set)
    tables: dict[str, set[str]] = defaultdict(set)
    for table in TABLES.values():
        for column in table.pii_columns:
            kind = category_of(column, facts)
            columns[kind].add(column)
            tables[kind].add(table.full_name)
    return [
        (kind, ", ".join(sorted(columns[kind])), ", ".join(sorted(tables[kind]))) for kind in sorted(columns)
    ]


def _row(table: Table) -> tuple[str, str, str, str, str, str]:
    published = table.published_name
    tagged = ", ".join(table.pii_columns)
    return (
        table.full_name,
        table.description,
        tagged or "pseudonym only",
        "in plain" if tagged else "under a pseudonym (customer_id, keyed hashes)",
        _limit(table.full_name),
        f"readers of the serving database, as {published}, without the tagged columns"
        if published
        else "operators of this installation",
    )


def _limit(table: str) -> str:
    days = limit_of(table)
    return f"{days} days" if days else "as long as its source"
