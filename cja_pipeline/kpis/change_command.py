"""`cja explain change`: why a number of the past is no longer what it was."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import click

from cja_pipeline.answers import DAY, as_json_option, existing_warehouse


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
    from cja_pipeline.console import plain

    value = found["null_reason"] if found["value"] is None else _number(found["value"])
    click.secho(f"{found['label']}, {found['grain']} of {found['period_start']}: {value}", bold=True)
    for change in found["changes"]:
        click.echo()
        click.secho(
            f"{_number(change['value_before'])} until the night of {change['counted_before']:%Y-%m-%d}, "
            f"{_number(change['value_now'])} since that of {change['restated_at']:%Y-%m-%d}"
            + ("" if change["change"] is None else f": {_number(change['change'], '+')}"),
            bold=True,
        )
        for part in change["parts"]:
            size = "" if part["part"] is None else _number(part["part"], "+")
            behind = f" ({_behind(part['rows'], part['customers'])})" if part["rows"] else ""
            click.echo(f"  {size:>14}  {part['reason']}: {part['meaning']}{behind}")
            for row in part["examples"]:
                other = f", before {row['other_customer_id']}" if row["other_customer_id"] else ""
                text = f"{row['source']} {row['row_key']} {row['what']}, {row['customer_id']}{other}"
                click.echo(plain(f"{'':18}{text}"))
    if found["note"]:
        click.echo(("\n" if found["changes"] else "") + found["note"])
    click.echo(
        f"\nThe rows behind it now: cja explain kpi {found['kpi_id']} --day {found['period_start']} "
        f"--grain {found['grain']}. Who a customer is: cja explain customer ID."
    )


def _behind(rows: int, customers: int) -> str:
    text = f"{rows:,} row{'s' * (rows != 1)}"
    return text if customers == rows else f"{text}, {customers:,} customer{'s' * (customers != 1)}"


def _number(value: float | None, sign: str = "") -> str:
    return (
        "no number" if value is None else f"{value:{sign},.6g}" if abs(value) < 1e4 else f"{value:{sign},.2f}"
    )
