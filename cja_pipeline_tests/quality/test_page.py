"""The quality page: deterministic, inert whatever the tables hold, complete, in both languages."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.rows import Map, Rows, read_map
from cja_pipeline.quality.drawings import course, day_states, strip, waterfall
from cja_pipeline.quality.figures import ABSENT, FAILED, PASSED, WARNED, Figures, Series, read_figures
from cja_pipeline.quality.page import render_quality
from cja_pipeline.quality.waterfall import with_rests
from cja_pipeline.validated.outcomes import Outcome, store
from cja_pipeline.validated.summary import QualitySummary, quality_summary
from cja_pipeline.warehouse import Warehouse

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e"
DAY = dt.date(2026, 3, 31)
WEB = {"table_name": "validated.web_events", "source": "web_analytics"}


def figures(text: str = "a text", nights: int = 3) -> Figures:
    summary = QualitySummary(dt.datetime(2026, 4, 1, 2), 3, 1, 1, 1)  # noqa: DTZ001  (naive UTC)
    check: dict[str, Any] = {
        "table_name": "validated.web_events", "check_id": "known_values", "severity": "warning",
        "description": text, "observed": text, "expected": text, "advice": text, "error": None,
    }  # fmt: skip
    summary.failed = [check | {"severity": "critical"}, check]
    days = [DAY - dt.timedelta(days=back) for back in range(5)][::-1]
    series = Series("validated.web_events", "event_mix", "index", text)
    for place, day in enumerate(days):
        series.add(day, 0.1 * place, 0.0, 0.25, place == 4)
    stream = WEB | {
        "newest": DAY, "oldest": days[0], "as_of": dt.datetime(2026, 4, 1, 2), "days": days,  # noqa: DTZ001
        "bad": [0, 0, 3, 0, 0], "every_day": True,
    }  # fmt: skip
    counts = {"rejected": 1, "quarantined": 2, "duplicate": 3, "late": 4}
    none = dict.fromkeys(counts, 0)
    ledger = [
        WEB | {"stage": "landed", "offered": 100, "accepted": 100, "valid": 100} | none,
        WEB | {"stage": "validated", "offered": 100, "accepted": 99, "valid": 90} | counts,
        WEB | {"stage": "customers", "offered": 90, "accepted": 60, "valid": 60} | none | {"rejected": 30},
    ]
    steps = with_rests([
        ("web_purchases", "total", 10, 100.0),
        ("not_measured", "step", 2, 20.0),
        ("crm_orders", "total", 12, 119.0),
    ])  # fmt: skip
    names = ("step", "kind", "orders", "money", "currency")
    kept = {"outcome": "quarantined", "rule": text, "records": 2, "advice": text, "offered": 100}
    news = {"kind": "value", "field": text, "table_name": text, "since": DAY, "until": DAY, "days": 1}
    return Figures(
        summary,
        DAY,
        ledger,
        [WEB | {"reason": "used", "records": 60}, WEB | {"reason": text, "records": 30}],
        [dict(zip(names, (*step, "EUR"), strict=True)) for step in steps],
        [stream],
        [WEB | kept | {"days": [DAY], "counts": [2]}],
        [news | {"records": 5, "detail": text}],
        [series],
        days[:nights],
        [check | {"state": WARNED, "states": [PASSED, WARNED, WARNED][:nights]}],
    )


def health(text: str = "a banner") -> Map:
    rows = Rows()
    rows.add(
        "health", "checks", value=1.0, target=3.0, status="failed", series={"failures": 1, "warnings": 1}
    )
    rows.add("health", "banner/0", text=text, status="warning")
    return read_map(rows.frame())


def test_equal_figures_give_equal_bytes_without_script_or_request() -> None:
    page = render_quality(figures(), health())
    assert page == render_quality(figures(), health())
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"<script|<link|<iframe|\son\w+=|https?://|url\(", page)
    assert len(page) < 60_000


@pytest.mark.parametrize("language", ["en", "de"])
def test_hostile_text_is_shown_as_text(language: str) -> None:
    page = render_quality(figures(HOSTILE), health(HOSTILE), language)
    assert "<script>" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"\{\w+\}", re.sub(r"<style>.*?</style>", "", page, flags=re.S))  # nothing unfilled


def test_an_empty_warehouse_has_a_page() -> None:
    page = render_quality(Figures(QualitySummary()), read_map(Rows().frame()))
    assert load_labels("en")("quality.nothing_title") in page


def test_what_is_wrong_stands_first() -> None:
    page = render_quality(figures(), health())
    words = load_labels("en")
    assert words("quality.blocked_title") in page
    assert page.index('role="alert"') < page.index("<h1>")
    assert page.index(words("quality.failed")) < page.index(words("quality.warned"))
    rest = re.search(r'class="rest">.*?</li>', page, re.S)
    assert rest is not None
    assert page.count('class="rest"') == 3  # two in the books, one before the CRM orders
    assert "state failed" in page  # 1.00 of money is unexplained


def test_every_drawing_has_its_table() -> None:
    page = render_quality(figures(), health())
    assert page.count('<details class="twin">') == 6


def test_a_night_counts_once_however_often_it_was_tried(warehouse: Warehouse) -> None:
    """The last run of a night speaks for it; steps after the page and checks of old are no part of it."""
    for name in ("quality.ledger", "quality.quarantine_summary", "quality.drift", "quality.profile"):
        warehouse.ensure(name)
    first, second = DAY, DAY + dt.timedelta(days=1)
    for night, run, table, found in [
        (first, "a", "t", {"seen": True, "of_old": False}),
        (second, "b", "t", {"seen": False}),  # killed afterwards
        (second, "c", "t", {"seen": True}),
        (second, "c", "privacy", {"nothing_left": False}),
    ]:
        warehouse.execute("DELETE FROM quality.ledger")
        warehouse.execute("INSERT INTO quality.ledger BY NAME SELECT ?::DATE AS day", [night])
        at = dt.datetime(2026, 4, 2, ord(run) - ord("a"))  # noqa: DTZ001  (naive UTC)
        store(
            warehouse,
            table,
            run,
            [Outcome(run, at, table, code, "", "critical", "", ok, "", "") for code, ok in found.items()],
        )
    drawn = read_figures(warehouse)
    assert drawn.nights == [first, second]
    assert [(one["check_id"], one["states"]) for one in drawn.checks] == [("seen", [PASSED, PASSED])]
    assert drawn.summary.failures == 0
    assert quality_summary(warehouse).failures == 1


def test_waterfall_bars_are_to_scale() -> None:
    bars = waterfall(
        [("total", "go", 200.0), ("step", "loss", -50.0), ("step", "gain", 20.0), ("total", "go", 170.0)]
    )
    assert [(bar["left"], bar["width"]) for bar in bars] == [
        ("0%", "100%"), ("75%", "25%"), ("75%", "10%"), ("0%", "85%"),
    ]  # fmt: skip
    assert waterfall([("total", "go", 0.0)])[0]["width"] == "0%"


def test_rests_are_what_the_steps_leave() -> None:
    steps = with_rests([("a", "total", 10, 100.0), ("x", "step", -3, -30.5), ("b", "total", 7, 70.0)])
    assert steps[2] == ("rest_b", "rest", 0, 0.5)
    assert [step[0] for step in steps] == ["a", "x", "rest_b", "b"]


def test_days_of_a_stream() -> None:
    first = DAY - dt.timedelta(days=3)
    row = {"days": [first, DAY], "bad": [0, 2], "oldest": first, "every_day": True}
    assert day_states(row, DAY, 5) == [ABSENT, PASSED, FAILED, FAILED, WARNED]
    assert day_states(row | {"every_day": False}, DAY, 3) == [ABSENT, ABSENT, WARNED]
    assert strip([PASSED, ABSENT, PASSED])["paths"] == [("passed", "M0 0h8v10h-8zM20 0h8v10h-8z")]


def test_unusual_days_are_dots() -> None:
    found = course(figures().series[0], str, load_labels("en"))
    assert len(found["dots"]) == found["unusual"] == 1
    assert found["dots"][0][0] == "100%"
    assert found["odd"] == ["31 Mar"]
