"""Fixtures of the sources' tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of captured vendor documents (`CJA_SHARED_DATA`, or ``shared/data`` beside the repository)."""
    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("CJA_SHARED_DATA") or root.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip("captured vendor documents are not on this machine")
    return path
