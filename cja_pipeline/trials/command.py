"""``cja bench kpis``, ``intervals``, ``findings``, ``rivals`` and ``nights``: the trials as commands."""

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


@click.command("rivals")
@click.option("--customers", type=click.IntRange(300), default=20_000, show_default=True)
@click.option("--days", type=click.IntRange(30), default=90, show_default=True)
@click.option(
    "--pandas/--no-pandas", default=True, show_default=True, help="Needs about 1 GB per million events."
)
@click.option(
    "--night/--no-night",
    default=True,
    show_default=True,
    help="First the whole night under Dagster, whose checks have a bar; else only what all are handed.",
)
@click.option(
    "--retentioneering",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Python interpreter that has it: sessions, transitions and funnel are compared as well.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench_rivals(
    customers: int, days: int, pandas: bool, night: bool, retentioneering: Path | None, as_json: bool
) -> None:
    """Measure the rooms beside one DuckDB script and beside pandas, from the same files to the same outputs.

    The outputs are compared row by row; the exit code is 1 if they differ or a bar is missed.

    Example: cja bench rivals --customers 20000 --days 90
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.trials.rivals.trial import CONTENDERS, PANDAS, rivals_trial

    contenders = [name for name in CONTENDERS if pandas or name != PANDAS]
    found = rivals_trial(customers, days, contenders, night=night, retentioneering=retentioneering)
    if as_json:
        print_json(found)
    else:
        rows = [
            [
                r["name"],
                *(f"{r[part]:,.1f}" for part in ("cpu_seconds", "seconds", "peak_mb")),
                _told(r["differs"]),
            ]
            for r in found["rivals"]
        ]
        _table([f"{found['events']:,} web events", "CPU s", "seconds", "peak MB", "differs in"], rows)
        for part in ("night", "tools", "bars"):
            if found[part]:
                _table(list(found[part][0]), [list(row.values()) for row in found[part]])
    same = not any(row["differs"] for row in found["rivals"])
    same = same and all(row["equal"] is not False for row in found["tools"])
    sys.exit(0 if same and all(bar["met"] is not False for bar in found["bars"]) else 1)


def _told(differs: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{table} (-{less} +{more})" for table, (less, more) in differs.items())


@click.command("nights")
@click.option("--customers", type=click.IntRange(50), default=2_000, show_default=True)
@click.option(
    "--history", "histories", type=click.IntRange(7), multiple=True, help="Days [default: 30, 180 and 365]."
)
@click.option(
    "--nights", type=click.IntRange(1), default=3, show_default=True, help="Nights of each history."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a record per step, room and night.")
def bench_nights(customers: int, histories: tuple[int, ...], nights: int, as_json: bool) -> None:
    """What does one more night cost after a month, half a year and a year of history, and a rebuild?

    The bars: after the longest history a night costs at most 1.3 times one after the shortest, and at most a
    tenth of a full rebuild; the exit code is 1 if one is missed. The same night runs several times after each
    history, in turn; the one of middle cost is told. CPU seconds; peaks in JSON.

    Example: cja bench nights --customers 500 --history 30 --history 90
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.trials.nights import GROWTH_BAR, HISTORIES, REBUILD_BAR, nights_trial

    say = None if as_json else click.echo
    rows = nights_trial(customers=customers, histories=histories or HISTORIES, nights=nights, tell=say)
    night = rows[-1]
    met = night["growth"] <= GROWTH_BAR and night["of_rebuild"] <= REBUILD_BAR
    if as_json:
        print_json(rows)
        sys.exit(0 if met else 1)
    runs = [name for name in night if name.startswith("cpu_")]
    shown = [*runs, "growth", "of_rebuild"]
    bars = ["", "bar", *[""] * len(runs), f"<= {GROWTH_BAR}", f"<= {REBUILD_BAR}"]
    _table(
        ["room", "step", *(name.removeprefix("cpu_") for name in shown)],
        [[row["room"], row["step"], *(_short(row.get(name)) for name in shown)] for row in rows] + [bars],
    )
    sys.exit(0 if met else 1)


def _short(number: float | None) -> float | None:
    return None if number is None else round(number, 2)


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    from cja_pipeline.console import print_table, wide_console

    print_table(wide_console(), columns, rows)
