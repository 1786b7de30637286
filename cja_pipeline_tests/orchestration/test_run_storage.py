"""The event log with kept connections writes what Dagster's own writes, and asks its schema once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from cja_pipeline.orchestration.run_storage import KeptSqliteEventLog

KEPT = {"module": "cja_pipeline.orchestration.run_storage", "class": "KeptSqliteEventLog"}
TOLD = {
    "event_logs": "dagster_event_type, step_key, asset_key, partition",
    "asset_keys": "asset_key, last_materialization IS NULL, last_materialization_timestamp IS NULL",
    "asset_event_tags": "asset_key, key",
    "asset_check_executions": "asset_key, check_name, partition, execution_status",
}


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]),
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
        tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}
        for _ in range(2):
            assert dg.materialize([days], instance=instance, tags=tags).success
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
    assert own == kept
    assert sum(row[0] == "ASSET_MATERIALIZATION" for row in kept["event_logs"]) == 6
    assert len(kept["asset_check_executions"]) == 6
    assert asked
    assert len(asked) == len(set(asked))


def test_what_is_not_there_is_asked_for_again(tmp_path: Path) -> None:
    storage = KeptSqliteEventLog(str(tmp_path))
    with storage.index_connection() as connection:
        assert not storage._has_asset_key_col_on_connection(connection, "later")
        connection.execute(sa.text("ALTER TABLE asset_keys ADD COLUMN later TEXT"))
        assert storage._has_asset_key_col_on_connection(connection, "later")
    storage.dispose()
