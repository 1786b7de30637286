"""The machine and the settings: room on the disk, a home that can be written, keys, tokens, configuration."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

from cja_pipeline.config import ConfigError
from cja_pipeline.doctor.configuration import configuration_findings
from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.sources.registry import load_sources

LEAST_FREE = 500 << 20
WAREHOUSES_FREE = 2  # a rebuild grows a second warehouse beside the first


def machine_findings(place: Place) -> Iterator[Finding]:
    """Home, disk, configuration, tokens and the key of the pseudonyms."""
    yield _home(place)
    yield _disk(place)
    if place.settings.spark_url:
        yield _spark(place.settings.spark_url)
    yield from configuration_findings(place)
    try:
        sources = load_sources()
    except ConfigError:
        return  # said already
    missing = []
    for source in sources.values():
        try:
            source.read_token()
        except ConfigError as error:
            missing.append(str(error))
    if missing:
        yield Finding("tokens", "problem", " ".join(missing))
    else:
        yield well("tokens", "Every real account has its token.")
    real = sorted(name for name, source in sources.items() if not source.is_local)
    if real and place.settings.uses_development_key:
        yield Finding(
            "secret_key",
            "problem",
            f"CJA_SECRET_KEY is not set, but {', '.join(real)} hold real people: their pseudonyms are made "
            "with a development key that lies beside the data. Set the key and build anew.",
            "cja rebuild",
        )
    else:
        yield well("secret_key", "Pseudonyms have a key that fits their data.")


def _spark(url: str) -> Finding:
    from cja_pipeline.spark.session import missing, shown

    problem = missing(url)
    return Finding("spark", "problem", problem) if problem else well("spark", f"Models run at {shown(url)}.")


def _home(place: Place) -> Finding:
    home = place.settings.home
    if not home.exists():
        return Finding("home", "note", f"{home} is not there yet: nothing has run.", "cja demo")
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        words = f"{home} cannot be written ({error.strerror}): every run would fail."
        return Finding("home", "problem", f"{words} Mount it for writing or correct its owner.")
    return well("home", f"{home} can be written.")


def _disk(place: Place) -> Finding:
    home, warehouse = place.settings.home, place.settings.warehouse_path
    free = shutil.disk_usage(home if home.exists() else home.parent if home.parent.exists() else ".").free
    size = warehouse.stat().st_size if warehouse.exists() else 0
    needed = max(LEAST_FREE, WAREHOUSES_FREE * size)
    words = f"{free / 1e9:.1f} GB are free at {home}; a night or a rebuild may need {needed / 1e9:.1f} GB."
    if free < needed:
        return Finding("disk", "problem", f"{words} Make room before the next night.", f"du -sh {home}/*")
    return well("disk", words)
