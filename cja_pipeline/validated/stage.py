"""The stage: every readable row of some landed files, typed, with the codes of the rules that it breaks.

The stage is a pure function of the files and the rules. A temporary table holds the declared columns plus
``_rules`` (codes; null for a clean row, empty for a repetition), ``_unreadable`` (columns whose value could
not be cast and became null), ``_new`` (unknown values of columns with known ones, which became ``other``) and
``_payload`` (the row as received, only for rows that break a rule).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb

from cja_pipeline.sql import literal, name
from cja_pipeline.tables import Table
from cja_pipeline.validated.drift import sample_of, shown
from cja_pipeline.validated.landed import Day, File
from cja_pipeline.validated.lines import Lines, Lost, read_lines, why_malformed
from cja_pipeline.validated.raw import (
    UnreadableFile,
    has_names,
    json_raw,
    parquet_names,
    parquet_raw,
    parquet_schema,
    parsed_line,
    schema_notes,
)
from cja_pipeline.validated.rules import broken, outside_set
from cja_pipeline.validated.streams import OTHER, Stream, model_sql
from cja_pipeline.validated.suites import Suite
from cja_pipeline.warehouse import Warehouse

LINES_BYTES = 64 << 20
EXTRA = {"_rules": "VARCHAR[]", "_unreadable": "VARCHAR[]", "_new": "VARCHAR[]", "_payload": "VARCHAR"}
NEW = "\x1f"  # between column and value in `_new`


class Stage:
    """Fills the temporary table ``stage`` from landed files.

    `lost` and `notes` collect what cannot be used.
    """

    def __init__(self, warehouse: Warehouse, table: Table, stream: Stream, suite: Suite) -> None:
        self.warehouse, self.table, self.stream, self.suite = warehouse, table, stream, suite
        self.lost: list[Lost] = []
        self.notes: list[tuple[File, str, str]] = []
        self.samples: dict[dt.date, list[str]] = {}
        columns = {column: spec.type for column, spec in table.columns.items()} | EXTRA
        body = ", ".join(f"{name(column)} {kind}" for column, kind in columns.items())
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE stage ({body})")

    def fill(self, files: Sequence[File]) -> None:
        """Read the files into the stage; nothing here raises for bad input."""
        self._fill_parquet([file for file in files if file.path.suffix == ".parquet"])
        batches = _line_batches([file for file in files if file.path.suffix != ".parquet"])
        # unpacking keeps one core busy and the database the other: the next lines are read meanwhile
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = reader.submit(next, batches, None)
                self._fill_lines(batch)

    # --- JSON lines --------------------------------------------------------------------------------
    def _fill_lines(self, batch: Sequence[Lines]) -> None:
        import numpy as np
        import pyarrow as pa

        for lines in batch:
            self.lost += lines.lost
            self.notes += [(lines.file, "file", note) for note in lines.notes]
        batch = [lines for lines in batch if lines.count]
        if not batch:
            return
        for lines in batch:
            self.samples.setdefault(lines.file.day, []).extend(sample_of(lines))
        self._register([lines.file for lines in batch])
        source = pa.table({
            "line": pa.chunked_array([lines.text for lines in batch]),
            "_source_row": np.concatenate([lines.numbers for lines in batch]),
            "_file": np.repeat(np.arange(len(batch)), [lines.count for lines in batch]),
        })  # fmt: skip
        connection = self.warehouse.connection
        connection.register("landed_lines", source)
        try:
            before = self.warehouse.count("stage")
            self._insert(json_raw(self.stream), "_record")
            if self.warehouse.count("stage") - before != source.num_rows:
                self._name_malformed(batch)
        finally:
            connection.unregister("landed_lines")

    def _name_malformed(self, batch: Sequence[Lines]) -> None:
        rows = self.warehouse.sql(
            f"SELECT _file, _source_row, line FROM landed_lines WHERE {parsed_line(self.stream)} IS NULL "
            "ORDER BY _file, _source_row"
        ).fetchall()
        for index, row, line in rows:
            self.lost.append(
                Lost(batch[index].file, row, 1, "malformed_line", why_malformed(line.strip()), line.strip())
            )

    # --- Parquet -----------------------------------------------------------------------------------
    def _fill_parquet(self, files: Sequence[File]) -> None:
        alike: dict[str, list[File]] = defaultdict(list)
        schemas = {}
        for file in files:
            try:
                self._verify(file)
                schema = parquet_schema(file)
                parquet_raw([file], schema, self.stream)
            except UnreadableFile as error:
                self._lose(file, str(error))
                continue
            self.notes += [(file, kind, field) for kind, field in schema_notes(schema, self.stream)]
            schemas[str(schema)] = schema
            alike[str(schema)].append(file)
        for key, group in alike.items():
            try:
                self._scan(group, schemas[key])
            except duckdb.Error:
                for file in group:  # one of them is damaged inside: find it, keep the others
                    try:
                        self._scan([file], schemas[key])
                    except duckdb.Error as error:
                        self._lose(file, f"damaged inside: {type(error).__name__}")
            else:
                if has_names(schemas[key], self.stream):
                    self._sample_names(group)

    def _scan(self, files: Sequence[File], schema: object) -> None:
        self._register(files)
        self._insert(parquet_raw(files, schema, self.stream), "CAST(to_json(_record) AS VARCHAR)")  # type: ignore[arg-type]

    def _sample_names(self, files: Sequence[File]) -> None:
        """Note unknown names among named values. Every file is asked, so that a day's findings do not depend
        on which days are loaded with it."""
        assert self.stream.names is not None  # noqa: S101  (asked only for streams that have them)
        some = {file.day: file for file in files}
        rows = self.warehouse.sql(parquet_names(files, self.stream)).fetchall()
        known = set(self.stream.names.known)
        for day, name_, _ in sorted(row for row in rows if row[1] is not None and row[1] not in known):
            self.notes.append((some[day], "unknown", f"{self.stream.names.field}.{shown(name_)}"[:120]))

    def _verify(self, file: File) -> None:
        from cja_pipeline.sources.manifest import sha256_of

        if not file.path.is_file():
            raise UnreadableFile("the file is missing")
        if file.sha256 and sha256_of(file.path) != file.sha256:
            raise UnreadableFile("the content differs from its manifest (SHA-256)")

    def _lose(self, file: File, cause: str) -> None:
        self.notes.append((file, "file", cause))
        self.lost.append(Lost(file, 0, max(file.rows, 1), "unreadable_file", cause))

    # --- both --------------------------------------------------------------------------------------
    def _register(self, files: Sequence[File]) -> None:
        self.warehouse.execute(
            "CREATE OR REPLACE TEMP TABLE landed_files AS SELECT unnest(?::BIGINT[]) AS _file, "
            "unnest(?::VARCHAR[]) AS _path, unnest(?::DATE[]) AS _dt, unnest(?::VARCHAR[]) AS _source_file, "
            "unnest(?::TIMESTAMP[]) AS _landed_at",
            [
                list(range(len(files))),
                [str(file.path) for file in files],
                [file.day for file in files],
                [file.name for file in files],
                [file.landed_at for file in files],
            ],
        )

    def _insert(self, raw: str, payload: str) -> None:
        mapped = f"WITH raw AS ({raw}) SELECT * FROM ({model_sql(self.table.name)}\n) AS mapped"
        kinds = {row[0]: row[1] for row in self.warehouse.sql(f"DESCRIBE {mapped}").fetchall()}
        self.warehouse.execute(f"INSERT INTO stage {self._judged(mapped, kinds, payload)}")

    def _judged(self, mapped: str, kinds: dict[str, str], payload: str) -> str:
        typed, unreadable, unknown = [], [], []
        for column, spec in self.table.columns.items():
            value = name(column)
            if kinds[column] == "VARCHAR":
                value = f"nullif({value}, '')"
            if spec.type in (kinds[column], "VARCHAR"):
                cast = value if spec.type == kinds[column] else f"CAST({value} AS VARCHAR)"
            else:
                cast = f"TRY_CAST({value} AS {spec.type})"
                unreadable.append((column, f"{value} IS NOT NULL AND {cast} IS NULL"))
            if column in self.stream.enums:
                enum = self.stream.enums[column]
                test = outside_set(cast, [*enum.known, OTHER])
                told = f"{literal(column + NEW)} || {cast}" if enum.tell else literal(column + NEW)
                unknown.append((told, test))
                cast = f"CASE WHEN {test} THEN {literal(OTHER)} ELSE {cast} END"
            typed.append(f"{cast} AS {name(column)}")
        rules = [
            (literal(rule.code), broken(rule)) for rule in self.suite.row_rules if rule.action != "dedupe"
        ]
        return (
            f"WITH typed AS (SELECT {', '.join(typed)}, _record, "
            f"{_codes([(literal(column), test) for column, test in unreadable])} AS _unreadable, "
            f"{_codes(unknown)} AS _new FROM ({mapped}\n) AS mapped), "
            f"judged AS (SELECT typed.*, {_codes(rules)} AS _rules FROM typed) "
            f"SELECT {', '.join(name(column) for column in self.table.columns)}, _rules, _unreadable, _new, "
            f"CASE WHEN _rules IS NOT NULL THEN {payload} END AS _payload FROM judged"
        )


def _line_batches(files: Sequence[File]) -> Iterator[list[Lines]]:
    """The lines of the files, some files at a time."""
    batch: list[Lines] = []
    for file in files:
        batch.append(read_lines(file))
        if sum(lines.text.nbytes for lines in batch) > LINES_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _codes(tests: Sequence[tuple[str, str]]) -> str:
    """SQL: the list of the texts (SQL) whose test is true, null if none is. Most rows pass all, hence the
    guard."""
    if not tests:
        return "CAST(NULL AS VARCHAR[])"
    guard = " OR ".join(f"({test})" for _, test in tests)
    members = ", ".join(f"CASE WHEN {test} THEN {text} END" for text, test in tests)
    return f"CASE WHEN {guard} THEN list_filter([{members}], lambda code: code IS NOT NULL) END"


def day_batches(days: Sequence[Day], rows: int) -> Iterator[list[Day]]:
    """Consecutive days with together about `rows` rows."""
    batch: list[Day] = []
    for day in days:
        if batch and sum(one.kept for one in batch) + day.kept > rows:
            yield batch
            batch = []
        batch.append(day)
    if batch:
        yield batch
