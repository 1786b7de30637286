"""The quality page: from the figures to one HTML file, script-free, in the style of the journey map."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.config import shop
from cja_pipeline.journey_maps.labels import Labels, load_labels
from cja_pipeline.journey_maps.page import palette
from cja_pipeline.journey_maps.page.head import banners, health_lines
from cja_pipeline.journey_maps.page.render import POLICY, emphasised
from cja_pipeline.journey_maps.page.render import TEMPLATES as MAP_TEMPLATES
from cja_pipeline.journey_maps.rows import Map
from cja_pipeline.quality import drawings
from cja_pipeline.quality.books import books, by_table, headline_counts, money_steps
from cja_pipeline.quality.figures import DAYS_SHOWN, FAILED, WARNED, Figures, Series
from cja_pipeline.quality.nights import nights
from cja_pipeline.quality.texts import short, text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
MOST = {"attention": 10, "kept_out": 10, "drift": 12, "series": 20}
KINDS = ("rows", "share", "index")


def render_quality(figures: Figures, health: Map, language: str | None = None) -> str:
    """The page; equal figures give equal bytes.

    Args:
        health: the journey map's rows of section `health`: both pages say the same.
    """
    words = load_labels(language or shop().language)
    html = _environment().get_template("quality.html.j2").render(_context(figures, health, words))
    return re.sub(r"\n\s*\n+", "\n", html)


def verdict(figures: Figures, words: Labels) -> str:
    """One sentence: may the numbers be trusted."""
    summary = figures.summary
    if not summary.checks:
        return words("quality.nothing_title")
    if summary.failures:
        return words("quality.blocked_title")
    return words("quality.warned_title" if summary.warnings else "quality.fine_title")


def _context(figures: Figures, health: Map, words: Labels) -> dict[str, Any]:
    summary, form = figures.summary, words.formats
    return {
        "t": words,
        "rich": emphasised,
        "policy": POLICY,
        "language": words.language,
        "direction": words.direction,
        "light": palette.variables(palette.LIGHT),
        "dark": palette.variables(palette.DARK),
        "shop": shop().name,
        "day": form.date(figures.last_day),
        "title": verdict(figures, words),
        "lead": words("quality.lead", **headline_counts(figures, words)) if figures.ledger else "",
        "banners": banners(health),
        "health": health_lines(health, words),
        "attention": [_failed(row, words) for row in summary.failed[: MOST["attention"]]],
        "more": max(0, len(summary.failed) - MOST["attention"]),
        "books": books(figures, words),
        "tables": by_table(figures, words),
        "orders": money_steps(figures, words),
        "fresh": _fresh(figures, words),
        "kept_out": _kept_out(figures, words),
        "drift": _drift(figures, words),
        "series": _series(figures, words),
        "nights": nights(figures, words),
    }


def _failed(row: dict[str, Any], words: Labels) -> dict[str, str]:
    critical = row["severity"] == "critical"
    return {
        "state": FAILED if critical else WARNED,
        "icon": "cross" if critical else "warn",
        "word": words(f"quality.{FAILED if critical else WARNED}"),
        "table": short(row["table_name"]),
        "check": text(row["check_id"]).replace("_", " "),
        "what": text(row["description"]),
        "seen": text(row["error"] or row["observed"], 400),
        "expected": text(row["expected"]),
        "advice": text(row["advice"]),
    }


def _fresh(figures: Figures, words: Labels) -> dict[str, Any] | None:
    if not figures.streams or figures.last_day is None:
        return None
    form, rows = words.formats, []
    for row in figures.streams:
        states = drawings.day_states(row, figures.last_day, DAYS_SHOWN)
        behind = (figures.last_day - row["newest"]).days
        rows.append({
            "name": short(row["table_name"]),
            "source": words.name("source", text(row["source"])),
            "newest": form.date(row["newest"], short=True, year=False),
            "pulled": form.moment(row["as_of"]),
            "late": behind > 1,
            "strip": drawings.strip(states),
            "missing": states.count(FAILED),
            "days": len(row["days"]),
        })  # fmt: skip
    heads = ("table", "source", "newest", "pulled", "days_n", "missing")
    twin = [
        [one["name"], one["source"], one["newest"], one["pulled"], form.number(one["days"]),
         form.number(one["missing"])]
        for one in rows
    ]  # fmt: skip
    return {"rows": rows, "days": DAYS_SHOWN, "twin": _twin(words, heads, twin)}


def _kept_out(figures: Figures, words: Labels) -> dict[str, Any] | None:
    if not figures.kept_out:
        return None
    form, most = words.formats, max(row["records"] for row in figures.kept_out)
    rows = [
        {
            "rule": text(row["rule"]).replace("_", " "),
            "table": short(row["table_name"]),
            "outcome": words(f"quality.{row['outcome']}"),
            "bar": drawings.draw.pct(row["records"] / most),
            "n": form.number(row["records"]),
            "share": form.percent(row["records"] / row["offered"] if row["offered"] else None),
            "advice": text(row["advice"] or ""),
        }
        for row in figures.kept_out
    ]
    heads = ("rule", "table", "outcome", "rows", "share", "advice")
    names = ("rule", "table", "outcome", "n", "share", "advice")
    twin = [[one[name] for name in names] for one in rows]
    return {"rows": rows[: MOST["kept_out"]], "twin": _twin(words, heads, twin)}


def _drift(figures: Figures, words: Labels) -> list[dict[str, str]]:
    form = words.formats
    return [
        {
            "kind": words(f"quality.drift_{row['kind']}"),
            "field": text(row["field"]),
            "table": short(row["table_name"]),
            "since": form.date(row["since"], short=True, year=False),
            "days": words.count("quality.days", row["days"], form.number(row["days"])),
            "rows": words.count("quality.n_rows", row["records"], form.number(row["records"]))
            if row["records"]
            else "",
        }
        for row in figures.drift[: MOST["drift"]]
    ]


def _series(figures: Figures, words: Labels) -> dict[str, Any] | None:
    """Courses with unusual days first, then one after the other; the twin has them all."""
    if not figures.series:
        return None
    ranked = sorted(
        figures.series, key=lambda one: (not any(one.unusual), "." in one.code, KINDS.index(one.kind))
    )
    drawn = [(one, drawings.course(one, _figure(one, words), words)) for one in ranked]
    for one, found in drawn:
        found["name"] = _series_name(one, words)
    heads = ("table", "series", "newest", "usual_range", "unusual_days")
    twin = [
        [found["table"], found["name"], found["newest"], found["range"], ", ".join(found["odd"]) or "–"]
        for _, found in drawn
    ]
    judged = sum(len(one.days) for one in figures.series)
    odd = sum(sum(one.unusual) for one in figures.series)
    return {
        "rows": [found for _, found in drawn[: MOST["series"]]],
        "twin": _twin(words, heads, twin),
        "how": words(
            "quality.series_how", judged=words.formats.number(judged), odd=words.formats.number(odd)
        ),
    }


def _series_name(series: Series, words: Labels) -> str:
    if series.kind == "rows":
        return words("quality.rows_a_day")
    if "." in series.code:
        return words("quality.missing_of", column=series.code.partition(".")[2].replace("_", " "))
    return text(series.text).rstrip(".")


def _figure(series: Series, words: Labels) -> Any:
    if series.kind == "rows":
        return lambda value: words.formats.short(value, exact_below=10_000)
    if series.kind == "share":
        return lambda value: words.formats.percent(value)
    return lambda value: words.formats.number(value, 2)


def _twin(words: Labels, heads: tuple[str, ...], rows: list[list[str]]) -> dict[str, Any]:
    return {"heads": [words(f"quality.{head}") for head in heads], "rows": rows}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([TEMPLATES, MAP_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
