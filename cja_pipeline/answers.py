"""The commands of `cja` that answer questions about the last night: explain, kpis, quality, quarantine."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cja_pipeline.kpis.catalogue import Catalogue
    from cja_pipeline.kpis.kpi_entry import Kpi
    from cja_pipeline.validated.summary import QualitySummary
    from cja_pipeline.warehouse import Warehouse

DAY = click.DateTime(formats=["%Y-%m-%d"])
WITH_OWNER = 100  # columns of a terminal that has room for the owners of KPIs beside whole ids
GRAIN = click.Choice(["day", "week", "month", "rolling_28d"])
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def existing_warehouse() -> Iterator[Warehouse]:
    """The warehouse to answer from; ends the command if there is none, or somebody else has it open."""
    from cja_pipeline.settings import get_settings
    from cja_pipeline.warehouse import Warehouse
    from cja_pipeline.warehouse_file import WarehouseBusyError

    settings = get_settings()
    if not settings.warehouse_path.exists():
        click.secho(
            f"{settings.warehouse_path} is not there yet: run `cja demo` or `cja run`.", fg="red", err=True
        )
        sys.exit(1)
    try:
        with Warehouse(settings.warehouse_path, memory_limit=settings.memory_limit) as warehouse:
            yield warehouse
    except WarehouseBusyError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)


def _print(columns: list[str], rows: list[dict[str, Any]]) -> None:
    from cja_pipeline.console import print_table, wide_console

    print_table(wide_console(), columns, [[row.get(column) for column in columns] for row in rows])


@click.command()
@as_json_option
def quality(as_json: bool) -> None:
    """The state of the last night's checks; exits with 1 if a blocking check failed.

    Example: cja quality
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.validated.summary import quality_summary

    with existing_warehouse() as warehouse:
        summary = quality_summary(warehouse)
    if as_json:
        print_json(vars(summary))
    else:
        _tell_quality(summary)
    sys.exit(1 if summary.failures else 0)


def _tell_quality(summary: QualitySummary) -> None:
    from cja_pipeline.console import plain

    if not summary.checked_at:
        click.echo("Nothing was checked yet.")
        return
    click.echo(
        f"{summary.checks} checks: {summary.passed} passed, {summary.warnings} warned, "
        f"{summary.failures} failed (UTC {summary.checked_at:%Y-%m-%d %H:%M})"
    )
    for row in summary.failed:
        critical = row["severity"] == "critical"
        click.echo()
        click.secho("FAILED  " if critical else "warning ", fg="red" if critical else "yellow", nl=False)
        click.secho(f"{row['table_name']} {row['check_id']}", bold=True, nl=False)
        click.echo(f"  {row['description']}")
        for name in ("observed", "expected"):
            value = row[name] if name != "observed" else row["error"] or row[name]
            click.echo(f"        {name}: {plain(value)}")
        click.echo(f"        to do:    {row['advice']}")
    click.echo()
    _print(["source", "newest_day", "as_of", "offered", "valid"], summary.sources)


@click.group()
def quarantine() -> None:
    """Rows kept out by a rule: list, show, replay. Example: cja quarantine list"""


@quarantine.command("list")
@as_json_option
def quarantine_list(as_json: bool) -> None:
    """Kept-out rows by table and rule. Example: cja quarantine list"""
    from cja_pipeline.console import print_json
    from cja_pipeline.validated.summary import quarantine_groups

    with existing_warehouse() as warehouse:
        groups = quarantine_groups(warehouse)
    if as_json:
        print_json(groups)
    else:
        _print(["table_name", "outcome", "rules", "records", "first_day", "last_day"], groups)


@quarantine.command("show")
@click.argument("table")
@click.option("--rule", help="Only rows that broke this rule.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--payload", is_flag=True, help="Also the row as received; it may hold personal data.")
@as_json_option
def quarantine_show(table: str, rule: str | None, limit: int, payload: bool, as_json: bool) -> None:
    """Kept-out rows of a table with reason, file and line.

    Example: cja quarantine show web_events --rule missing_time
    """
    from cja_pipeline.console import plain, print_json
    from cja_pipeline.validated.summary import quarantine_groups, quarantine_rows

    name = _loaded_table(table)
    with existing_warehouse() as warehouse:
        rows = quarantine_rows(warehouse, name, rule, limit)
        groups = [] if rows else quarantine_groups(warehouse, name)
    if not rows:
        click.echo(_nothing_kept(name, rule, groups), err=True)
    columns = ["day", "rules", "source_file", "source_row", "reason", *(["payload"] if payload else [])]
    if as_json:
        print_json([{column: row[column] for column in columns} for row in rows])
        return
    for row in rows:
        where = f"{row['source_file']} line {row['source_row']}" if row["source_row"] else row["source_file"]
        click.secho(f"{row['day']}  {plain(where)}", bold=True)
        click.echo(plain(f"    {row['rules'].replace(';', ', ')}: {row['reason']}"))
        if payload:
            click.echo(plain(f"    {row['payload']}"))


def _nothing_kept(table: str, rule: str | None, groups: list[dict[str, Any]]) -> str:
    """Why there is nothing to show, and what there is instead."""
    rows: dict[str, int] = {}
    for group in groups:
        for name in group["rules"].split(";"):
            rows[name] = rows.get(name, 0) + group["records"]
    if rule is None or not rows:
        return f"{table}: no row is kept out."
    there = ", ".join(f"{name} ({count:,})" for name, count in sorted(rows.items()))
    return f"{table}: rule {rule!r} keeps no row out. Rules that do: {there}."


