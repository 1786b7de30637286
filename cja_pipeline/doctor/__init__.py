"""`cja doctor`: what is wrong with an installation, in words, and how it heals.

`examine` looks and changes nothing; `heal` does what the findings offer. Each module looks at one thing: the
machine and the settings, the landing, the warehouse, what readers have. Dagster's records are looked at by
`orchestration.run_findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cja_pipeline.doctor.finding import Finding, Place
from cja_pipeline.doctor.landings import landing_findings
from cja_pipeline.doctor.machine import machine_findings
from cja_pipeline.doctor.readers import reader_findings
from cja_pipeline.doctor.store import store_findings
from cja_pipeline.night_lock import NightRunningError, is_held, last_holder, night_lock
from cja_pipeline.settings import Settings

__all__ = ["Finding", "Place", "examine", "heal"]

Look = Callable[[Place], Iterator[Finding]]
GROUND = {"home", "configuration"}
LOOKS: tuple[Look, ...] = (landing_findings, store_findings, reader_findings)


def examine(settings: Settings, *further: Look) -> list[Finding]:
    """Everything that is worth saying about the installation, what is well included; nothing is changed.

    Args:
        further: looks of rooms that this package does not know (Dagster's run history).
    """
    place = Place(settings, night_running=is_held(settings.home))
    found = list(machine_findings(place))
    if any(finding.state == "problem" and finding.name in GROUND for finding in found):
        return found  # nothing else can be looked at before this is put right
    return found + [finding for look in (*LOOKS, *further) for finding in look(place)]


def heal(settings: Settings, *further: Look) -> list[Finding]:
    """Do what the findings offer, then look again: what is left needs a person, or the named command.

    Raises:
        NightRunningError: a run is at work; nothing may be mended under its hands.
    """
    mending = [finding for finding in examine(settings, *further) if finding.mend is not None]
    # what lies outside of the data first: it may be about the very process that holds the lock
    healed = [_mended(finding) for finding in mending if finding.outside]
    if is_held(settings.home):
        raise NightRunningError(f"{last_holder(settings.home) or 'A run'} is at work: wait for its end.")
    if inside := [finding for finding in mending if not finding.outside]:
        with night_lock(settings.home, "cja doctor", patience=0):
            healed += [_mended(finding) for finding in inside]
    return healed + [finding for finding in examine(settings, *further) if finding.state != "ok"]


def _mended(finding: Finding) -> Finding:
    assert finding.mend is not None  # noqa: S101  (asked only for findings that offer it)
    try:
        words = finding.mend()
    except Exception as error:  # one thing that cannot be mended must not keep the others from it
        return finding.failed(error)
    return finding.done(words)
