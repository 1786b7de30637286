"""What the steps share: landed files with the time of their pull, business days, money."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ZONE = "Europe/Berlin"


def pulls(landing: Path, stream: str) -> Iterator[tuple[Path, pd.Timestamp, pd.Timestamp]]:
    """Folder, business day and logical time of every finished pull of a stream."""
    for path in sorted((landing / stream).rglob("_MANIFEST.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        yield path.parent, pd.Timestamp(told["dt"]), pd.Timestamp(told["as_of"]).tz_localize(None)


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Records of the JSON files of a folder; what cannot be read is left out."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def texts(values: Any) -> pd.Series[str]:
    """Text; an empty one is missing."""
    found = pd.Series(values, dtype="str")
    return found.mask(found == "")


def times(values: Any) -> pd.Series[pd.Timestamp]:
    """UTC moments; what is none is missing."""
    found = pd.to_datetime(pd.Series(values, dtype="str"), utc=True, errors="coerce", format="ISO8601")
    return found.dt.tz_localize(None).astype("datetime64[us]")


def business_date(moments: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    return moments.dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.tz_localize(None).dt.normalize()


def cents(amounts: pd.Series[float]) -> pd.Series[float]:
    """Rounded to two places, halves up."""
    return np.floor(amounts * 100 + 0.5) / 100
