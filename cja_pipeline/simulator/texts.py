"""Texts of tickets, survey comments and social comments, from templates by topic, feeling and language."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml

Templates = dict[str, dict[int, dict[str, list[str]]]]


@lru_cache(maxsize=1)
def templates() -> Templates:
    """All templates of ``texts.yml``."""
    return yaml.safe_load((Path(__file__).parent / "texts.yml").read_text(encoding="utf-8"))


def text(topic: str, feeling: int, language: str, draw: int, product: str) -> str:
    """One text; `draw` is any non-negative number. Some writers add noise of their own."""
    pool = templates()[topic][feeling]["de" if language == "de" else "en"]
    words = pool[draw % len(pool)].replace("{p}", product)
    style = draw // 64 % 16
    if style == 0:
        return words.upper()
    if style == 1:
        return words.lower().replace(".", "")
    if style == 2:
        return words + (" 😡" if feeling < 0 else " 😍" if feeling > 0 else " 🤔")
    return words


def subject(body: str) -> str:
    """The first words of a text, as people fill the subject line."""
    first = body.split(". ")[0].split("! ")[0].split("? ")[0]
    return first if len(first) <= 60 else first[:57].rsplit(" ", 1)[0] + "…"
