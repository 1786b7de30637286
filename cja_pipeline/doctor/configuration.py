"""All configuration files: whether each can be used, and whether anything reads each one that is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

from cja_pipeline.config import SHIPPED, ConfigError, config_path, load_config, shop
from cja_pipeline.customers import config as customers
from cja_pipeline.customers.golden import GoldenRecord
from cja_pipeline.customers.identity.nightly import Limits
from cja_pipeline.customers.identity.tabular.columns import PersonColumns
from cja_pipeline.customers.sentiment import reader
from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.sections.settings import map_config
from cja_pipeline.kpis.group_config import load_audiences, load_segments
from cja_pipeline.kpis.journey_config import journey_config
from cja_pipeline.kpis.objectives import load_objectives
from cja_pipeline.privacy.config import load_privacy
from cja_pipeline.simulator.config import world_config
from cja_pipeline.sources.registry import load_sources
from cja_pipeline.tables import TABLES
from cja_pipeline.validated.lookups import Pages
from cja_pipeline.validated.streams import FOLDER, load_streams
from cja_pipeline.validated.suites import load_sets, load_suite, suites

ENDINGS = (".yml", ".yaml", ".csv", ".sql")
ANY_NAME = ("kpis/*.yml", "labels/*.yml")  # all of them are read
CLOSE = 0.9  # so alike are names of which one is a slip of the other


def configuration_findings(place: Place) -> Iterator[Finding]:
    """Every file that cannot be used, with its line and cause, and every file that nothing reads."""
    try:
        require_usable()
    except ConfigError as error:
        yield Finding("configuration", "problem", f"The configuration cannot be used: {error}")
    else:
        yield well(
            "configuration", f"{len(load_sources())} sources are configured, and every file can be used."
        )
    if place.settings.config is not None:
        yield from _unread(place.settings.config)


def require_usable() -> None:
    """Read every file as a night does.

    Raises:
        ConfigError: some cannot be used; the message names all of them, with line and cause.
    """
    faults = [str(error) for check in _checks() if (error := _fault(check)) is not None]
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))  # what one file lacks, others that name it repeat


def _checks() -> list[Callable[[], object]]:
    return [
        shop, _currency, lambda: load_labels(shop().language), load_sources, load_streams, load_sets,
        *(lambda name=name: load_suite(name) for name in suites()),
        lambda: load_config("pages.yml", Pages),
        customers.channels, customers.touchpoints, customers.stages, customers.identity,
        customers.source_categories,
        lambda: load_config("golden_record.yml", GoldenRecord),
        lambda: load_config("identity_quality.yml", Limits),
        lambda: load_config("person_columns.yml", PersonColumns),
        reader, journey_config, load_objectives, load_segments, load_audiences, map_config,
        load_privacy, world_config,
    ]  # fmt: skip


def _fault(check: Callable[[], object]) -> ConfigError | None:
    try:
        check()
    except ConfigError as error:
        return error
    return None


def _currency() -> None:
    try:
        code, known = shop().currency, load_sets()["iso_4217"]
    except ConfigError:
        return  # said already
    if code not in known:
        raise ConfigError(f"{config_path('shop.yml')}: currency: {code!r} is no code of ISO 4217")


def _unread(folder: Path) -> Iterator[Finding]:
    known = {
        *(path.name for path in SHIPPED.iterdir() if path.suffix in ENDINGS),
        *("streams.yml", "sets.yml", "world.yml"),
        *(f"parse/{path.name}" for path in (FOLDER / "parse").iterdir()),
        *(f"suites/{name}.yml" for name in TABLES),
    }
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        name, hidden = place.as_posix(), any(part.startswith(".") for part in place.parts)
        if (
            hidden
            or path.suffix not in ENDINGS
            or name in known
            or any(fnmatch(name, one) for one in ANY_NAME)
        ):
            continue
        meant = [
            one for one in get_close_matches(name, sorted(known), 1, CLOSE) if not (folder / one).exists()
        ]
        words = f" Was {meant[0]} meant?" if meant else ""
        yield Finding("configuration", "problem" if meant else "note", f"{path} is read by nothing.{words}")
