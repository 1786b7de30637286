"""The landing: what interrupted runs left, damaged files, missing days, and data of another world."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from cja_pipeline.config import ConfigError, shop
from cja_pipeline.doctor.finding import Finding, Place, well
from cja_pipeline.history import last_complete_day
from cja_pipeline.sources.landing import exclusive, recover
from cja_pipeline.sources.manifest import NAME, covers, read_manifest, verify
from cja_pipeline.sources.registry import MODELS, load_sources

ASIDE = "damaged"
TOLD = 3


def landing_findings(place: Place) -> Iterator[Finding]:
    """Half folders, damaged folders, gaps between days, and data of another simulated world."""
    landing = place.settings.landing_dir
    if not landing.is_dir():
        return
    if not place.night_running:  # a run has half folders, that is how it works
        yield _halves(landing)
    yield _damaged(landing)
    yield from _days(landing)
    yield from _zone(landing)
    yield from _world(place)


def _streams(landing: Path) -> list[Path]:
    return sorted(path for path in landing.glob("*/*") if path.is_dir())


def _halves(landing: Path) -> Finding:
    halves = [
        path
        for stream in _streams(landing)
        for pattern in (".new-*", ".old-*", "dt=*/.new-*", "dt=*/.old-*", f"**/.{NAME}.new")
        for path in stream.glob(pattern)
    ]
    if not halves:
        return well("half_landings", "No landing was interrupted.")

    def mend() -> str:
        for stream in _streams(landing):
            with exclusive(stream.parent):
                recover(stream)
        return f"{len(halves)} half folders were cleared away; earlier ones are back in place."

    words = f"A run died while it landed: {len(halves)} half folders are left, the first is {halves[0]}."
    return Finding("half_landings", "problem", f"{words} The next run clears them away.", "", mend)


def _damaged(landing: Path) -> Finding:
    """Folders whose content is not what their manifest says, or that have no readable manifest."""
    damaged: dict[Path, str] = {}
    folders = [*landing.glob("*/*/dt=*"), *landing.glob("*/*/dt=*/run=*")]
    checked = 0
    for folder in sorted(folders):
        if read_manifest(folder) is None and next(folder.glob("run=*"), None) is not None:
            continue  # a day of changes; its runs have the manifests
        checked += 1
        if faults := verify(folder):
            damaged[folder] = faults[0]
    if not damaged:
        return well("landed_files", f"{checked} landed folders are what their manifests say.")
    days = sorted({_day_of(folder) for folder in damaged})
    again = f"cja run --from {days[0]} --to {days[-1]} pulls their days again."

    def mend() -> str:
        for folder in damaged:
            _set_aside(folder, landing)
        place = landing.parent / ASIDE
        return f"{len(damaged)} damaged folders were set aside in {place}: {again}"

    first = "; ".join(list(damaged.values())[:TOLD])
    return Finding(
        "landed_files",
        "problem",
        f"{len(damaged)} landed folders are damaged: {first}. They have to be set aside; then {again}",
        "",
        mend,
    )


def _day_of(folder: Path) -> str:
    name = folder.name if folder.name.startswith("dt=") else folder.parent.name
    return name.removeprefix("dt=")


def _set_aside(folder: Path, landing: Path) -> None:
    """Move a folder out of the landing, keeping what can be read of it for a person to look at."""
    target = landing.parent / ASIDE / folder.relative_to(landing)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.rename(target)


def _days(landing: Path) -> Iterator[Finding]:
    """Days between the first landed one and the last complete one that no run has brought in."""
    landed = {
        dt.date.fromisoformat(path.name.removeprefix("dt="))
        for path in landing.glob("ga4/events/dt=????-??-??")
        if read_manifest(path) is not None
    }
    if not landed:
        return
    first, last = min(landed), last_complete_day()
    span = (last - first).days + 1
    missing = [day for offset in range(span) if (day := first + dt.timedelta(days=offset)) not in landed]
    if not missing:
        yield well("missing_days", f"Every business day from {first} to {last} is landed.")
        return
    gaps = [day for day in missing if day < max(landed)]
    words = f"{len(missing)} business days from {missing[0]} to {missing[-1]} are not landed."
    yield Finding(
        "missing_days",
        "problem" if gaps else "note",
        f"{words} The sensor missed_days asks for those of the last two weeks while `cja up` runs.",
        f"cja run --from {missing[0]} --to {missing[-1]}",
    )


def _zone(landing: Path) -> Iterator[Finding]:
    """Days that were landed while the shop had another time zone: they begin and end at other hours."""
    try:
        zone = shop().zone
    except ConfigError:
        return
    others: set[dt.date] = set()
    vendors = [kind for kind, model in MODELS.items() if model.days_of_shop]
    for path in (path for vendor in vendors for path in landing.glob(f"{vendor}/*/dt=????-??-??")):
        day, manifest = dt.date.fromisoformat(_day_of(path)), read_manifest(path)
        if manifest is not None and not covers(manifest, day, zone):
            others.add(day)
    if not others:
        yield well("time_zone", f"Every landed day is a day of {zone}.")
        return
    yield Finding(
        "time_zone",
        "problem",
        f"{len(others)} landed days from {min(others)} to {max(others)} were cut in another time zone than "
        f"{zone}: where they meet others, hours are missing or there twice. The next run pulls them anew.",
        f"cja run --from {min(others)} --to {max(others)}",
    )


def _world(place: Place) -> Iterator[Finding]:
    """Whether what is landed from simulated vendors is of the simulated world that is there."""
    try:
        mocked = {source.kind for source in load_sources().values() if source.is_mock}
    except ConfigError:
        return
    landing = place.settings.landing_dir
    found = [path for kind in sorted(mocked) for path in landing.glob(f"{kind}/*/dt=????-??-??")]
    if not found:
        return
    manifest = place.settings.world_dir / "manifest.json"
    fresh = f"CJA_HOME={place.settings.home}-new cja demo"
    try:
        world = json.loads(manifest.read_text())
        first, last = world["start"], world["horizon_end"]
    except (OSError, ValueError, KeyError, TypeError):
        words = (
            "Simulated vendors are landed, but their world is gone or unreadable: the next run would build "
        )
        yield Finding("world", "problem", f"{words}another one and mix the two. Start in a new home.", fresh)
        return
    foreign = sorted({_day_of(path) for path in found if not first <= _day_of(path) <= last})
    if foreign:
        words = (
            f"{len(foreign)} landed days ({foreign[0]} to {foreign[-1]}) lie outside of the simulated world "
        )
        yield Finding(
            "world",
            "problem",
            f"{words}({first} to {last}): two worlds are mixed. Start in a new home.",
            fresh,
        )
    else:
        yield well(
            "world", f"The landing is of the simulated world of {first} to {last}, {shop().time_zone}."
        )
