"""`cja privacy`: what a person may ask for, from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cja_pipeline.privacy.person import Person
    from cja_pipeline.settings import Settings
    from cja_pipeline.warehouse import Warehouse

ID_HELP = (
    "ID is a customer id. Leave it out to be asked for an e-mail address, phone number, login, card, CRM id "
)
ID_HELP += "or cookie, or give - to read it from standard input: so it stays out of the shell's history."


@click.group()
def privacy() -> None:
    """Access, erasure, keys: what people may ask of those who hold their data."""


@privacy.command(epilog=ID_HELP)
@click.argument("id_", metavar="[ID]", required=False)
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: export]."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export(id_: str | None, output: Path | None, as_json: bool) -> None:
    """Everything held about one person, as JSON for machines and as a page to read.

    Example: cja privacy export c0123456789abcdef0123 -o answer
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.privacy.access import export_person

    with _open() as (settings, warehouse):
        written = export_person(settings, warehouse, _asked(id_), output or Path("export"))
    if as_json:
        print_json({"files": written.files, "records": written.counts, "for_review": written.review})
        return
    for path in written.files:
        click.echo(path)
    click.echo(f"{sum(written.counts.values())} records in {len(written.counts)} places.")
    if written.review:
        click.echo(
            f"{written.review} more records are joined by likeness only; the page lists which to check."
        )


@privacy.command(epilog=ID_HELP)
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be erased, and erase nothing.")
@click.option("--include-linked", is_flag=True, help="Also records that were joined by likeness only.")
@click.option("--resume", is_flag=True, help="Finish erasures that were interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def erase(
    id_: str | None, yes: bool, dry_run: bool, include_linked: bool, resume: bool, as_json: bool
) -> None:
    """Erase one person everywhere, keep them out from now on, and certify it.

    Example: cja privacy erase c0123456789abcdef0123 --dry-run
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.privacy.erase import erase_people, note_erasure, plan_of
    from cja_pipeline.privacy.work import pending
    from cja_pipeline.settings import get_settings

    if not resume:
        with _open() as (settings, warehouse):
            person = _found(settings, warehouse, _asked(id_), include_linked)
            plan = plan_of(person)
            if dry_run:
                print_json(plan) if as_json else _tell(plan)
                return
            if not as_json:
                _tell(plan)
            if not yes and not click.confirm("Erase this person? It cannot be undone."):
                sys.exit(1)
            note_erasure(settings, warehouse, person, reason="request")
    elif not pending(get_settings().prepare()):
        click.echo("No erasure is under way.")
        return
    certificates = erase_people(get_settings())
    if as_json:
        print_json([vars(one) for one in certificates])
    else:
        for one in certificates:
            click.echo(one.text())
            click.echo(f"Kept as {get_settings().privacy_dir / one.erasure}.txt and .json")
    if not certificates or not all(one.clean for one in certificates):
        click.secho(
            "The erasure is noted and honoured, but not finished. Run: cja privacy erase --resume",
            fg="red",
            err=True,
        )
        sys.exit(1)


@privacy.command("rotate-key")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate_key(as_json: bool) -> None:
    """Make every pseudonym anew under another key; customer ids stay.

    Set CJA_SECRET_KEY to the new key and CJA_PREVIOUS_KEYS to the old one first. Example: cja privacy
    rotate-key
    """
    from cja_pipeline.console import print_json
    from cja_pipeline.privacy.rotate import RotationError, rotate
    from cja_pipeline.settings import get_settings

    try:
        rotated = rotate(get_settings().prepare())
    except RotationError as error:
        _fail(error)
    if as_json:
        print_json(vars(rotated))
    else:
        click.echo(
            f"Key {rotated.before} was replaced by {rotated.after}: {rotated.identifiers:,} identifiers "
            f"were made anew, {rotated.customers:,} customer ids stayed."
        )
        if rotated.needed:
            click.echo(f"Keep in CJA_PREVIOUS_KEYS, for notes of erasures: key {', '.join(rotated.needed)}")


@privacy.command()
def roles() -> None:
    """The statements that make the roles of a PostgreSQL serving database, for its administrator.

    Example: cja privacy roles | psql analytics
    """
    from cja_pipeline.journey_maps.restricted import roles_sql

    click.echo(roles_sql(), nl=False)


@contextmanager
def _open() -> Iterator[tuple[Settings, Warehouse]]:
    from cja_pipeline.config import ConfigError
    from cja_pipeline.privacy.keys import KeyMissingError
    from cja_pipeline.privacy.person import NobodyError, SharedError
    from cja_pipeline.privacy.rotate import RotationError, refuse_other_key
    from cja_pipeline.settings import get_settings
    from cja_pipeline.store import open_warehouse
    from cja_pipeline.warehouse_file import WarehouseBusyError

    settings = get_settings().prepare()
    if not settings.warehouse_path.exists():
        _fail(FileNotFoundError(f"{settings.warehouse_path} is not there yet: run `cja demo` or `cja run`."))
    refusals = (WarehouseBusyError, NobodyError, SharedError, KeyMissingError, ConfigError, RotationError)
    try:
        refuse_other_key(
            settings
        )  # under another key a person is not found whole, and a note holds for nobody
        with open_warehouse(settings) as warehouse:
            yield settings, warehouse
    except refusals as error:
        _fail(error)


def _asked(given: str | None) -> str:
    if given == "-":
        return sys.stdin.readline().strip()
    return given or click.prompt(
        "E-mail address, phone number, login, card, CRM id or cookie", hide_input=True
    )


def _found(settings: Settings, warehouse: Warehouse, given: str, include_linked: bool) -> Person:
    from cja_pipeline.privacy.keys import Keys
    from cja_pipeline.privacy.person import find_person

    return find_person(warehouse, Keys.of(settings), given, include_linked=include_linked)


def _tell(plan: dict[str, object]) -> None:
    for key, value in plan.items():
        click.echo(f"{key.replace('_', ' '):24} {value}")


def _fail(error: Exception) -> None:
    click.secho(str(error), fg="red", err=True)
    sys.exit(1)
