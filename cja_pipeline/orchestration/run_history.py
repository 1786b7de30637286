"""Dagster's record of its runs: where it lies, how it is opened, and how a run is forgotten.

It lies in files beside the data or, with `CJA_DAGSTER_DATABASE_URL`, in PostgreSQL. The password of that URL
is in the environment only: Dagster's settings name the variable.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from uuid import UUID

import click
import dagster as dg
import sqlalchemy as sa
import yaml

from cja_pipeline.settings import get_settings

DATABASE = "CJA_DAGSTER_DATABASE_URL"
FILES = ("run_storage", "event_log_storage", "schedule_storage")  # in dagster.yaml
CONNECT_SECONDS = "10"


class RunHistoryError(click.ClickException):
    """Dagster's database does not answer, or cannot be one; the message never holds its password."""


def dagster_home() -> Path:
    """The folder with Dagster's settings; made with the shipped ones if `DAGSTER_HOME` names none.

    The settings are those of the project's own ``dagster.yaml`` with the home folder's place in them, so
    that `cja` and Dagster's commands share one history.

    Raises:
        RunHistoryError: `CJA_DAGSTER_DATABASE_URL` is set and no database that Dagster can use.
    """
    if "DAGSTER_HOME" not in os.environ:
        settings = get_settings().prepare()
        home = settings.home / "dagster"
        home.mkdir(exist_ok=True, mode=0o700)
        shipped = resources.files("cja_pipeline.orchestration")
        for name in ("dagster.yaml", "workspace.yaml"):
            text = (shipped / name).read_text(encoding="utf-8").replace(".cja/dagster", str(home))
            if name == "dagster.yaml" and settings.dagster_database_url is not None:
                os.environ[DATABASE] = _postgresql(settings.dagster_database_url.get_secret_value())
                text = _in_database(text)
            (home / name).write_text(text, encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(home)
    return Path(os.environ["DAGSTER_HOME"])


@contextmanager
def run_history() -> Iterator[dg.DagsterInstance]:
    """Dagster's instance.

    Raises:
        RunHistoryError: its database does not answer.
    """
    dagster_home()
    try:
        instance = dg.DagsterInstance.get()
    except Exception as error:
        if (cause := database_error(error)) is None:
            raise
        raise RunHistoryError(away(cause)) from None
    with instance:
        yield instance


def database_error(error: BaseException | None) -> sa.exc.DatabaseError | None:
    """The database's own error behind one of Dagster's, if there is one."""
    while error is not None and not isinstance(error, sa.exc.DatabaseError):
        error = error.__cause__
    return error


def away(error: sa.exc.DatabaseError) -> str:
    """What to do about it, in words."""
    begun = (
        f"Dagster's run history cannot be used ({type(error.orig).__name__}). The data do not depend on it"
    )
    if os.environ.get(DATABASE):
        return f"{begun}: look after the database of {DATABASE}, or unset it to go on with files."
    return f"{begun}: `cja doctor --fix` begins a new one."


def _postgresql(url: str) -> str:
    """The URL as Dagster's storage needs it. Its driver must be psycopg2: the web server of Dagster sets a
    timeout in a way that closes connections of psycopg 3."""
    parsed = sa.engine.make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise RunHistoryError(f"{DATABASE} must be a URL of PostgreSQL: postgresql://user:password@host/name")
    if find_spec("dagster_postgres") is None:
        raise RunHistoryError(f"{DATABASE} needs a further package: pip install '.[postgres]'")
    patient = {"connect_timeout": CONNECT_SECONDS, **parsed.query}
    parsed = parsed.set(drivername="postgresql+psycopg2", query=patient)
    return parsed.render_as_string(hide_password=False)


def _in_database(text: str) -> str:
    """Dagster's settings with everything that it stores in the database."""
    kept = {key: value for key, value in yaml.safe_load(text).items() if key not in FILES}
    stored = {"storage": {"postgres": {"postgres_url": {"env": DATABASE}}}}
    return yaml.safe_dump({**stored, **kept}, sort_keys=False)


def run_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Files that belong to one run, events and captured output, with the run's id."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            for part in path.relative_to(root).parts:
                run = part.partition(".")[0]
                if _is_id(run):
                    yield run, path


def forget_runs(runs: Iterable[str]) -> None:
    """Remove runs from the history with everything that was recorded about them."""
    found = sorted(runs)
    if not found:
        return
    with run_history() as instance:
        for run in found:
            instance.delete_run(run)


def runs_with(wanted: Callable[[bytes], object]) -> set[str]:
    """Runs of whose record in a database something is `wanted`; none where the history is in files."""
    if get_settings().dagster_database_url is None:
        return set()
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
    from dagster._core.storage.runs.schema import RunsTable as Runs

    found = set()
    with run_history() as instance:
        store = instance.event_log_storage
        assert isinstance(store, SqlEventLogStorage)  # noqa: S101  (the one of PostgreSQL is)
        with store.index_transaction() as connection:
            for run, text in ((Events.c.run_id, Events.c.event), (Runs.c.run_id, Runs.c.run_body)):
                rows = connection.execution_options(yield_per=1000).execute(
                    sa.select(run, text).order_by(run)
                )
                for run_id, bodies in groupby(rows, key=lambda row: row[0]):
                    if wanted("\n".join(row[1] for row in bodies).encode()):
                        found.add(run_id)
    return found


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
