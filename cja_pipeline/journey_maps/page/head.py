"""The top of the page: what was found, for whom, and in what state the data are."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING
from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.rows import Map

GOOD, BAD = "good", "bad"


def head(page: Map, words: Labels) -> dict[str, Any]:
    """Title, lead (with ``*emphasis*``), eyebrow, segment links, banners, health lines."""
    found = page.find("header", "headline")
    period = page.find("header", "period")
    start = period.period_start if period else None
    end = period.period_end if period else None
    shop = page.text("header", "shop")
    segment = segment_name(page.segment, words)
    eyebrow = [shop, words("page.title"), words.formats.dates(start, end), segment]
    return {
        "title": found.label if found and found.label else words("headline.empty_title"),
        "lead": found.text if found and found.text else "",
        "eyebrow": " · ".join(part for part in eyebrow if part and part != NOTHING),
        "period": words.formats.dates(start, end),
        "segment": segment,
        "who": words.words.get(f"who.{page.segment}") or segment,
        "segments": _segments(page, words),
        "banners": banners(page),
        "health": health_lines(page, words),
    }


def segment_name(segment: str, words: Labels) -> str:
    """The words for a customer group."""
    return words.words.get(f"page.segment_{segment}") or segment.replace("_", " ")


def _segments(page: Map, words: Labels) -> list[dict[str, Any]]:
    """Links to the pages of the other groups, which lie beside this one."""
    row = page.find("header", "segments")
    codes = row.parts() if row else None
    if not isinstance(codes, list) or len(codes) < 2:
        return []
    return [
        {"name": segment_name(str(code), words), "file": file_name(str(code)), "here": code == page.segment}
        for code in codes
    ]


def file_name(segment: str) -> str:
    """The file of a group's page; letters, digits and dashes only."""
    if segment == "all":
        return "journey_map.html"
    safe = "".join(char if char.isalnum() and char.isascii() else "-" for char in segment.lower())
    return f"journey_map_{safe}.html"


def moment(text: str) -> dt.datetime | None:
    """An ISO moment, or None."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def banners(page: Map) -> list[str]:
    """What a reader must know before anything else."""
    return [row.text for row in page.section("health") if row.item.startswith("banner") and row.text]


def health_lines(page: Map, words: Labels) -> list[dict[str, str]]:
    """The state of the data in five lines: name, value, kind (good, bad or nothing)."""
    rows = {row.item: row for row in page.section("health")}
    form = words.formats
    unknown = words("health.unknown")
    lines = []
    refreshed = rows.get("refreshed")
    lines.append(_line("refreshed", form.moment(moment(refreshed.text)) if refreshed else unknown, "", words))
    for item in ("sources", "checks", "records"):
        row = rows.get(item)
        if row is None or row.value is None or row.target is None:
            lines.append(_line(item, unknown, "", words))
            continue
        text = words("health.of", a=form.number(row.value), b=form.number(row.target))
        extra = _extra(item, row.parts(), words)
        bad = row.value < row.target and not (item == "checks" and row.status == "warned")
        lines.append(_line(item, f"{text}{extra}", BAD if bad else "", words))
    held = rows.get("quarantine")
    if held is None or held.value is None:
        lines.append(_line("quarantine", unknown, "", words))
    else:
        share = f" ({form.percent(held.share)})" if held.share is not None else ""
        lines.append(_line("quarantine", f"{form.number(held.value)}{share}", "", words))
    return lines


def _extra(item: str, parts: Any, words: Labels) -> str:
    if item != "checks" or not isinstance(parts, dict):
        return ""
    texts = [
        words.count(f"health.{kind}", parts[kind], words.formats.number(parts[kind]))
        for kind in ("failures", "warnings")
        if parts.get(kind)
    ]
    return "".join(f", {text}" for text in texts)


def _line(item: str, value: str, kind: str, words: Labels) -> dict[str, str]:
    return {"name": words(f"health.{item}"), "value": value, "kind": kind}
