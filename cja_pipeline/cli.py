"""`cja`: the command line. Each command is thin: read the options, call, print; imports happen inside."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from cja_pipeline.alerts.command import alerts
from cja_pipeline.answers import DAY, explain, kpis, quality, quarantine
from cja_pipeline.customers.explain_commands import explain_customer_command, explain_pair_command
from cja_pipeline.customers.identity.tabular.command import resolve
from cja_pipeline.customers.identity_commands import bench_identity, identity
from cja_pipeline.doctor.command import doctor
from cja_pipeline.kpis.change_command import explain_change_command
from cja_pipeline.privacy.commands import privacy
from cja_pipeline.quality.commands import bench_quality, bench_validation
from cja_pipeline.trials.command import (
    bench_findings,
    bench_intervals,
    bench_kpis,
    bench_nights,
    bench_rivals,
)


class _Plain(click.Group):
    """A wrong setting or configuration is said in plain words by whichever command meets it."""

    def invoke(self, ctx: click.Context) -> object:
        from cja_pipeline.config import ConfigError
        from cja_pipeline.settings import SettingsError

        try:
            return super().invoke(ctx)
        except (ConfigError, SettingsError) as error:
            _fail(error)


@click.group(cls=_Plain, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cja_pipeline")
def main() -> None:
    """Customer-journey analytics from the command line. Start with: cja demo"""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")


for command in (alerts, doctor, explain, identity, kpis, quality, quarantine, privacy, resolve):
    main.add_command(command)
for command in (explain_change_command, explain_customer_command, explain_pair_command):
    explain.add_command(command)


def _stop_on_signals() -> None:
    """Stop in order on Ctrl-C and when a supervisor says SIGTERM. A shell's background job starts us with
    SIGINT ignored, which children would inherit and then never stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def _fail(error: Exception) -> NoReturn:
    """Say what is wrong in one red paragraph and leave with status 1, without a stack trace."""
    click.secho(str(error), fg="red", err=True)
    sys.exit(1)


@main.command()
@click.option("--customers", type=click.IntRange(50), help="People in the simulated shop [default: 20000].")
@click.option("--days", type=click.IntRange(7), help="Days of history [default: 90].")
@click.option("--seed", type=int, help="Seed of the simulated world [default: 7].")
@click.option(
    "--nights", type=click.IntRange(0), default=0, show_default=True, help="Last days run one by one."
)
def demo(customers: int | None, days: int | None, seed: int | None, nights: int) -> None:
    """Simulate a shop and run its history through the nightly job.

    Example: cja demo --customers 2000 --days 30
    """
    from cja_pipeline.console import wide_console
    from cja_pipeline.demo import run_demo
    from cja_pipeline.settings import get_settings

    _stop_on_signals()
    try:
        ok = run_demo(
            get_settings(), wide_console(), customers=customers, days=days, seed=seed, nights=nights
        )
    except (ValueError, OSError) as error:
        _fail(error)
    sys.exit(0 if ok else 1)


@main.command()
@click.option("--from", "start", type=DAY, help="First business day [default: yesterday].")
@click.option("--to", "end", type=DAY, help="Last business day [default: the first].")
def run(start: dt.datetime | None, end: dt.datetime | None) -> None:
    """Run the nightly job for a day or a range, without the UI.

    Example: cja run --from 2026-03-01 --to 2026-03-07
    """
    from cja_pipeline.console import wide_console
    from cja_pipeline.demo import print_summary, run_days
    from cja_pipeline.history import first_day, today
    from cja_pipeline.settings import get_settings

    _stop_on_signals()
    first = start.date() if start else today() - dt.timedelta(days=1)
    last = end.date() if end else first
    if last < first:
        _fail(ValueError(f"--from {first} lies after --to {last}: swap them."))
    if not first_day() <= first <= last < today():
        _fail(
            ValueError(
                f"{first} to {last}: expected complete business days between {first_day()} "
                f"(start of history) and {today() - dt.timedelta(days=1)} (yesterday)."
            )
        )
    console = wide_console()
    ok = run_days(console, first, last)
    if ok:
        print_summary(get_settings(), console)
    sys.exit(0 if ok else 1)


@main.command()
def rebuild() -> None:
    """Make every table again from the landed files; no vendor is asked, customer ids stay.

    The old warehouse stays in use until the new one is complete. Example: cja rebuild
    """
    from cja_pipeline.console import wide_console
    from cja_pipeline.demo import print_summary, run_days
    from cja_pipeline.orchestration.jobs import REBUILD
    from cja_pipeline.rebuild import NothingLandedError
    from cja_pipeline.rebuild import rebuild as rebuild_warehouse
    from cja_pipeline.settings import get_settings

    console = wide_console()
    try:
        ok = rebuild_warehouse(
            get_settings().prepare(), lambda first, last: run_days(console, first, last, REBUILD)
        )
    except (NothingLandedError, OSError) as error:
        _fail(error)
    if not ok:
        _fail(
            RuntimeError(
                "The rebuild failed. The warehouse and the published tables stay as they were. If a check "
                "failed, `cja quality` says what it saw and what to do; then run `cja rebuild` again."
            )
        )
    print_summary(get_settings(), console)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--read-only", is_flag=True, help="Look, but launch nothing: for stakeholders.")
