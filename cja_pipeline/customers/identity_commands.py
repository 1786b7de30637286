"""`cja identity`: the model behind people, and decisions about single links. `cja bench identity`."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from cja_pipeline.answers import as_json_option, existing_warehouse


@click.group()
def identity() -> None:
    """How records become people: the model, and links that a person declares wrong."""


@identity.command()
@as_json_option
def drift(as_json: bool) -> None:
    """How far the data are from those the model was learnt from; exits with 1 if over a limit.

    Example: cja identity drift
    """
    from cja_pipeline.console import print_json, print_table, wide_console
    from cja_pipeline.customers import config
    from cja_pipeline.customers.identity.drift import measure_drift
    from cja_pipeline.customers.identity.scored.model import current
    from cja_pipeline.settings import get_settings

    model = current(get_settings().home / "identity")
    with existing_warehouse() as warehouse:
        _needs_records(warehouse.exists("customers.identity_records"))
        found = measure_drift(warehouse, config.identity(), model)
    if as_json:
        print_json([{**vars(one), "over": one.over} for one in found])
    else:
        rows = [
            [one.measure, f"{one.model:,.3f}", f"{one.now:,.3f}", f"{one.change:.3f}", f"{one.limit:.2f}",
             "over" if one.over else ""]
            for one in found
        ]  # fmt: skip
        print_table(wide_console(), ["measure", "model", "now", "change", "limit", ""], rows)
        click.echo(f"Model {model.version}, learnt from {model.records:,} records.")
    sys.exit(1 if any(one.over for one in found) else 0)


@identity.command()
def train() -> None:
    """Learn a new model from the records of the last night; the next night uses it and compares all anew.

    Example: cja identity train
    """
    from cja_pipeline.customers import config
    from cja_pipeline.customers.identity.drift import retrained
    from cja_pipeline.customers.identity.scored.model import current
    from cja_pipeline.settings import get_settings

    folder = get_settings().home / "identity"
    with existing_warehouse() as warehouse:
        _needs_records(warehouse.exists("customers.identity_records"))
        made = retrained(warehouse, config.identity(), current(folder), folder)
    shares = ", ".join(f"{kind} {share:.3f}" for kind, share in made.precision.items())
    click.echo(f"Model {made.version} from {made.records:,} records, in {folder}.")
    click.echo(f"A shared value means one person: {shares}.")


@identity.command()
@click.argument("record")
@click.argument("other")
@click.option("--reason", required=True, help="Why they are two people; kept with the decision.")
def unlink(record: str, other: str, reason: str) -> None:
    """Declare two records two people; every night obeys, until `cja identity relink`.

    Records are named as `cja explain customer` shows them.
    Example: cja identity unlink contact:101 profile:01HX --reason "complaint of 3 May"
    """
    _decide(record, other, reason, unlinked=True)


@identity.command()
@click.argument("record")
@click.argument("other")
@click.option("--reason", required=True, help="Why the decision is taken back.")
def relink(record: str, other: str, reason: str) -> None:
    """Take back an unlink: the evidence decides again.

    Example: cja identity relink contact:101 profile:01HX --reason "it was her after all"
    """
    _decide(record, other, reason, unlinked=False)


def _decide(record: str, other: str, reason: str, *, unlinked: bool) -> None:
    from cja_pipeline.customers.identity.unlink import decide
    from cja_pipeline.settings import get_settings

    with existing_warehouse() as warehouse:
        _needs_records(warehouse.exists("customers.identity_links"))
        customers = dict(
            warehouse.sql(
                "SELECT record_key, customer_id FROM customers.identity_links WHERE record_key IN (?, ?)",
                [record, other],
            ).fetchall()
        )
    missing = [key for key in (record, other) if key not in customers]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
    try:
        if missing:
            raise ValueError(f"there is no record {missing[0]!r}; `cja explain customer` shows their names")
        decide(get_settings().home / "decisions", record, other, unlinked=unlinked, reason=reason, at=now)
    except ValueError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    if unlinked and customers[record] != customers[other]:
        click.echo("They are two customers already; the decision keeps them so.")
    click.echo("Written down. The next night obeys: cja run")


def _needs_records(there: bool) -> None:
    if not there:
        click.secho("No records were resolved yet: run `cja demo` or `cja run`.", fg="red", err=True)
        sys.exit(1)


@click.command("identity")
@click.option("--persons", type=click.IntRange(500), default=100_000, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--baselines/--no-baselines", default=True, show_default=True, help="Also measure the others.")
@click.option(
    "--public",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure on the labelled tables of this folder instead.",
)
@as_json_option
def bench_identity(persons: int, seed: int, baselines: bool, public: Path | None, as_json: bool) -> None:
    """How well and at what cost people are found, beside how others would find them.

    A world of so many people, with the noise of `identity_noise.yml`, is made for it. Exits with 1 if a bar
    is missed. With --public the labelled tables of a folder are resolved, as `cja resolve` does.
    Example: cja bench identity --persons 20000
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.customers.identity.bench import report
    from cja_pipeline.customers.identity.bench.bars import bars
    from cja_pipeline.customers.identity.bench.public import measure_public
    from cja_pipeline.customers.identity.bench.run import run

    if public is not None:
        try:
            measured = measure_public(public)
        except ValueError as error:
            click.secho(str(error), fg="red", err=True)
            sys.exit(1)
        if as_json:
            print_json([{**vars(one), "quality": one.quality.as_dict()} for one in measured])
        else:
            report.show_public(measured)
        return
    found = run(persons, seed, baselines=baselines)
    judged = bars(found)
    if as_json:
        print_json({**found, "bars": [{**vars(bar), "met": bar.met} for bar in judged]})
    else:
        report.show(found, judged)
    sys.exit(0 if all(bar.met for bar in judged) else 1)
