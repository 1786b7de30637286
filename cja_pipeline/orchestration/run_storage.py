"""Dagster's SQLite event log with connections that stay open, for backfills of many days.

The shipped storage makes an engine, opens the file and closes it again for every event; closing folds the
write-ahead log into the file and waits for the disk. A range run writes an event per asset and day, so 90
days take minutes. Keeping one connection per file makes an event some ten times cheaper. `synchronous =
NORMAL` is safe against a crash of the process; a power cut can cost the last events, never the file. What
it looks up for every event, whether the schema has a table or column, is asked until the answer is yes.
Events that come together (all that a run plans, the days of an asset) are one transaction per file.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._serdes import serialize_value
from sqlalchemy.pool import NullPool, StaticPool

PATIENCE_SECONDS = 30
KEPT = 8  # files: the index and the newest runs
TOGETHER = "1000"  # events that Dagster hands over at once, at most


class KeptSqliteEventLog(SqliteEventLogStorage):
    """Same files, same schema, same rows as Dagster's own SQLite event log."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: dict[str, sa.Engine] = {}
        self._known: set[str] = set()  # tables and columns that are there: they stay
        self._own_lock = threading.RLock()
        self._batch: ExitStack | None = None
        self._joined: dict[str, sa.Connection] = {}  # of the batch, by file
        self._assets: dict[str, tuple[EventLogEntry, int]] = {}  # of the batch, with their last event
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", TOGETHER)
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "KeptSqliteEventLog":
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._own_lock:
            if self._batch is None:
                with self._engine(shard).begin() as connection:
                    yield connection
            else:
                if shard not in self._joined:
                    self._joined[shard] = self._batch.enter_context(self._engine(shard).begin())
                yield self._joined[shard]

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """All of the events or, if one cannot be stored, none: Dagster then tries them one by one."""
        with self._own_lock:
            try:
                with ExitStack() as self._batch:
                    for event in events:
                        self.store_event(event)
                    for event, event_id in self._assets.values():
                        super()._store_asset_event(self._joined["index"], event, event_id)
            finally:
                self._batch = None
                self._joined.clear()
                self._assets.clear()

    def _store_asset_event(self, conn: sa.Connection, event: EventLogEntry, event_id: int) -> None:
        """What is known of an asset comes from its last event: in a batch that one is enough."""
        if self._batch is None:
            super()._store_asset_event(conn, event, event_id)
        else:
            self._assets[str(event.get_dagster_event().asset_key)] = event, event_id

    def _engine(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            url = self.conn_string_for_shard(shard)
            if shard not in self._initialized_dbs:
                self._initdb(sa.create_engine(url, poolclass=NullPool, connect_args=_arguments()))
                self._initialized_dbs.add(shard)
            engine = sa.create_engine(url, poolclass=StaticPool, connect_args=_arguments())
            sa.event.listen(engine, "connect", _tune)
            self._engines[shard] = engine
            for old in list(self._engines)[:-KEPT]:
                self._engines.pop(old).dispose()
        return self._engines[shard]

    def has_table(self, table_name: str) -> bool:
        ask = super().has_table
        return self._remembered(table_name, lambda: ask(table_name))

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        ask = super()._has_asset_key_col_on_connection
        return self._remembered(f".{column_name}", lambda: ask(conn, column_name))

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """One row per check. Dagster's own makes one per check and day of the range, and the result, being of
        no day, answers none of them: hundreds of checks and days leave tens of thousands that wait for ever.
        """
        planned: Any = event.get_dagster_event().event_specific_data
        row = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": event_id,
        }
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.insert(), row)

    def _remembered(self, name: str, ask: Callable[[], bool]) -> bool:
        if name not in self._known and ask():
            self._known.add(name)
        return name in self._known

    def delete_events(self, run_id: str) -> None:
        """Deleting a run removes its file, so its connection goes first."""
        if run_id in self._engines:
            self._engines.pop(run_id).dispose()
        super().delete_events(run_id)

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()


def _arguments() -> dict[str, Any]:
    return {"timeout": PATIENCE_SECONDS, "check_same_thread": False}


def _tune(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
