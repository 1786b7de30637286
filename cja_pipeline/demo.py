"""The main job from a terminal: a simulated shop, its history run night by night, a summary."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

from rich.console import Console

from cja_pipeline.config import shop
from cja_pipeline.console import print_table, watching
from cja_pipeline.settings import Settings
from cja_pipeline.validated.summary import newest
from cja_pipeline.warehouse import Warehouse


def run_demo(
    settings: Settings,
    console: Console,
    *,
    customers: int | None = None,
    days: int | None = None,
    seed: int | None = None,
    nights: int = 0,
) -> bool:
    """Build the world, backfill its history in one run, then let the last `nights` happen one by one.

    Returns True if every run succeeded. Running it again changes nothing but the run history.
    """
    from cja_pipeline.simulator.ensure import ensure_world

    started = time.perf_counter()
    settings.prepare()
    if settings.uses_development_key:
        console.print(
            "Using a development key for pseudonyms; set CJA_SECRET_KEY in production.", style="dim"
        )
    console.print(f"[bold]1  A simulated shop[/]  {shop().name}")
    first, last = ensure_world(
        settings.world_dir,
        customers=customers,
        days=days,
        seed=seed,
        progress=lambda text: console.print(f"  {text}", highlight=False),
    )
    nights = min(nights, (last - first).days)
    split = last - dt.timedelta(days=nights)
    console.print(f"[bold]2  The nightly job[/]  {first} to {last}, {shop().time_zone}")
    ok = run_days(console, first, split)
    for night in range(1, nights + 1):
        day = split + dt.timedelta(days=night)
        ok = ok and run_days(console, day, day)
    print_summary(settings, console)
    console.print(f"\nDone in {time.perf_counter() - started:.0f} s." if ok else "\n[red]The job failed.[/]")
    return ok


def run_days(console: Console, start: dt.date, end: dt.date, job: str | None = None) -> bool:
    """One run of a job (by default the nightly one) with progress lines.

    Raises:
        ConfigError: a configuration file cannot be used, told before the first step instead of by a late one.
    """
    from cja_pipeline.doctor.configuration import require_usable
    from cja_pipeline.orchestration.jobs import NIGHTLY
    from cja_pipeline.orchestration.nightly import run_nights

    require_usable()
    span = f"{start}" if start == end else f"{start} to {end}"
    console.print(f"  run for {span}", style="bold dim", highlight=False)
    began = time.perf_counter()
    with watching(console) as records:
        ok = run_nights(start, end, job=job or NIGHTLY)
    failed = sum(len(record["errors"]) for record in records)
    console.print(
        f"  {len(records)} steps, {sum(record['checks'] for record in records)} checks, "
        f"{failed} failed, {time.perf_counter() - began:.1f} s",
        style="dim" if ok else "red",
        highlight=False,
    )
    return ok


def print_summary(
    settings: Settings, console: Console, *, open_store: Callable[..., Warehouse] = Warehouse
) -> None:
    """The scorecard, the state of the checks, and where everything is."""
    with open_store(settings.warehouse_path, memory_limit=settings.memory_limit) as warehouse:
        console.print("\n[bold]3  Scorecard[/]  last 28 days")
        if warehouse.exists("journey_maps.scorecard"):
            from cja_pipeline.journey_maps.scorecard import scorecard_lines

            columns, rows = scorecard_lines(warehouse.read("journey_maps.scorecard"), shop().language)
            print_table(console, columns, rows)
        if warehouse.exists("quality.results"):
            passed, warned, failed = latest_checks(warehouse)
            console.print(f"\n[bold]4  Checks[/]  {passed} passed, {warned} warned, {failed} failed")
    console.print("\n[bold]5  Where things are[/]")
    page = settings.reports_dir / "latest" / "journey_map.html"
    for name, place in (
        ("Journey map", page.as_uri() if page.exists() else "not drawn yet"),
        ("Database", _shown_database(settings)),
        ("Dagster UI", "run `cja up`, then open http://127.0.0.1:3000"),
    ):
        console.print(f"  {name:12} {place}", highlight=False, markup=False, soft_wrap=True)


def latest_checks(warehouse: Warehouse) -> tuple[int, int, int]:
    """How many checks passed, warned and failed, by the run that checked each table last."""
    rows = warehouse.sql(f"SELECT passed, severity FROM ({newest()})").fetchall()
    failed = sum(not passed and severity == "critical" for passed, severity in rows)
    warned = sum(not passed and severity != "critical" for passed, severity in rows)
    return len(rows) - failed - warned, warned, failed


def _shown_database(settings: Settings) -> str:
    """The file of SQLite as other tools want it, else the URL without its password."""
    import sqlalchemy as sa

    url = sa.engine.make_url(settings.published_url)
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    return url.render_as_string(hide_password=True)
