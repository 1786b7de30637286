"""`cja explain change`: why a number of the past is no longer what it was."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cja_pipeline.answers import DAY, as_json_option, existing_warehouse

if TYPE_CHECKING:
    from cja_pipeline.kpis.kpi_entry import Kpi

MOST_DIGITS = 6


@click.command("change")
@click.argument("kpi")
@click.option("--day", type=DAY, required=True, help="A business day of the period.")
@click.option("--grain", type=click.Choice(["day", "week", "month"]), default="day", show_default=True)
@as_json_option
def explain_change_command(kpi: str, day: dt.datetime, grain: str, as_json: bool) -> None:
    """Why the number of a past day changed: each night that restated it, and the reasons, which add up.

    Example: cja explain change net_revenue --day 2026-11-20
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.kpis.change import explain_change

    with existing_warehouse() as warehouse:
        try:
            found = explain_change(warehouse, kpi, day.date(), grain)
        except LookupError as error:
            click.secho(str(error.args[0]), fg="red", err=True)
            sys.exit(1)
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    from cja_pipeline.config import shop
    from cja_pipeline.kpis.catalogue import load_catalogue
    from cja_pipeline.kpis.receipt_text import amount

    kpi = load_catalogue()[found["kpi_id"]]
    write = partial(amount, kpi, currency=shop().currency)
    reason = f" ({found['null_reason']})" if found["value"] is None else ""
    when = f"{found['grain']} of {found['period_start']}"
    click.secho(f"{found['label']}, {when}: {write(found['value'])}{reason}", bold=True)
    for change in found["changes"]:
        click.echo()
        _tell_change(change, partial(write, digits=_digits(kpi, change)))
    if found["note"]:
        click.echo(("\n" if found["changes"] else "") + found["note"])
    click.echo(
        f"\nThe rows behind it now: cja explain kpi {found['kpi_id']} --day {found['period_start']} "
        f"--grain {found['grain']}. Who a customer is: cja explain customer ID."
    )


def _tell_change(change: dict[str, Any], write: Callable[..., str]) -> None:
    from cja_pipeline.console import plain

    size = "" if change["change"] is None else f": {write(change['change'], change=True)}"
    click.secho(
        f"{write(change['value_before'])} until the night of {change['counted_before']:%Y-%m-%d}, "
        f"{write(change['value_now'])} since that of {change['restated_at']:%Y-%m-%d}{size}",
        bold=True,
    )
    for part in change["parts"]:
        size = "" if part["part"] is None else write(part["part"], change=True)
        behind = f" ({_behind(part['rows'], part['customers'])})" if part["rows"] else ""
        click.echo(f"  {size:>14}  {part['reason']}: {part['meaning']}{behind}")
        for row in part["examples"]:
            other = f", before {row['other_customer_id']}" if row["other_customer_id"] else ""
            text = f"{row['source']} {row['row_key']} {row['what']}, {row['customer_id']}{other}"
            click.echo(plain(f"{'':18}{text}"))


def _digits(kpi: Kpi, change: dict[str, Any]) -> int:
    """Decimals: two, and more where a part of the change would be shown as nothing."""
    scale = 100 if kpi.format == "percent" else 1
    sizes = [abs(part["part"]) * scale for part in change["parts"] if part["part"]]
    return min(MOST_DIGITS, max(2, 1 - math.floor(math.log10(min(sizes))))) if sizes else 2


def _behind(rows: int, customers: int) -> str:
    text = f"{rows:,} row{'s' * (rows != 1)}"
    return text if customers == rows else f"{text}, {customers:,} customer{'s' * (customers != 1)}"