def up(port: int, read_only: bool) -> None:
    """Open the Dagster UI and the reports at http://127.0.0.1:3000, with the schedule running.

    Example: cja up --port 3000
    """
    from cja_pipeline.orchestration.nightly import dagster_home
    from cja_pipeline.orchestration.run_findings import revive_queue

    home = dagster_home()
    workspace = home / "workspace.yaml"
    if not workspace.exists():
        workspace = Path("workspace.yaml").resolve()
    click.echo(f"Dagster UI   http://127.0.0.1:{port}")
    click.echo(f"Journey map  http://127.0.0.1:{port}/reports/latest/journey_map.html")
    click.echo("Stop with Ctrl-C.")
    python = [sys.executable, "-m"]
    server = [
        *python,
        "cja_pipeline.orchestration.serve",
        str(port),
        str(workspace),
        *(["--read-only"] * read_only),
    ]
    daemon = [*python, "dagster._daemon", "run", "-w", str(workspace), "--log-level", "warning"]
    _stop_on_signals()
    for run_id in revive_queue():
        click.echo(f"Run {run_id} had died; it is marked as failed and will be started again.")
    commands = [server] if read_only else [server, daemon]
    children = [subprocess.Popen(command) for command in commands]  # noqa: S603
    try:
        while children[0].poll() is None:
            if not read_only and children[1].poll() is not None:
                click.echo("The daemon ended; starting it again.")
                children[1] = subprocess.Popen(daemon)  # noqa: S603
            time.sleep(1)
        sys.exit(children[0].returncode)
    except KeyboardInterrupt:
        click.echo("Stopping.")
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                child.kill()


@main.command("mock-server")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True)
@click.option("--faults", help="Faults to inject, for example 429:0.05,500:0.02,trunc:0.01")
def mock_server(port: int, faults: str | None) -> None:
    """Serve the mocked vendors over real HTTP on 127.0.0.1.

    Point a source's base_url to http://127.0.0.1:8765/<vendor> to use it. Example: cja mock-server
    """
    import uvicorn

    from cja_pipeline.settings import get_settings
    from cja_pipeline.simulator.ensure import ensure_world
    from cja_pipeline.simulator.mocks import app

    world = get_settings().prepare().world_dir
    ensure_world(world, progress=click.echo)
    click.echo(f"Mocked vendors at http://127.0.0.1:{port}/ga4, /hubspot, /klaviyo, /meta. Stop with Ctrl-C.")
    uvicorn.run(app(world, faults), host="127.0.0.1", port=port, log_level="warning")


@main.group(invoke_without_command=True)
@click.option("--customers", type=click.IntRange(50), default=20_000, show_default=True)
@click.option("--days", type=click.IntRange(7), default=90, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def bench(context: click.Context, customers: int, days: int, as_json: bool) -> None:
    """Measure each room: rows, seconds, rows per second, peak memory.

    Example: cja bench --customers 20000 --days 90
    """
    if context.invoked_subcommand is not None:
        return
    from cja_pipeline.bench import run_bench
    from cja_pipeline.console import wide_console

    sys.exit(0 if run_bench(wide_console(), customers=customers, days=days, as_json=as_json) else 1)


for command in (
    bench_quality,
    bench_validation,
    bench_identity,
    bench_kpis,
    bench_intervals,
    bench_findings,
    bench_rivals,
    bench_nights,
):
    bench.add_command(command)


@main.command()
@click.option("--format", "form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option("--table", "tables", multiple=True, help="Published table; may be given again [default: all].")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: export]."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(form: str, tables: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write published tables as files; in CSV no text can run as a spreadsheet formula.

    Example: cja export --format csv --table scorecard --table orders -o figures
    """
    from rich.console import Console
    from sqlalchemy.exc import SQLAlchemyError

    from cja_pipeline.console import print_json, print_table
    from cja_pipeline.journey_maps.export import export_tables

    try:
        written = export_tables(output or Path("export"), tables, "csv" if form == "csv" else "parquet")
    except (ValueError, OSError) as error:
        _fail(error)
    except SQLAlchemyError:
        _fail(ValueError("Nothing is published yet, or the database cannot be read. Run: cja demo"))
    rows = [(one.table, f"{one.rows:,}", one.path) for one in written]
    if as_json:
        print_json([{"table": one.table, "rows": one.rows, "file": one.path} for one in written])
    else:
        print_table(Console(), ["Table", "Rows", "File"], rows)


if __name__ == "__main__":
    main()
