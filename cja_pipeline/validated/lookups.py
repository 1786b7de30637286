"""What the mappings look up: names of countries, kinds of pages."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from pydantic import Field

from cja_pipeline.config import StrictModel, config_path, load_config
from cja_pipeline.sql import literal
from cja_pipeline.warehouse import Warehouse

COUNTRIES = Path(__file__).parent / "countries.csv"


class Pages(StrictModel):
    """``config/pages.yml``: beginnings of paths by kind of page; language segments to skip."""

    languages: list[str] = Field(default_factory=list)
    pages: dict[str, list[str]]


def create_lookups(warehouse: Warehouse) -> None:
    """Write ``config.country_names`` (spelling, code) and the functions for kinds of page."""
    with COUNTRIES.open(encoding="utf-8", newline="") as file:
        rows = [(row["name"], row["code"]) for row in csv.DictReader(file)]
    # every usual spelling is an entry, so that a row is looked up without changing its text
    names = {spelt: code for name, code in rows for spelt in (name, name.lower(), name.upper())}
    names |= {spelt: code for _, code in rows for spelt in (code, code.lower())}
    with warehouse.transaction():
        warehouse.execute("CREATE OR REPLACE TABLE config.country_names (name VARCHAR, code VARCHAR)")
        warehouse.execute(
            "INSERT INTO config.country_names SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
            [list(names), list(names.values())],
        )
        for macro in page_macros(load_config("pages.yml", Pages)):
            warehouse.execute(macro)


def page_macros(pages: Pages) -> list[str]:
    """DDL of ``shop_path(path)``, which drops a language segment, and ``page_type(bare)``, null for null."""
    prefixes: list[tuple[str, str]] = []
    for prefix, kind in ((prefix, kind) for kind, many in pages.pages.items() for prefix in many):
        # in the order of the file (busiest kinds first), but the longer match before the shorter one
        place = next((i for i, (other, _) in enumerate(prefixes) if prefix.startswith(other)), len(prefixes))
        prefixes.insert(place, (prefix, kind))
    cases = " ".join(
        f"WHEN {'bare = ' + literal(prefix) if prefix == '/' else f'starts_with(bare, {literal(prefix)})'}"
        f" THEN {literal(kind)}"
        for prefix, kind in prefixes
    )
    segments = ", ".join(literal(language) for language in pages.languages) or "NULL"
    segment = "split_part(path, '/', 2)"
    return [
        f"CREATE OR REPLACE TEMP MACRO shop_path(path) AS CASE WHEN {segment} IN ({segments}) "
        f"THEN coalesce(nullif(substr(path, length({segment}) + 2), ''), '/') ELSE path END",
        "CREATE OR REPLACE TEMP MACRO page_type(bare) AS "
        f"CASE WHEN bare IS NULL THEN NULL {cases} ELSE 'other' END",
    ]


def lookups_digest() -> str:
    """Digest of everything here that changes rows; part of the rules hash."""
    digest = hashlib.sha256(COUNTRIES.read_bytes())
    digest.update(config_path("pages.yml").read_bytes())
    return digest.hexdigest()
