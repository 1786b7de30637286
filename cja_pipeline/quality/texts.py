"""Texts that come from tables, as the quality page may show them."""

from __future__ import annotations

from cja_pipeline.journey_maps.redact import clean

LIMIT = 200  # characters


def short(table: str) -> str:
    """A table's name for people: without the room."""
    return clean(str(table), LIMIT).rpartition(".")[2].replace("_", " ")


def text(value: object, limit: int = LIMIT) -> str:
    """A text of a table, cleaned and bounded."""
    return clean(str(value), limit)
