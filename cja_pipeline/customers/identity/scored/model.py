"""A trained model: everything that decides a score, frozen between two trainings, as a JSON file.

Files are in ``$CJA_HOME/identity/model-<version>.json``; the newest is in use, and the one shipped with the
package where there is none. They hold statistics (how often a name occurs, how well columns agree), no
records.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

FORMAT = 1
SHIPPED = Path(__file__).parent / "default_model.json"


@dataclass(frozen=True)
class Model:
    """What was learnt from one table of records, without labels.

    settings: Splink's. match_rate, household_rate: probability that two random records are of one person, of
    two people of one household. precision: per identifier kind, share of pairs that share a value and are one
    person. clean_names: whether conflicting names are believed to be two people. blocks: columns in which
    candidate pairs agree. frequencies: per column, ``values`` (share of each frequent value) and ``rest``
    (mean share of the others). first_names: how often each frequent one occurs. default_dates: birth dates
    that are a form's default. filled: share of records with a value, per column. records: how many it saw.
    """

    settings: dict[str, Any]
    match_rate: float
    household_rate: float
    precision: dict[str, float]
    clean_names: bool
    blocks: tuple[tuple[str, ...], ...]
    frequencies: dict[str, dict[str, Any]]
    first_names: dict[str, int]
    default_dates: tuple[str, ...]
    filled: dict[str, float]
    records: int

    @cached_property
    def version(self) -> str:
        """Fingerprint of everything that decides a score."""
        text = json.dumps({field.name: getattr(self, field.name) for field in fields(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def compared(self) -> list[str]:
        """The columns that are compared."""
        return [comparison["output_column_name"] for comparison in self.settings["comparisons"]]

    def save(self, folder: Path) -> Path:
        """Write ``model-<version>.json`` whole or not at all; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"model-{self.version}.json"
        part = path.with_suffix(".part")
        part.write_text(
            json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True), encoding="utf-8"
        )
        part.replace(path)
        return path


def load(path: Path) -> Model:
    """Read a model file.

    Raises:
        ValueError: it is of another format, or not a model at all; the message names the file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError("its format is of another version of cja_pipeline")
        data["blocks"] = tuple(tuple(block) for block in data["blocks"])
        data["default_dates"] = tuple(data["default_dates"])
        return Model(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no identity model ({error}); make one with: cja identity train"
        ) from error


def current(folder: Path | None) -> Model:
    """The newest model of a folder, or the shipped one."""
    found = (
        sorted(folder.glob("model-*.json"), key=lambda p: (p.stat().st_mtime_ns, p.name)) if folder else []
    )
    return load(found[-1] if found else SHIPPED)
