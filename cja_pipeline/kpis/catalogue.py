"""The KPI catalogue as data, checked when it is loaded.

``config/kpi_sources.yml`` declares what can be counted (rows, whose they are, when, and how they split);
``config/kpis/*.yml`` declares the KPIs, one file per stage. In the folder that `CJA_CONFIG` names, a file of
a new name adds KPIs and one of the same name replaces the shipped file. Every expression is bound against the
declared tables: a misspelt column, table, dimension or KPI is a ConfigError that names file and line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from cja_pipeline.config import SHIPPED, ConfigError, load_config_dir
from cja_pipeline.kpis.kpi_entry import Kpi, KpiFile, Stage
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.settings import get_settings

# Raised when the way a number is computed changes without its entry changing.
COMPILER_VERSION = 1


@dataclass(frozen=True)
class Catalogue:
    """All KPIs by id, in order of stage and file; a derived KPI comes after its parts in `in_order`."""

    kpis: dict[str, Kpi]

    def __getitem__(self, kpi_id: str) -> Kpi:
        if kpi_id not in self.kpis:
            raise KeyError(f"no KPI {kpi_id!r}; there are: {', '.join(self.kpis)}")
        return self.kpis[kpi_id]

    def __iter__(self) -> Iterator[Kpi]:
        return iter(self.kpis.values())

    def parts(self, kpi: Kpi) -> tuple[Kpi, Kpi]:
        """Numerator and denominator of a derived KPI."""
        return self[str(kpi.numerator)], self[str(kpi.denominator)]

    def in_order(self) -> list[Kpi]:
        """Derived KPIs after what they are made of."""
        found: dict[str, Kpi] = {}

        def visit(kpi: Kpi) -> None:
            if kpi.id not in found:
                for part in self.parts(kpi) if kpi.kind == "derived" else ():
                    visit(part)
                found[kpi.id] = kpi

        for kpi in self:
            visit(kpi)
        return list(found.values())

    def dimensions(self, kpi: Kpi) -> list[str]:
        """Dimensions a KPI is split by; a derived KPI by those that both parts share."""
        if kpi.kind == "derived":
            left, right = (self.dimensions(part) for part in self.parts(kpi))
            shared = [name for name in left if name in right]
            return [name for name in shared if kpi.dimensions is None or name in kpi.dimensions]
        slices = load_sources()[str(kpi.source)].slices
        return [name for name in slices if kpi.dimensions is None or name in kpi.dimensions]

    def grains(self, kpi: Kpi) -> list[str]:
        """Grains a KPI is published at; a derived KPI at those that both parts have."""
        if kpi.kind != "derived":
            return list(kpi.grains)
        left, right = (self.grains(part) for part in self.parts(kpi))
        return [grain for grain in left if grain in right and grain in kpi.grains]

    def is_exact(self, kpi: Kpi) -> bool:
        """Whether it is counted without any chance: declared so, or made of two that are."""
        if kpi.kind == "derived":
            return all(map(self.is_exact, self.parts(kpi)))
        return kpi.interval == "none"

    def is_foretold(self, kpi: Kpi) -> bool:
        """Whether it is what the value model expects, or made of that."""
        return kpi.foretold or (kpi.kind == "derived" and any(map(self.is_foretold, self.parts(kpi))))

    def tables(self, kpi: Kpi) -> list[str]:
        """Tables behind a KPI."""
        if kpi.kind != "derived":
            return load_sources()[str(kpi.source)].reads
        return sorted({name for part in self.parts(kpi) for name in self.tables(part)})

    def definition_hash(self, kpi: Kpi) -> str:
        """Changes whenever the definition behind a published number changes, and only then."""
        wording = {"label", "description", "owner", "better", "format", "version", "stage", "foretold"}
        parts: list[Any] = [COMPILER_VERSION, kpi.model_dump(mode="json", exclude=wording)]
        if kpi.kind == "derived":
            parts += [self.definition_hash(part) for part in self.parts(kpi)]
        else:
            parts.append(load_sources()[str(kpi.source)].definition)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load_catalogue() -> Catalogue:
    """The catalogue in use: shipped files and those of the folder that `CJA_CONFIG` names.

    Raises:
        ConfigError: an entry cannot be used; the message names file, line, key and what was expected.
    """
    return _load(get_settings().config)


@lru_cache(maxsize=4)
def _load(override: Path | None) -> Catalogue:
    load_sources()  # first, so that a fault there is reported once and not by every KPI
    found: dict[str, Kpi] = {}
    for file in load_config_dir("kpis", KpiFile):
        for entry in file.kpis:
            kpi = entry.model_copy(
                update={"stage": entry.stage or file.stage, "owner": entry.owner or file.owner}
            )
            if kpi.id in found:
                first, *others = _places(override, kpi.id)
                raise ConfigError(f"{first}: the KPI {kpi.id!r} is declared again at {', '.join(others)}")
            found[kpi.id] = kpi
    for kpi in found.values():
        if kpi.kind == "derived":
            _check_parts(found, kpi, override)
    order = get_args(Stage)
    return Catalogue({k.id: k for k in sorted(found.values(), key=lambda k: order.index(str(k.stage)))})


def _check_parts(found: dict[str, Kpi], kpi: Kpi, override: Path | None) -> None:
    def descend(current: Kpi, seen: tuple[str, ...]) -> None:
        for part in (str(current.numerator), str(current.denominator)):
            if part not in found:
                raise ConfigError(f"{_places(override, kpi.id)[0]}: {kpi.id}: there is no KPI {part!r}")
            if part in seen:
                raise ConfigError(
                    f"{_places(override, kpi.id)[0]}: {kpi.id}: is made of itself through {part!r}"
                )
            if found[part].kind == "derived":
                descend(found[part], (*seen, part))

    descend(kpi, (kpi.id,))


def _places(override: Path | None, kpi_id: str) -> list[str]:
    """Files and lines where a KPI is declared."""
    paths = {path.name: path for path in sorted((SHIPPED / "kpis").glob("*.yml"))}
    if override is not None:
        paths |= {path.name: path for path in sorted((override / "kpis").glob("*.yml"))}
    return [
        f"{paths[name]}, line {number}"
        for name in sorted(paths)
        for number, line in enumerate(paths[name].read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\bid:\s*[\"']?{re.escape(kpi_id)}\b", line)
    ] or ["config/kpis"]
