"""What every contender is handed: the same landed files, who is who, and what customers said."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.sql import literal
from cja_pipeline.warehouse import Warehouse

# identity is compared on its own, and reading words is the same Python for everybody
HANDED = ("identity_links", "visitor_map", "feedback")


@dataclass(frozen=True)
class Given:
    """The inputs of a contender and the folder that its outputs go to, all on disk."""

    landing: Path
    handed: Path
    observed_until: dt.datetime
    memory: str
    threads: int

    @property
    def json_files(self) -> list[str]:
        """Days of web analytics that were exported as JSON lines."""
        return sorted(map(str, self.landing.glob("ga4/events/*/*.jsonl.gz")))


def hand_out(wh: Warehouse, handed: Path) -> dt.datetime:
    """Write the handed tables of a finished warehouse as Parquet; returns the moment it is complete to."""
    handed.mkdir(parents=True, exist_ok=True)
    for table in HANDED:
        wh.execute(f"COPY customers.{table} TO {literal(str(handed / f'{table}.parquet'))} (FORMAT parquet)")
    return dt.datetime.fromisoformat(str(wh.scalar("SELECT as_of FROM config.params")))
