"""The event log with kept connections writes what Dagster's own does, but for plans that nothing answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry

from cja_pipeline.orchestration.nightly import RANGE_END, RANGE_START
from cja_pipeline.orchestration.run_storage import KeptSqliteEventLog

KEPT = {"module": "cja_pipeline.orchestration.run_storage", "class": "KeptSqliteEventLog"}
TOLD = {
    "event_logs": "dagster_event_type, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_materialization IS NULL, last_materialization_timestamp IS NULL",
    "asset_event_tags": "asset_key, key",
    "asset_check_executions": "asset_key, check_name, partition, execution_status",
}


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition("2026-03-01"),
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("complete", asset="days")],
)
def days() -> dg.MaterializeResult:
    return dg.MaterializeResult(
        tags={"made_by": "test"}, check_results=[dg.AssetCheckResult(check_name="complete", passed=True)]
    )


def written(folder: Path, storage: Mapping[str, Any]) -> dict[str, list[tuple[object, ...]]]:
    """What two range runs leave in the files below a folder, without ids and times."""
    folder.mkdir()
    overrides = {"event_log_storage": {**storage, "config": {"base_dir": str(folder)}}} if storage else None
    with dg.instance_for_test(overrides=overrides, temp_dir=str(folder)) as instance:
        tags = {RANGE_START: "2026-03-02", RANGE_END: "2026-03-04"}
        job = dg.Definitions(assets=[days], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
        for _ in range(2):
            assert job.execute_in_process(instance=instance, tags=tags).success
    found: dict[str, list[tuple[object, ...]]] = {}
    for path in sorted(folder.rglob("index.db")):
        with closing(sqlite3.connect(path)) as connection:
            for table, columns in TOLD.items():
                rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
                found[table] = sorted(rows, key=repr)
    return found


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_the_rows_are_those_of_dagsters_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = KeptSqliteEventLog._remembered

    def counted(self: KeptSqliteEventLog, name: str, ask: Any) -> bool:
        return real(self, name, lambda: asked.append(name) or ask())

    monkeypatch.setattr(KeptSqliteEventLog, "_remembered", counted)
    own, kept = written(tmp_path / "own", {}), written(tmp_path / "kept", KEPT)
    planned, done = own.pop("asset_check_executions"), kept.pop("asset_check_executions")
    assert own == kept
    assert sum(row[0] == "ASSET_MATERIALIZATION" for row in kept["event_logs"]) == 6
    # what Dagster's own leaves besides the results are plans that nothing answers
    assert (
        done
        == [row for row in planned if row[2] is None]
        == 2 * [('["days"]', "complete", None, "SUCCEEDED")]
    )
    assert {row[3] for row in planned if row[2] is not None} == {"PLANNED"}
    assert asked
    assert len(asked) == len(set(asked))


def test_what_is_not_there_is_asked_for_again(tmp_path: Path) -> None:
    storage = KeptSqliteEventLog(str(tmp_path))
    with storage.index_connection() as connection:
        assert not storage._has_asset_key_col_on_connection(connection, "later")
        connection.execute(sa.text("ALTER TABLE asset_keys ADD COLUMN later TEXT"))
        assert storage._has_asset_key_col_on_connection(connection, "later")
    storage.dispose()


def test_a_batch_is_stored_in_one_go_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = KeptSqliteEventLog(str(tmp_path))
    events = [EventLogEntry(None, 10, f"told {i}", "run", 1e9 + i) for i in range(3)]
    begun: list[str] = []
    real = KeptSqliteEventLog._engine
    monkeypatch.setattr(
        KeptSqliteEventLog, "_engine", lambda self, shard: begun.append(shard) or real(self, shard)
    )
    storage.store_event_batch(events)
    assert begun == ["run"]
    monkeypatch.setattr(KeptSqliteEventLog, "prepare_insert_event", _refuse_the_second(events))
    with pytest.raises(ValueError, match="second"):
        storage.store_event_batch(events)
    assert len(storage.get_logs_for_run("run")) == 3
    storage.store_event(events[2])
    assert len(storage.get_logs_for_run("run")) == 4
    storage.dispose()


def _refuse_the_second(events: list[EventLogEntry]) -> Any:
    real = KeptSqliteEventLog.prepare_insert_event

    def prepare(self: KeptSqliteEventLog, event: EventLogEntry) -> Any:
        if event is events[1]:
            raise ValueError("the second cannot be stored")
        return real(self, event)

    return prepare
