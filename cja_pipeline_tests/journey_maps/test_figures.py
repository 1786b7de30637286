"""What is said of a key figure: its verdict, the colour of its change, the places it is written with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cja_pipeline.journey_maps.build import build_journey_map, shop_context
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.page.kpis import change_class, figure
from cja_pipeline.journey_maps.rows import Row, read_map
from cja_pipeline.journey_maps.sections.kpis import judged, verdict
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.objectives import Objective, apply_objectives
from cja_pipeline.kpis.proportions import wilson
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.small_shop import LAST, SmallShop, insert

# by what is better, and whether it is counted without any chance
KPIS = {
    ("up", False): "conversion_rate",
    ("down", False): "bounce_rate",
    ("up", True): "engagement_rate_social_by_reach",
    ("down", True): "cost_per_click",
}


@pytest.fixture
def wh() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as warehouse:
        SmallShop().write(warehouse)
        yield warehouse


def judged_row(
    value: float, target: float, better: str, low: float | None, high: float | None, *, whole: bool = True
) -> dict[str, Any]:
    """A row of KPI values with the status that its objective gives it."""
    day = np.datetime64(LAST, "D")
    block: dict[str, Any] = {
        "kpi_id": np.array([KPIS[better, low is None]]),
        "dimension": np.array(["all"]),
        "dimension_value": np.array(["all"]),
        "grain": np.array(["rolling_28d"]),
        "period_start": np.array([day - 27]),
        "period_end": np.array([day]),
        "value": np.array([value]),
        "ci_low": np.array([np.nan if low is None else low]),
        "ci_high": np.array([np.nan if high is None else high]),
        "ci_method": np.array([None if low is None else "wilson"], dtype=object),
        "additive": np.array([not whole]),
        "is_complete": np.array([whole]),
    }
    goal = Objective(objective="o", kpi=block["kpi_id"][0], target=target, owner="o", effective_from=LAST)
    found = apply_objectives(block, [goal], load_catalogue())
    return {"target": target, "better": better, "status": found["status"][0], "kpi_id": goal.kpi}


@pytest.mark.parametrize(
    ("value", "better", "low", "high", "status"),
    [
        (3.0, "up", 2.5, 3.5, "on"),
        (2.05, "up", 1.7, 2.4, "on"),
        (1.9, "up", 1.7, 2.1, "near"),
        (1.5, "up", 1.4, 1.6, "off"),
        # exact figures have a tolerance of five per cent
        (1.95, "up", None, None, "near"),
        (1.5, "up", None, None, "off"),
        (1.5, "down", None, None, "on"),
        (2.1, "down", 1.9, 2.3, "near"),
        (2.5, "down", 2.4, 2.6, "off"),
    ],
)
def test_verdicts_are_those_of_the_kpi_table(
    value: float, better: str, low: float | None, high: float | None, status: str
) -> None:
    row = judged_row(value, 2.0, better, low, high)
    assert verdict(row, value) == status
    assert (row["status"] == "behind") == (status == "off")


def test_without_target_or_enough_data_there_is_no_verdict() -> None:
    assert verdict({"target": None, "better": "up", "status": None}, 3.0) == "none"
    assert verdict({"target": 2.0, "better": "up", "status": "insufficient_data"}, None) == "no_data"
    assert verdict(judged_row(1.0, 2.0, "up", 0.9, 1.1, whole=False), 1.0) == "no_data"


@pytest.mark.parametrize(("low", "high", "status"), [(0.13, 0.54, "doubtful"), (-0.1, 0.3, "on")])
def test_what_a_refuted_model_foretells_has_no_verdict(
    wh: Warehouse, low: float, high: float, status: str
) -> None:
    found = [("error", 0.336, low, high), ("held_back_days", 30.0, None, None)]
    rows = [
        {"model": "back_test", "item": item, "value": value, "low": a, "high": b, "status": "ok", "note": ""}
        for item, value, a, b in found
    ]
    insert(wh, "kpis.value_models", rows)
    context = shop_context(wh)
    row = judged_row(3.0, 2.0, "up", 2.5, 3.5)
    assert judged(context, row | {"kpi_id": "customer_lifetime_value"}, 3.0) == status
    assert judged(context, row, 3.0) == "on"
    insert(wh, "kpis.customer_value", [])
    insert(wh, "customers.customers", [])
    note = read_map(build_journey_map(wh)).find("note", "back_test")
    assert note is not None
    assert "+33.6" in note.text
    assert ("Chance does not explain that" in note.text) == (status == "doubtful")


@pytest.mark.parametrize(
    ("value", "low", "high", "previous", "before", "colour"),
    [
        # within the limits of this figure, then outside of them by no more than the other's
        (0.030, 0.027, 0.033, 0.028, [0.025, 0.031], "flat"),
        (0.030, 0.027, 0.033, 0.026, [0.023, 0.029], "flat"),
        (0.030, 0.027, 0.033, 0.025, [0.022, 0.028], "good"),
        (0.025, 0.022, 0.028, 0.030, [0.027, 0.033], "bad"),
        (12.0, None, None, 11.0, [None, None], "good"),
        # of nothing the upper limit is unknown
        (0.0, 0.0, None, 10.0, [2.0, 30.0], "flat"),
        (10.0, 2.0, 30.0, 0.0, [0.0, None], "flat"),
    ],
)
def test_a_change_is_coloured_only_beyond_the_chance_of_both_figures(
    value: float, low: float | None, high: float | None, previous: float, before: list[Any], colour: str
) -> None:
    row = Row(section="kpi", item="k", value=value, low=low, high=high, previous=previous)
    assert change_class(row, {"better": "up", "before": before}) == colour


def test_chance_alone_colours_one_change_in_twenty() -> None:
    """Two periods of one shop without any change: the share that looks like one."""
    random = np.random.Generator(np.random.Philox(5))
    coloured, n = 0, 3_000
    counts = random.binomial(n, 0.03, (1_000, 2))
    for pair in counts:
        (now, low, high), (past, *before) = ((hits / n, *map(float, wilson(hits, n))) for hits in pair)
        row = Row(section="kpi", item="k", value=now, low=low, high=high, previous=past)
        coloured += change_class(row, {"better": "up", "before": before}) != "flat"
    assert coloured / 1_000 < 0.065


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(0.189, 0.1, 0.278, "+0.19"), (5.54, 5.2, 5.9, "+5.5"), (31.4, 28.0, 34.8, "+31")],
)
def test_a_score_has_the_places_of_its_scale(value: float, low: float, high: float, text: str) -> None:
    row = Row(section="kpi", item="k", unit="score", value=value, low=low, high=high)
    assert figure(value, row, load_labels("en")) == text
