"""The history of every check on the quality page: by table, what deserves a look first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.quality import drawings
from cja_pipeline.quality.figures import ABSENT, FAILED, PASSED, WARNED, Figures
from cja_pipeline.quality.texts import short, text

LEAST_NIGHTS = 14  # a strip of nights has room for so many, however few there were
ROOMS = ("validated", "customers", "kpis")  # in the order of the pipeline; own checks of steps follow
WORST = (FAILED, WARNED, PASSED, ABSENT)


def nights(figures: Figures, words: Labels) -> dict[str, Any] | None:
    """Every check by table, with its state in the last nights."""
    if not figures.checks:
        return None
    groups: dict[str, list[dict[str, Any]]] = {}
    for check in figures.checks:
        groups.setdefault(check["table_name"], []).append(check)
    ranked = sorted(groups.items(), key=lambda group: _rank(*group))
    dates = figures.nights
    return {
        "span": words.formats.dates(dates[0], dates[-1], short=True),
        "count": words.count("quality.nights", len(dates), words.formats.number(len(dates))),
        "groups": [_group(short(table), checks, words) for table, checks in ranked],
    }


def _rank(table: str, checks: Sequence[dict[str, Any]]) -> tuple[int, int, str]:
    room = table.partition(".")[0]
    place = ROOMS.index(room) if room in ROOMS else len(ROOMS)
    return min(WORST.index(check["state"]) for check in checks), place, table


def _group(name: str, checks: list[dict[str, Any]], words: Labels) -> dict[str, Any]:
    worst = [min(states, key=WORST.index) for states in zip(*(c["states"] for c in checks), strict=True)]
    failing = [check for check in checks if check["state"] != PASSED]
    ranked = sorted(checks, key=lambda check: (WORST.index(check["state"]), check["check_id"]))
    return {
        "name": name,
        "state": min((check["state"] for check in checks), key=WORST.index),
        "checks": words.count("quality.checks", len(checks), words.formats.number(len(checks))),
        "failing": words.count("quality.not_passed", len(failing), words.formats.number(len(failing))),
        "strip": drawings.strip(worst, LEAST_NIGHTS),
        "rows": [_row(check, words) for check in ranked],
    }


def _row(check: dict[str, Any], words: Labels) -> dict[str, Any]:
    """One check; its nights are drawn where one of them did not pass, else told in figures alone."""
    run = [state for state in check["states"] if state != ABSENT]
    passed, number = run.count(PASSED), words.formats.number
    return {
        "state": check["state"],
        "word": words(f"quality.{check['state']}"),
        "what": text(check["description"]),
        "check": text(check["check_id"]),
        "seen": text(check["observed"] or ""),
        "held": words("quality.nights_held", a=number(passed), b=number(len(run))),
        "strip": drawings.strip(check["states"], LEAST_NIGHTS) if passed < len(run) else None,
    }
