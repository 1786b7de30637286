"""Measure quality itself: are planted faults found, and is a clean shop left in peace."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cja_pipeline.quality.detection import incidents, measure, odd_signs, watched_tables
from cja_pipeline.quality.worlds import RUN, shop, validated_shop
from cja_pipeline.validated.runner import check
from cja_pipeline.validated.suites import load_suite
from cja_pipeline.validated.usual_checks import judged_days
from cja_pipeline.warehouse import Warehouse

START = dt.date(2026, 1, 5)


def found_faults(*, customers: int, days: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Run the nightly job over a shop with every planted fault; what was found of each class and incident."""
    from cja_pipeline.orchestration.nightly import run_nights
    from cja_pipeline.settings import get_settings
    from cja_pipeline.simulator.ensure import ensure_world

    with tempfile.TemporaryDirectory(prefix="cja-quality-") as name, shop(Path(name), clean=False) as home:
        first, last = ensure_world(home / "world", customers=customers, days=days, seed=seed, start=START)
        if not run_nights(first, last, reason="measurement"):
            raise RuntimeError("the night did not succeed: see `cja quality` of a demo of this size")
        with Warehouse(get_settings().warehouse_path) as warehouse:
            classes = [vars(one) | {"recall": one.recall, "precision": one.precision}
                       for one in measure(warehouse, home / "world" / "truth", last)]  # fmt: skip
            told = [vars(one) for one in incidents(warehouse, home / "world" / "truth")]
    return {"classes": classes, "incidents": told}


def false_alarms(*, customers: int, days: int, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Per clean shop: blocking checks that failed, warnings, and unusual days per 100 judged series-days."""
    found = []
    logging.getLogger("cja_pipeline").setLevel(logging.ERROR)
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="cja-clean-") as name, shop(Path(name), clean=True) as home:
            path, _ = validated_shop(home, customers=customers, days=days, seed=seed, start=START)
            with Warehouse(path) as warehouse:
                found.append({"seed": seed} | _calm(warehouse))
    return found


def _calm(warehouse: Warehouse) -> dict[str, Any]:
    tables = watched_tables(warehouse)
    outcomes = [one for table in tables for one in check(warehouse, table, RUN)]
    suites = [suite for table in tables if (suite := load_suite(table)) is not None]
    judged = sum(judged_days(warehouse, suite) for suite in suites)
    alarms = odd_signs(warehouse)
    return {
        "checks": len(outcomes),
        "false_blocks": [
            f"{one.table_name} {one.check_id}" for one in outcomes if one.blocking and not one.passed
        ],
        "warnings": [
            f"{one.table_name} {one.check_id}" for one in outcomes if not one.blocking and not one.passed
        ],
        "series_days": judged,
        "alarms": len(alarms),
        "per_100": 100 * len(alarms) / judged if judged else 0.0,
    }
