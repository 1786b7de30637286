"""An empty warehouse and an empty landing for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cja_pipeline.warehouse import Warehouse


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as opened:
        yield opened


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "landing"
