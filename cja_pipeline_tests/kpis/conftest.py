"""Shared by the tests of KPIs: one random shop with its KPIs computed."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import DAYS, fill


@pytest.fixture(scope="session")
def random_shop() -> Iterator[tuple[Warehouse, dict[str, pd.DataFrame], pd.DataFrame]]:
    """The warehouse, the tables it was filled with, and ``kpis.kpi_values``; read-only."""
    with Warehouse(":memory:") as wh:
        tables = fill(wh, days=DAYS)
        build_kpi_values(wh)
        yield wh, tables, wh.read("kpi_values")
