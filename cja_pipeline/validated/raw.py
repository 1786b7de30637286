"""The relation ``raw``: a stream's declared fields, whatever the file format, plus where each row came from.

Fields keep their vendor names. JSON values arrive as text, Parquet values as stored; the mappings and the
cast to the declared columns treat both alike. ``_record`` is the row as received, for the quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.sql import literal, name
from cja_pipeline.validated.drift import shown
from cja_pipeline.validated.landed import File
from cja_pipeline.validated.streams import LIST, Stream, Tree

if TYPE_CHECKING:
    import pyarrow as pa

NAMES_SAMPLE = 500
META = "files._dt, files._source_file, files._landed_at"


class UnreadableFile(ValueError):
    """A file that cannot be used at all; the message gives the cause."""


def json_structure(tree: Tree) -> str:
    """The fields as a structure for DuckDB's ``json_transform``, every value as text."""
    return json.dumps(_structure(tree))


def _structure(tree: Tree | None) -> Any:
    if tree is None:
        return "VARCHAR"
    if LIST in tree:
        return [_structure(tree[LIST])]
    return {key: _structure(child) for key, child in tree.items()}


def json_raw(stream: Stream) -> str:
    """``raw`` over the registered lines (``landed_lines``) and files (``landed_files``).

    Lines that are no JSON objects are left out; `stage` counts and names them.
    """
    fields = ", ".join(f"parsed.{name(field)} AS {name(field)}" for field in stream.tree)
    # materialized: the planner would move the test below the parsing, and parse every line twice
    return (
        f"WITH lines AS MATERIALIZED (SELECT line, _file, _source_row, {parsed_line(stream)} AS parsed "
        "FROM landed_lines) "
        f"SELECT {fields}, {META}, lines._source_row, lines.line AS _record FROM lines "
        "JOIN landed_files AS files ON files._file = lines._file "
        "WHERE lines.parsed IS NOT NULL"
    )


def parsed_line(stream: Stream) -> str:
    """SQL: the declared fields of ``line``, null if it is not a JSON object."""
    structure = literal(json_structure(stream.tree))
    return f"CASE WHEN starts_with(ltrim(line), '{{') THEN TRY(json_transform(line, {structure})) END"


def parquet_schema(file: File) -> pa.Schema:
    """The schema of a Parquet file.

    Raises:
        UnreadableFile: the file is missing, cut off, or something else than Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        head = _head(file.path)
        if head[:4] != b"PAR1":
            kind = "a web page (HTML or XML)" if head.lstrip()[:1] == b"<" else "something else"
            raise UnreadableFile(f"{kind} instead of a Parquet file")
        return pq.read_schema(file.path)
    except FileNotFoundError as error:
        raise UnreadableFile("the file is missing") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile("the Parquet file's column names are no text") from error
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFile("the Parquet file is cut off") from error


def parquet_raw(files: Sequence[File], schema: pa.Schema, stream: Stream) -> str:
    """``raw`` over Parquet files of one schema; fields that the schema lacks are null.

    Raises:
        UnreadableFile: a required field is missing.
    """
    lacking = [field for field in stream.required if _kind_of(schema, field.split(".")) is None]
    if lacking:
        strange = unknown_fields(schema, stream)
        hint = f"; unknown columns: {', '.join(strange)} (renamed?)" if strange else ""
        raise UnreadableFile(f"missing column {', '.join(lacking)}{hint}")
    columns = {top: schema.field(top).type if top in schema.names else None for top in stream.tree}
    fields = ", ".join(
        f"{_rebuilt(name(top), kind, stream.tree[top])} AS {name(top)}" for top, kind in columns.items()
    )
    record = ", ".join(
        f"{name(top)} := source.{name(top)}" for top, kind in columns.items() if kind is not None
    )
    paths = ", ".join(literal(str(file.path)) for file in files)
    return (
        f"SELECT {fields}, {META}, source.file_row_number + 1 AS _source_row, "
        f"struct_pack({record}) AS _record "
        f"FROM read_parquet([{paths}], filename = true, file_row_number = true) AS source "
        "JOIN landed_files AS files ON files._path = source.filename"
    )


def has_names(schema: pa.Schema, stream: Stream) -> bool:
    """Whether the files hold the stream's named values as a list of things with a text `key`."""
    if stream.names is None:
        return False
    kind = _kind_of(schema, [stream.names.field, LIST, "key"])
    return kind is not None and "text" in _kinds(kind)


