"""The data dictionary: what every declared column means and comes from, as a table and as a page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cja_pipeline import __version__
from cja_pipeline.config import shop
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.lineage import Lineage, Origin, kpi_origin, load_lineage
from cja_pipeline.settings import get_settings
from cja_pipeline.tables import PACKAGE, TABLES, Table, files_digest
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse

TABLE = "journey_maps.data_dictionary"
PAGE = "dictionary.html"
_INPUTS = ("**/*.sql", "**/*.yml", "journey_maps/**/*.j2", "journey_maps/**/*.css", "journey_maps/**/*.py")


def build_dictionary(wh: Warehouse) -> int:
    """Write ``journey_maps.data_dictionary``, one row per published column; returns its rows.

    Nothing is done while the declarations and models are those of the table that is there.
    """
    import pandas as pd

    inputs = fingerprint()
    if wh.exists(TABLE):
        kept = wh.scalar(
            "SELECT comment FROM duckdb_tables() WHERE schema_name || '.' || table_name = ?", [TABLE]
        )
        if kept == inputs:
            return wh.count(TABLE)
    rows = wh.write(TABLE, pd.DataFrame(list(_rows(_lineage(inputs))), columns=list(TABLES[TABLE].columns)))
    wh.execute(f"COMMENT ON TABLE {TABLE} IS '{inputs}'")
    return rows


def _rows(lineage: Lineage) -> Iterator[tuple[Any, ...]]:
    for name, table in TABLES.published().items():
        shown = [column for column, spec in table.columns.items() if not spec.pii]
        for place, column in enumerate(shown, 1):
            spec = table.columns[column]
            full = f"{table.full_name}.{column}"
            yield (
                name,
                column,
                place,
                spec.type,
                spec.description,
                column in table.key,
                table.references.get(column),
                ", ".join(sources(lineage.origins.get(full, Origin()))) or None,
                ", ".join(field_name(root) for root in sorted(lineage.roots(full))) or None,
                table.description,
                table.grain,
            )


def sources(origin: Origin) -> list[str]:
    """What a column is computed from in names that people can look up."""
    return [
        *(public_name(column) for column in origin.columns),
        *(field_name(field) for field in origin.fields),
        *(f"{public_table(table)}.*" for table in origin.tables),
    ]


def public_table(table: str) -> str:
    """The published name of a table, else its place in the warehouse."""
    return (TABLES[table].published_name if table in TABLES else None) or table


def public_name(column: str) -> str:
    """``customers.touchpoints.channel`` is ``touchpoints.channel`` to those who read the published tables."""
    table, _, name = column.rpartition(".")
    return f"{public_table(table)}.{name}"


def field_name(root: str) -> str:
    """``contacts:properties.email`` is ``hubspot/contacts properties.email``; a whole stream has no field."""
    table, _, field = root.partition(":")
    stream = load_streams()[table].stream
    return stream if field == "*" else f"{stream} {field}"


def write_dictionary(reports_dir: Path, language: str | None = None) -> Path:
    """Write ``latest/dictionary.html`` unless the page there was made from the same declarations."""
    from cja_pipeline.journey_maps.page.dictionary import dictionary_page

    language = language or shop().language
    inputs = fingerprint(language)
    path = reports_dir / "latest" / PAGE
    if path.exists() and f'content="{inputs}"' in path.read_text(encoding="utf-8")[:4_000]:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, dictionary_page(_lineage(fingerprint()), language, inputs).encode())
    return path


def fingerprint(language: str = "") -> str:
    """A hash of everything the dictionary is made from: models, declarations, configuration, templates."""
    paths = [path for pattern in _INPUTS for path in PACKAGE.glob(pattern)]
    override = get_settings().config
    if override is not None:
        paths += [*override.rglob("*.yml")]
    made_of = f"{__version__} {language} {shop().name} {files_digest(paths)}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:24]


@lru_cache(maxsize=1)
def _lineage(inputs: str) -> Lineage:
    """The lineage of these inputs; reading the models costs a second."""
    return load_lineage()


def ordered_tables() -> list[Table]:
    """Published tables first, then those that stay in the warehouse, room by room."""
    return sorted(TABLES.values(), key=lambda table: table.published_name is None)


def kpis(lineage: Lineage) -> list[dict[str, Any]]:
    """Every KPI of the catalogue with its definition, what it is counted from, and the fields behind it."""
    from cja_pipeline.kpis.catalogue import load_catalogue
    from cja_pipeline.kpis.describe import formula

    catalogue = load_catalogue()
    found: list[dict[str, Any]] = []
    for kpi in catalogue:
        derived = kpi.kind == "derived"
        origin = Origin() if derived else kpi_origin(kpi)
        parts = [part.id for part in catalogue.parts(kpi)] if derived else []
        roots: set[str] = set()
        for entry in catalogue.in_order():
            if entry.id == kpi.id or entry.id in _all_parts(catalogue, kpi):
                roots |= lineage.behind(Origin() if entry.kind == "derived" else kpi_origin(entry))
        found.append({"kpi": kpi, "formula": formula(kpi), "parts": parts, "origin": origin, "roots": roots})
    return found


def _all_parts(catalogue: Any, kpi: Any) -> set[str]:
    """Everything a derived KPI is made of, its parts' parts included."""
    if kpi.kind != "derived":
        return set()
    parts = catalogue.parts(kpi)
    return {part.id for part in parts}.union(*(_all_parts(catalogue, part) for part in parts))
