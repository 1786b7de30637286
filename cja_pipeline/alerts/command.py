"""The commands `cja alerts …`."""

from __future__ import annotations

import datetime as dt
import sys

import click

UNSET = "No channel is set: CJA_ALERT_WEBHOOK, or CJA_ALERT_SMTP with CJA_ALERT_TO."


@click.group()
def alerts() -> None:
    """Who is told when a night fails, data are behind, a blocking check fails or a figure is odd.

    Channels are settings: CJA_ALERT_WEBHOOK, and CJA_ALERT_SMTP with CJA_ALERT_TO.
    """


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Incidents that are open, and who has been told.

    Example: cja alerts list
    """
    from dataclasses import asdict

    from rich.console import Console

    from cja_pipeline.alerts.incidents import FILE, Book
    from cja_pipeline.console import print_json, print_table
    from cja_pipeline.settings import get_settings

    known = list(Book(get_settings().home / FILE).incidents.values())
    if as_json:
        print_json([asdict(one) for one in known])
    elif not known:
        click.echo("No incident is open." if get_settings().has_alerts else f"No incident is kept. {UNSET}")
    else:
        rows = [(one.kind, one.title, one.opened_at, one.over_at or "", ", ".join(one.told)) for one in known]
        print_table(Console(), ["Kind", "What", "Since (UTC)", "Over (UTC)", "Told"], rows)


@alerts.command()
def check() -> None:
    """Look at the data and at the age of the page now, and tell what is new.

    For a scheduler where `cja up` does not run. Example: cja alerts check
    """
    from cja_pipeline.alerts import BusyError, check_data, check_publication
    from cja_pipeline.settings import get_settings

    if not get_settings().has_alerts:
        click.secho(f"{UNSET} Nothing was looked at.", fg="yellow", err=True)
        return
    told = check_publication()
    try:
        told += check_data()
    except BusyError as error:
        click.secho(f"{error}; only the age of the page was looked at", fg="yellow", err=True)
    for title in told:
        click.echo(title)
    click.echo(f"{len(told)} told.")


@alerts.command()
def test() -> None:
    """Send a test message to every channel; exits with 1 if one cannot be reached or none is set.

    Example: cja alerts test
    """
    from cja_pipeline.alerts.channels import ChannelError, channels, send
    from cja_pipeline.alerts.conditions import link
    from cja_pipeline.alerts.incidents import Incident
    from cja_pipeline.settings import get_settings

    settings = get_settings()
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    page = link(settings, "journey_map.html")
    trial = Incident("late", "test", "This is a test, nothing is wrong", page, now)
    worked = False
    try:
        for channel in channels(settings):
            send(channel, "cja_pipeline: test", [trial], [])
            click.echo(f"{channel.name}: delivered")
            worked = True
    except ChannelError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    if not worked:
        click.secho(UNSET, fg="red", err=True)
        sys.exit(1)
