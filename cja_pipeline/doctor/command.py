"""The command `cja doctor`."""

from __future__ import annotations

import sys

import click

COLOURS = {"ok": "green", "note": "yellow", "problem": "red", "healed": "cyan"}


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended without a person's decision.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(fix: bool, as_json: bool) -> None:
    """Say what is wrong with this installation, and mend it with --fix.

    Exits with 1 if a problem is left, with 0 if there is none. Example: cja doctor --fix
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.doctor import examine, heal
    from cja_pipeline.night_lock import NightRunningError
    from cja_pipeline.orchestration.run_findings import run_findings
    from cja_pipeline.settings import get_settings

    try:
        found = heal(get_settings(), run_findings) if fix else examine(get_settings(), run_findings)
    except NightRunningError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    if as_json:
        print_json([finding.as_dict() for finding in found])
    else:
        for finding in found:
            mark = click.style(f"{finding.state:9}", fg=COLOURS[finding.state])
            click.echo(f"{mark}{finding.name:15} {finding.words}")
            if finding.mend is not None:
                click.echo(f"{'':24}mended by: cja doctor --fix")
            elif finding.command:
                click.echo(f"{'':24}do: {finding.command}")
        if not found:
            click.echo("Nothing is wrong.")
    sys.exit(1 if any(finding.state == "problem" for finding in found) else 0)