def parquet_names(files: Sequence[File], stream: Stream) -> str:
    """SQL: day, name and number of rows of the named values in the first rows of the files."""
    assert stream.names is not None  # noqa: S101  (asked only for streams that have them)
    paths = ", ".join(literal(str(file.path)) for file in files)
    return (
        "SELECT files._dt, name, count(*) FROM (SELECT filename, "
        f"unnest(list_transform({stream.names.field}, lambda item: item.key)) AS name "
        f"FROM read_parquet([{paths}], filename = true, file_row_number = true) "
        f"WHERE file_row_number < {NAMES_SAMPLE}) AS sample "
        "JOIN landed_files AS files ON files._path = sample.filename GROUP BY files._dt, name"
    )


def unknown_fields(schema: pa.Schema, stream: Stream) -> list[str]:
    """Columns of a Parquet file that the stream neither reads nor knows."""
    return [field for field in schema.names if field not in stream.tree and field not in stream.ignored]


def schema_notes(schema: pa.Schema, stream: Stream) -> list[tuple[str, str]]:
    """What differs from the declared fields: (kind, field) with kind unknown, missing or retyped. Fields with
    a declared type are in every file; the others may be absent where nothing uses them."""
    notes = [("unknown", shown(field)) for field in unknown_fields(schema, stream)]
    for field, declared in stream.parquet_types.items():
        kind = _kind_of(schema, field.replace("[]", ".[]").split("."))
        if kind is None:
            notes.append(("missing", field))
        elif declared not in _kinds(kind):
            notes.append(("retyped", field))
    return notes


def _kind_of(schema: pa.Schema, steps: list[str]) -> Any:
    """The stored type of a field, or None if the file does not have it."""
    if steps[0] not in schema.names:
        return None
    kind: Any = schema.field(steps[0]).type
    for step in steps[1:]:
        if step == LIST:
            kind = kind.value_type if _is_list(kind) else None
        else:
            kind = (_members(kind) or {}).get(step)
        if kind is None:
            return None
    return kind


def _kinds(kind: Any) -> list[str]:
    """Declared kinds that a stored type satisfies; an empty column has every type."""
    import pyarrow.types as types

    if types.is_null(kind):
        return ["text", "integer", "number", "boolean"]
    if types.is_integer(kind):
        return ["integer", "number"]
    if types.is_floating(kind) or types.is_decimal(kind):
        return ["number"]
    if types.is_boolean(kind):
        return ["boolean"]
    return ["text"] if types.is_string(kind) or types.is_large_string(kind) else []


def _head(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(64)


def _members(kind: Any) -> dict[str, Any] | None:
    import pyarrow.types as types

    return (
        {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        if types.is_struct(kind)
        else None
    )


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_list(kind) or types.is_large_list(kind))


def _complete(kind: Any, tree: Tree | None) -> bool:
    """Whether a stored value has every declared member."""
    if tree is None:
        return True
    if LIST in tree:
        return _is_list(kind) and _complete(kind.value_type, tree[LIST])
    members = _members(kind)
    return members is not None and all(
        key in members and _complete(members[key], child) for key, child in tree.items()
    )


def _rebuilt(value: str, kind: Any, tree: Tree | None, depth: int = 0) -> str:
    """SQL for a stored value with every declared member, null where the file has none."""
    if kind is None:
        return _empty(tree)
    if _complete(kind, tree):
        return value if depth else f"source.{value}"
    assert tree is not None  # noqa: S101  (a leaf is always complete)
    value = value if depth else f"source.{value}"
    if LIST in tree:
        if not _is_list(kind):
            return _empty(tree)
        item = f"item{depth}"
        inner = _rebuilt(item, kind.value_type, tree[LIST], depth + 1)
        return f"list_transform({value}, lambda {item}: {inner})"
    members = _members(kind)
    if members is None:
        return _empty(tree)
    parts = ", ".join(
        f"{name(key)} := {_rebuilt(f'{value}.{name(key)}', members.get(key), child, depth + 1)}"
        for key, child in tree.items()
    )
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({parts}) END"


def _empty(tree: Tree | None) -> str:
    return f"CAST(NULL AS {_sql_type(tree)})"


def _sql_type(tree: Tree | None) -> str:
    if tree is None:
        return "VARCHAR"
    if LIST in tree:
        return f"{_sql_type(tree[LIST])}[]"
    return "STRUCT(" + ", ".join(f"{name(key)} {_sql_type(child)}" for key, child in tree.items()) + ")"
