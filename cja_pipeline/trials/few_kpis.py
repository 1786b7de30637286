"""A part of the catalogue as a folder of settings: trials measure what they ask for, not everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cja_pipeline.config import SHIPPED
from cja_pipeline.settings import other_settings


@contextmanager
def few_kpis(
    config: Path,
    *,
    grain: str,
    kpis: Sequence[str] | None = None,
    slice_grains: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[None]:
    """Settings under which one grain alone is published, of these KPIs (default: all), in the block.

    `slice_grains` replaces entries of that name in ``kpi_sources.yml``; chosen `kpis` are not split at all
    and have no targets. `config` is the folder to write to.
    """
    import yaml

    (config / "kpis").mkdir(parents=True)
    if slice_grains is not None:
        settings = yaml.safe_load((SHIPPED / "kpi_sources.yml").read_text(encoding="utf-8"))
        settings["slice_grains"] |= slice_grains
        (config / "kpi_sources.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for path in sorted((SHIPPED / "kpis").glob("*.yml")):
        stage = yaml.safe_load(path.read_text(encoding="utf-8"))
        stage["kpis"] = [kpi | {"grains": [grain]} for kpi in stage["kpis"] if not kpis or kpi["id"] in kpis]
        if kpis:
            stage["kpis"] = [kpi | {"dimensions": []} for kpi in stage["kpis"]]
        (config / "kpis" / path.name).write_text(yaml.safe_dump(stage), encoding="utf-8")
    if kpis:
        (config / "objectives.yml").write_text("objectives: []\n", encoding="utf-8")
    with other_settings(CJA_CONFIG=str(config)):
        yield
