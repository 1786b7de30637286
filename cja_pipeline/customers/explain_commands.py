"""`cja explain customer` and `cja explain pair`: why records are one customer, or are not."""

from __future__ import annotations

import sys
from typing import Any

import click

from cja_pipeline.answers import as_json_option, existing_warehouse


@click.command("customer")
@click.argument("customer_id")
@click.option(
    "--show-values", is_flag=True, help="Show names and addresses in full; they are masked otherwise."
)
@as_json_option
def explain_customer_command(customer_id: str, show_values: bool, as_json: bool) -> None:
    """The records of a customer, what ties each to the others, and which values won.

    Refused links, values that lost, merges and splits are shown as well.

    Example: cja explain customer c1d0f5c7a9b3e2d4f6a8
    """
    from cja_pipeline.console import plain, print_json
    from cja_pipeline.customers.identity.explain import explain_customer

    with existing_warehouse() as warehouse:
        try:
            story = explain_customer(warehouse, customer_id, values=show_values)
        except KeyError as error:
            _fail(error)
    if as_json:
        print_json(story.as_dict())
        return
    for key, value in story.customer.items():
        click.echo(f"{key:18} {plain(value)}")
    click.secho("\nRecords", bold=True)
    for row in story.records:
        seen, since = _short(row["first_seen_at"]), _short(row["since"])
        record = plain(row["record"])
        click.echo(f"{record}  ({row['source']}, first seen {seen}, this customer's since {since})")
        for tie in row["tied_by"]:
            click.echo(f"    {plain(tie)}")
    _table("Links that were not made", story.refused, "No link was refused.")
    _table("Golden record" + ("" if show_values else " (masked; --show-values)"), story.golden, "No values.")
    _table("History", story.history, "Never merged or split.")


@click.command("pair")
@click.argument("record")
@click.argument("other")
@as_json_option
def explain_pair_command(record: str, other: str, as_json: bool) -> None:
    """Why two records are one customer, or are not: the links between them and what each comparison adds.

    Records are named as `cja explain customer` shows them.

    Example: cja explain pair contact:101 profile:01HX
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.customers.identity.explain import explain_pair
    from cja_pipeline.settings import get_settings

    with existing_warehouse() as warehouse:
        try:
            story = explain_pair(warehouse, record, other, get_settings().home / "identity")
        except KeyError as error:
            _fail(error)
    if as_json:
        print_json(story.as_dict())
        return
    click.secho(story.verdict, bold=True)
    _table("Way from one to the other", story.path, "")
    _table("What each comparison adds (0 bits is even odds, every bit doubles them)", story.parts, "")


def _table(title: str, rows: list[dict[str, Any]], empty: str) -> None:
    from cja_pipeline.console import print_table, wide_console

    if rows:
        columns = list(rows[0])
        cells = [[_short(row[column]) for column in columns] for row in rows]
        print_table(wide_console(), columns, cells, title=f"\n{title}")
    elif empty:
        click.echo(f"\n{title}: {empty}")


def _short(value: Any) -> str:
    return value.strftime("%Y-%m-%d") if hasattr(value, "strftime") else "" if value is None else str(value)


def _fail(error: KeyError) -> None:
    click.secho(str(error.args[0]), fg="red", err=True)
    sys.exit(1)
