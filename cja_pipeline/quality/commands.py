"""`cja bench quality` and `cja bench validation`."""

from __future__ import annotations

import sys

import click

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("quality")
@click.option("--customers", type=click.IntRange(50), default=6_000, show_default=True)
@click.option("--days", type=click.IntRange(35), default=90, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the shop with planted faults.")
@click.option("--clean", type=click.IntRange(0), default=3, show_default=True, help="Clean shops to run.")
@as_json_option
def bench_quality(customers: int, days: int, seed: int, clean: int, as_json: bool) -> None:
    """Plant every fault that the simulator knows: what is found, and is a clean shop left in peace?

    Exits with 1 if a class or an incident goes unnoticed, or a clean shop is blocked.

    Example: cja bench quality --customers 6000
    """
    from cja_pipeline.console import print_json, print_table, wide_console
    from cja_pipeline.quality.bench import false_alarms, found_faults

    faults = found_faults(customers=customers, days=days, seed=seed)
    calm = false_alarms(customers=customers // 2, days=days, seeds=range(1, clean + 1))
    missed = [one["name"] for one in faults["classes"] if one["planted"] and not one["right"]]
    missed += [one["name"] for one in faults["incidents"] if not one["signs"]]
    blocked = [block for one in calm for block in one["false_blocks"]]
    if as_json:
        print_json(faults | {"clean": calm, "missed": missed})
    else:
        console = wide_console()
        print_table(
            console,
            ["class", "where", "planted", "found", "recall", "precision", "how"],
            [
                [one["name"], one["where"], one["planted"], one["found"], _share(one["recall"]),
                 _share(one["precision"]), one["how"]]
                for one in faults["classes"]
            ],
            title="Planted faults",
        )  # fmt: skip
        print_table(
            console,
            ["incident", "from", "to", "signs", "first sign"],
            [
                [
                    one["name"],
                    one["first_day"],
                    one["last_day"],
                    len(one["signs"]),
                    (one["signs"] or ["none"])[0],
                ]
                for one in faults["incidents"]
            ],
            title="Incidents",
        )
        print_table(
            console,
            ["seed", "checks", "blocks", "warnings", "series-days", "alarms", "per 100"],
            [
                [
                    one["seed"],
                    one["checks"],
                    len(one["false_blocks"]),
                    len(one["warnings"]),
                    one["series_days"],
                    one["alarms"],
                    f"{one['per_100']:.2f}",
                ]
                for one in calm
            ],
            title="Clean shops",
        )
        for name in missed:
            click.secho(f"missed: {name}", fg="red")
    sys.exit(1 if missed or blocked else 0)


@click.command("validation")
@click.option("--rows", type=click.IntRange(1_000), default=1_000_000, show_default=True)
@as_json_option
def bench_validation(rows: int, as_json: bool) -> None:
    """CPU of checking web events, beside one hand-written pass of SQL over the same checks.

    Example: cja bench validation --rows 10000000
    """
    from cja_pipeline.console import print_json, print_table, wide_console
    from cja_pipeline.quality.cost import compare

    found = compare(rows)
    if as_json:
        print_json(found)
    else:
        names = ["way", "rows", "checks", "cpu_seconds", "times", "failing"]
        print_table(wide_console(), names, [[one[name] for name in names] for one in found])
    sys.exit(1 if found[1]["counts_differ"] else 0)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