@quarantine.command("replay")
@click.argument("table")
def quarantine_replay(table: str) -> None:
    """Judge a table's kept-out rows by the rules and data of today; what passes comes in exactly once.

    Change a rule (suites) or land the repaired data first. The tables built on it follow with the next run;
    the table's checks are run at once. Example: cja quarantine replay web_events
    """
    from cja_pipeline.settings import get_settings
    from cja_pipeline.validated.runner import check
    from cja_pipeline.validated.summary import replay

    name = _loaded_table(table)
    with existing_warehouse() as warehouse:
        before = warehouse.count(name) if warehouse.exists(name) else 0
        report = replay(warehouse, name, get_settings().landing_dir, "replay")
        came = warehouse.count(name) - before
        failed = [one for one in check(warehouse, name, "replay") if one.blocking and not one.passed]
    kept = report.quarantined + report.rejected + report.late
    click.echo(
        f"{len(report.days)} days read again: {came} row{'s' * (came != 1)} came in, {kept} still kept out."
    )
    for one in failed:
        click.secho(f"FAILED  {one.check_id}: {one.observed}. {one.advice}", fg="red", err=True)
    sys.exit(1 if failed else 0)


def _loaded_table(table: str) -> str:
    """``web_events`` or ``validated.web_events``; says which tables there are if it is none of them."""
    from cja_pipeline.validated.streams import stream_of

    try:
        return stream_of(table)[0].full_name
    except KeyError as error:
        click.secho(str(error.args[0]), fg="red", err=True)
        sys.exit(1)


@click.command()
@click.argument("kpi", required=False)
@click.option("--markdown", is_flag=True, help="Print the document of all KPIs.")
@as_json_option
def kpis(kpi: str | None, markdown: bool, as_json: bool) -> None:
    """The KPIs in use, or the definition of one: formula, unit, window, interval, owner, targets.

    Example: cja kpis conversion_rate
    """
    from cja_pipeline.console import print_json, wide_console
    from cja_pipeline.kpis.catalogue import load_catalogue
    from cja_pipeline.kpis.docs import catalogue_markdown

    catalogue = load_catalogue()
    if markdown:
        click.echo(catalogue_markdown(catalogue), nl=False)
        return
    if kpi:
        if kpi not in catalogue.kpis:
            raise click.UsageError(f"There is no KPI {kpi!r}. `cja kpis` lists them.")
        _tell_kpi(catalogue, catalogue[kpi], as_json)
        return
    rows = [
        {"kpi": one.id, "stage": one.stage, "label": one.label, "kind": one.kind, "owner": one.owner}
        for one in catalogue
    ]
    if as_json:
        print_json(rows)
    else:
        owner = ["owner"] if wide_console().width >= WITH_OWNER else []
        _print(["kpi", "stage", "label", "kind", *owner], rows)


def _tell_kpi(catalogue: Catalogue, kpi: Kpi, as_json: bool) -> None:
    from cja_pipeline.config import shop
    from cja_pipeline.console import print_json
    from cja_pipeline.kpis.docs import facts
    from cja_pipeline.kpis.objectives import load_objectives
    from cja_pipeline.kpis.receipt_text import target_text

    known = {"id": kpi.id, "label": kpi.label, "stage": kpi.stage, "description": kpi.description}
    known |= {name.lower().replace(" ", "_"): text for name, text in facts(catalogue, kpi).items()}
    goals = [goal for goal in load_objectives() if goal.kpi == kpi.id]
    if as_json:
        print_json({**known, "targets": [goal.model_dump(mode="json") for goal in goals]})
        return
    for name, text in known.items():
        click.echo(f"{name:12} {text}")
    for goal in goals:
        click.echo(f"{'target':12} {target_text(kpi, goal, shop().currency)}")


@click.group()
def explain() -> None:
    """Why a number is what it is. Example: cja explain kpi conversion_rate"""


@explain.command("kpi")
@click.argument("kpi")
@click.option("--day", type=DAY, help="A business day of the period [default: the newest].")
@click.option("--grain", type=GRAIN, default="day", show_default=True)
@click.option("--slice", "slice_", default="all=all", help="A slice, for example device=mobile.")
@click.option(
    "--rows", "rows_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all rows as CSV."
)
@as_json_option
def explain_kpi_command(
    kpi: str, day: dt.datetime | None, grain: str, slice_: str, rows_file: Path | None, as_json: bool
) -> None:
    """The receipt of a KPI: definition, SQL, inputs, and the rows that add up to it.

    Example: cja explain kpi conversion_rate --grain rolling_28d --slice device=mobile
    """
    from cja_pipeline.console import plain, print_json
    from cja_pipeline.kpis.explain import explain_kpi
    from cja_pipeline.kpis.receipt_text import refuse_unwritable, save_rows, sections, slice_of

    with existing_warehouse() as warehouse:
        try:
            dimension, value = slice_of(kpi, slice_)
            if rows_file is not None:
                refuse_unwritable(rows_file)
            receipt = explain_kpi(warehouse, kpi, day.date() if day else None, grain, dimension, value)
            if rows_file is not None:
                save_rows(receipt, rows_file)
        except (LookupError, OSError) as error:
            told = error.args[0] if isinstance(error, LookupError) else error  # str() of a KeyError is quoted
            click.secho(plain(told), fg="red", err=True)  # names values of slices: a vendor's words
            sys.exit(1)
    if as_json:
        print_json(receipt.as_dict(public=True))
        return
    for title, lines in sections(receipt):
        click.secho(title, bold=True)
        for line in lines:
            click.echo(f"  {line}")
