"""``cja bench kpis``, ``intervals`` and ``findings``: the trials as commands."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

EVENTS, PEOPLE = 10_000_000, 3_000


@click.command("kpis")
@click.option("--events", type=click.IntRange(10_000), default=EVENTS, show_default=True, help="Web events.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench_kpis(events: int, as_json: bool) -> None:
    """Measure KPIs against a full scan of so many web events, scoring and crediting against their bars.

    The bars are limits of CPU seconds; the exit code is 1 if one is missed. What KPIs cost is also told in
    scans of either table of events: web events as they arrive, touchpoints as they are resolved.

    Example: cja bench kpis --events 2000000
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.trials.speed import speed_trial

    rows = speed_trial(events=events, people=PEOPLE)
    if as_json:
        print_json(rows)
    else:
        table = [
            [
                r["what"],
                f"{r['rows']:,}",
                r["cpu_seconds"],
                r["web_event_scans"],
                r["touchpoint_scans"],
                r["bar"],
                {True: "yes", False: "no"}.get(r["met"]),
            ]
            for r in rows
        ]
        _table(["what", "rows", "CPU s", "scans of web events", "of touchpoints", "bar", "met"], table)
    sys.exit(0 if all(row["met"] is not False for row in rows) else 1)


@click.command("intervals")
@click.option("--customers", type=click.IntRange(500), default=6_000, show_default=True, help="Of the world.")
@click.option("--sample", type=click.IntRange(100), default=2_000, show_default=True, help="Customers each.")
@click.option("--samples", type=click.IntRange(50), default=1_000, show_default=True)
@click.option("--all", "every", is_flag=True, help="A line per KPI and slice instead of one per method.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a record per KPI and slice.")
def bench_intervals(customers: int, sample: int, samples: int, every: bool, as_json: bool) -> None:
    """Draw samples of customers from a simulated shop: how often does each 95 % interval hold the truth?

    Example: cja bench intervals --customers 6000 --sample 2000 --samples 1000
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.trials.intervals import by_method, coverage
    from cja_pipeline.trials.worlds import build_shop
    from cja_pipeline.warehouse import Warehouse

    with tempfile.TemporaryDirectory(prefix="cja-intervals-") as folder:
        path = build_shop(Path(folder), customers=customers, seed=7, findings=False)
        with Warehouse(path) as wh:
            found = coverage(wh, customers=sample, samples=samples)
    if as_json:
        print_json(found.to_dict("records"))
        return
    shown = found if every else by_method(found)
    _table(list(shown.columns), shown.round(3).to_numpy(object).tolist())
    inside = found["covered"].between(0.93, 0.97).mean()
    click.echo(f"{inside:.1%} of {len(found)} KPIs and slices are covered in 93 to 97 % of the samples.")


@click.command("findings")
@click.option("--customers", type=click.IntRange(200), default=10_000, show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, help="May be given again [default: 301 to 305].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a record per shop.")
def bench_findings(customers: int, seeds: tuple[int, ...], as_json: bool) -> None:
    """Build shops with planted faults and quiet ones: what is found, and what is found although not there?

    Example: cja bench findings --customers 3000 --seed 301 --seed 302
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.trials.findings import SEEDS, findings_trial, summary

    say = None if as_json else click.echo
    found = findings_trial(customers=customers, seeds=seeds or SEEDS, progress=say)
    if as_json:
        print_json(found.to_dict("records"))
    else:
        _table(["measure", "hits", "of", "share"], [[*row[:3], round(row[3], 3)] for row in summary(found)])


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    from cja_pipeline.console import print_table, wide_console

    print_table(wide_console(), columns, rows)
