"""Drift: fields that are new, gone or of another shape than declared, found in a sample of the raw records.

The cost does not grow with the file: a fixed number of lines per file, evenly spread. Columns of Parquet
files are compared as a whole. What is found says names and shapes, never values.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cja_pipeline.validated.landed import Day
from cja_pipeline.validated.lines import Lines
from cja_pipeline.validated.streams import LIST, Stream, Tree

if TYPE_CHECKING:
    from cja_pipeline.validated.stage import Stage

SAMPLE = 20
FIELDS_TOLD = 50


@dataclass(frozen=True)
class Finding:
    """One thing about the shape of a day's data.

    Kinds: unknown, missing, retyped, unreadable, file, vendor.
    """

    day: dt.date
    kind: str
    field: str
    detail: str
    records: int | None = None


def findings_of(stage: Stage, days: Sequence[Day]) -> list[Finding]:
    """Everything that is odd about the staged days, one finding per day, kind and field."""
    found: dict[tuple[dt.date, str, str], Finding] = {}

    def add(finding: Finding) -> None:
        found.setdefault((finding.day, finding.kind, finding.field), finding)

    for file, kind, text in stage.notes:
        if kind == "unknown":
            add(Finding(file.day, kind, text, "a column that is neither read nor known"))
        else:
            add(Finding(file.day, kind, file.name, text, file.rows))
    for day in days:
        for note in day.notes:
            add(Finding(day.day, "vendor", f"note {len(found)}", note[:300]))
    for date, many in _by_day(stage.samples).items():
        for finding in probe(stage.stream, date, many):
            add(finding)
    rows = stage.warehouse.sql(
        "SELECT _dt, field, count(*) FROM (SELECT _dt, unnest(_unreadable) AS field FROM stage "
        "WHERE _unreadable IS NOT NULL) AS bad GROUP BY _dt, field"
    ).fetchall()
    for date, column, records in rows:
        kind = stage.table.columns[column].type
        add(Finding(date, "unreadable", column, f"cannot be read as {kind} and became null", records))
    return sorted(found.values(), key=lambda one: (one.day, one.kind, one.field))


def _by_day(samples: Sequence[Lines]) -> dict[dt.date, list[Lines]]:
    grouped: dict[dt.date, list[Lines]] = defaultdict(list)
    for lines in samples:
        grouped[lines.file.day].append(lines)
    return grouped


def probe(stream: Stream, day: dt.date, files: Sequence[Lines]) -> Iterator[Finding]:
    """Compare the fields of sampled records with the declared ones."""
    seen: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    retyped: Counter[str] = Counter()
    sampled = 0
    for lines in files:
        step = max(1, lines.count // SAMPLE)
        for index in range(0, lines.count, step):
            try:
                record = json.loads(lines.text[index].as_py())
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                sampled += 1
                _walk(record, stream.tree, "", stream, seen, unknown, retyped)
    if not sampled:
        return
    for field, count in unknown.most_common(FIELDS_TOLD):
        yield Finding(
            day,
            "unknown",
            field,
            f"a field that is neither read nor known, in {count} of {sampled} sampled rows",
            count,
        )
    for field, count in retyped.most_common(FIELDS_TOLD):
        yield Finding(
            day, "retyped", field, f"another shape than declared, in {count} of {sampled} sampled rows", count
        )
    expected = [field for field in stream.fields if stream.sends_nulls and "." in field and LIST not in field]
    for field in dict.fromkeys([*stream.required, *expected]):
        if not seen[field] and field.split(".")[0] != "associations":
            hint = f"; unknown fields: {', '.join(list(unknown)[:5])}" if unknown else ""
            yield Finding(day, "missing", field, f"in none of {sampled} sampled rows{hint}", sampled)


def _walk(
    value: dict[str, Any],
    tree: Tree,
    above: str,
    stream: Stream,
    seen: Counter[str],
    unknown: Counter[str],
    retyped: Counter[str],
) -> None:
    for key, inner in value.items():
        path = f"{above}.{key}" if above else key
        if key not in tree:
            if not _ignored(path, stream):
                unknown[path] += 1
            continue
        seen[path] += 1
        child = tree[key]
        if inner is None:
            continue
        if child is None:
            if isinstance(inner, (dict, list)):
                retyped[path] += 1
        elif LIST in child:
            if not isinstance(inner, list):
                retyped[path] += 1
            elif inner and isinstance(inner[0], dict) and isinstance(child[LIST], dict):
                _walk(inner[0], child[LIST], f"{path}[]", stream, seen, unknown, retyped)
        elif isinstance(inner, dict):
            _walk(inner, child, path, stream, seen, unknown, retyped)
        else:
            retyped[path] += 1


def _ignored(path: str, stream: Stream) -> bool:
    bare = path.replace("[]", "")
    return any(bare == known or bare.startswith(f"{known}.") for known in stream.ignored)
