"""Look, compare with what was told, tell what is new: called after a run, by a sensor and by `cja alerts`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Sequence

from cja_pipeline.alerts.channels import Channel, ChannelError, channels, send
from cja_pipeline.alerts.conditions import of_data, of_publication, run_link
from cja_pipeline.alerts.incidents import Condition, Incident, Kind, opened
from cja_pipeline.settings import get_settings

log = logging.getLogger("cja_pipeline.alerts")


class BusyError(RuntimeError):
    """Another process writes the warehouse; look again when it is done."""


def after_run(job: str, run_id: str, failed_steps: Sequence[str] | None) -> list[str]:
    """Tell how a run ended, and what the data say; returns the titles that were told.

    Args:
        failed_steps: names of the steps that failed; None for a run that succeeded.

    Raises:
        BusyError: the data cannot be looked at now; the run's own end has been told.
    """
    found = []
    if failed_steps is not None:
        steps = ", ".join(failed_steps) or "before its first step"
        found.append(
            Condition("failure", f"failure/{job}", f"{job} failed: {steps}", run_link(get_settings(), run_id))
        )
    return [*tell(found, ["failure"]), *check_data()]


def check_data() -> list[str]:
    """Look at the checks, the sources and the KPIs.

    Raises:
        BusyError: another process has the warehouse open.
    """
    import duckdb

    from cja_pipeline.warehouse import Warehouse

    settings = get_settings()
    if not settings.has_alerts or not settings.warehouse_path.exists():
        return []
    try:
        with Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit, threads=1) as warehouse:
            found, kinds = of_data(warehouse, settings)
    except duckdb.IOException as error:
        raise BusyError("the warehouse is open elsewhere") from error
    except duckdb.Error as error:  # a first night that failed halfway has not made every table yet
        log.warning("alerts: the data cannot be looked at (%s)", type(error).__name__)
        return []
    return tell(found, kinds)


def check_publication(now: dt.datetime | None = None) -> list[str]:
    """Look whether the page is as new as it should be, also when no run has happened at all."""
    return tell(of_publication(get_settings(), now or dt.datetime.now(dt.UTC)), ["late"])


def tell(found: Iterable[Condition], kinds: Collection[Kind]) -> list[str]:
    """Record what is wrong and tell each channel what it has not heard; returns the titles that were told.

    A channel that cannot be reached is asked again at the next look. Nothing here stops a night.
    """
    settings = get_settings()
    if not settings.has_alerts:
        return []
    told: dict[str, None] = {}
    try:
        known = channels(settings)
        with opened(settings.prepare().home) as book:
            book.observe(found, kinds, dt.datetime.now(dt.UTC))
            for channel in known:
                told |= dict.fromkeys(deliver(channel, *book.due(channel.name)))
    except (ChannelError, OSError) as error:
        log.error("alerts: %s", error)
    return list(told)


def deliver(channel: Channel, began: list[Incident], over: list[Incident]) -> list[str]:
    """Send what there is and note that it was told."""
    if not began and not over:
        return []
    try:
        send(channel, subject(began, over), began, over)
    except ChannelError as error:
        log.warning("alert not delivered, it is tried again: %s", error)
        return []
    for one in began:
        one.told.append(channel.name)
    for one in over:
        one.told_over.append(channel.name)
    return [one.title for one in (*began, *over)]


def subject(began: list[Incident], over: list[Incident]) -> str:
    """One line: the first incident in words, the rest as a count."""
    first = (began or over)[0]
    more = len(began) + len(over) - 1
    state = "" if began else "over: "
    return f"cja_pipeline: {state}{first.title[:90]}" + (f" (and {more} more)" if more else "")
