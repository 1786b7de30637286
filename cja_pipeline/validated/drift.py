"""Drift: fields that are new, gone or of another shape than declared, found in a sample of the raw records.

The cost does not grow with the file: a fixed number of lines per file, evenly spread. Columns of Parquet
files are compared as a whole. What is found says names and shapes, never values.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cja_pipeline.validated.landed import Day
from cja_pipeline.validated.lines import Lines
from cja_pipeline.validated.streams import LIST, Stream, Tree

if TYPE_CHECKING:
    from cja_pipeline.validated.stage import Stage

SAMPLE = 20
FIELDS_TOLD = 50
FIELD_LENGTH = 120
PARQUET_WORDS = {
    "unknown": "a column that is neither read nor known",
    "missing": "the files do not have it",
    "retyped": "another kind of value than declared",
}
ALIKE = 0.6  # names of a missing and an unknown field that are this similar are taken for a renaming
PLAIN_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_ .-]{0,39}$")  # what may be told of an unknown value
LONG_NUMBER = re.compile(r"\d{5}")
PLAIN_FIELD = re.compile(r"^[\w$][\w$ .:/\[\]-]*$", re.ASCII)
NOT_SHOWN = "(a name that is not shown)"


@dataclass(frozen=True)
class Finding:
    """One thing about the shape of a day's data.

    Kinds: unknown, missing, renamed, retyped (fields); unreadable, value (values of known fields); file,
    vendor, unfinished (what was landed).
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
        if kind in PARQUET_WORDS:
            add(Finding(file.day, kind, text, PARQUET_WORDS[kind]))
        else:
            add(Finding(file.day, kind, file.name, text, file.rows))
    for day in days:
        for note in day.notes:
            add(Finding(day.day, "vendor", f"note {len(found)}", note[:300]))
    for date, texts in stage.samples.items():
        for finding in probe(stage.stream, date, texts):
            add(finding)
    rows = stage.warehouse.sql(
        "SELECT _dt, field, count(*) FROM (SELECT _dt, unnest(_unreadable) AS field FROM stage "
        "WHERE _unreadable IS NOT NULL) AS bad GROUP BY _dt, field"
    ).fetchall()
    for date, column, records in rows:
        kind = stage.table.columns[column].type
        add(Finding(date, "unreadable", column, f"cannot be read as {kind} and became null", records))
    for finding in _new_values(stage):
        add(finding)
    for finding in _renamed(list(found.values())):
        add(finding)
    return sorted(found.values(), key=lambda one: (one.day, one.kind, one.field))


def _new_values(stage: Stage) -> Iterator[Finding]:
    """Unknown values of columns with known ones. Named only if the vendor makes them up and they look like a
    name; anything else is counted without quoting it."""
    from cja_pipeline.validated.stage import NEW

    if not stage.stream.enums:
        return
    rows = stage.warehouse.sql(
        "SELECT _dt, entry, count(*) AS records FROM (SELECT _dt, unnest(_new) AS entry FROM stage "
        "WHERE _new IS NOT NULL AND (_rules IS NULL OR len(_rules) > 0)) AS unknown "
        "GROUP BY _dt, entry ORDER BY _dt, records DESC, entry"
    ).fetchall()
    counted: Counter[tuple[dt.date, str]] = Counter()
    for day, entry, records in rows:
        column, _, value = entry.partition(NEW)
        plain = PLAIN_NAME.match(value) and not LONG_NUMBER.search(value)
        counted[day, f"{column}: {value}" if plain else column] += records
    for (day, field), records in counted.items():
        yield Finding(day, "value", field[:FIELD_LENGTH], "a value that is not known; kept as other", records)


def _renamed(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Pairs of a missing and an unknown field of one day and one place whose names are alike."""
    for lost in [one for one in findings if one.kind == "missing"]:
        place, _, old = lost.field.rpartition(".")
        fresh = [
            one.field.rpartition(".")[2]
            for one in findings
            if one.kind == "unknown" and one.day == lost.day and one.field.rpartition(".")[0] == place
        ]
        alike = [new for new in fresh if old in new or new in old]
        for new in (alike or difflib.get_close_matches(old, fresh, 1, ALIKE))[:1]:
            detail = "gone, while an unknown field with a similar name appeared"
            yield Finding(lost.day, "renamed", f"{lost.field} to {new}"[:FIELD_LENGTH], detail, lost.records)


def shown(name: str) -> str:
    """The name of an undeclared field as it may be told. Names come from outside too: one that could be an
    address or a number of somebody, or holds characters that no field needs, is not."""
    return name if PLAIN_FIELD.match(name) and not LONG_NUMBER.search(name) else NOT_SHOWN


def sample_of(lines: Lines) -> list[str]:
    """A few lines of a file, evenly spread."""
    return [lines.text[index].as_py() for index in range(0, lines.count, max(1, lines.count // SAMPLE))]


def probe(stream: Stream, day: dt.date, texts: Sequence[str]) -> Iterator[Finding]:
    """Compare the fields of sampled records, as received, with the declared ones."""
    sample = _Sample(stream)
    for text in texts:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            sample.add(record)
    if not sample.records:
        return
    for kind, words, counts in (
        ("unknown", "a field that is neither read nor known", sample.unknown),
        ("retyped", "another shape than declared", sample.retyped),
    ):
        for field, count in counts.most_common(FIELDS_TOLD):
            told = f"{words}, in {count} of {sample.records} sampled rows"
            yield Finding(day, kind, field[:FIELD_LENGTH], told, count)
    hint = f"; unknown fields: {', '.join(list(sample.unknown)[:5])}" if sample.unknown else ""
    for field in sample.missing():
        yield Finding(
            day, "missing", field, f"in none of {sample.records} sampled rows{hint}", sample.records
        )


class _Sample:
    """Counts, over sampled records, the fields that were seen, are unknown, or have another shape."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.tree = stream, stream.tree
        self.records = 0
        self.seen: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.retyped: Counter[str] = Counter()
        self._ignored = cache(self._is_ignored)  # asked for every field of every record, of few paths

    def add(self, record: dict[str, Any]) -> None:
        self.records += 1
        self._walk(record, self.tree, "")

    def missing(self) -> list[str]:
        """Fields that should be in every record and were in none."""
        stream = self.stream
        asked = [
            field
            for field in stream.fields
            if stream.sends_nulls and "." in field and not field.startswith("associations")
        ]
        return [field for field in dict.fromkeys([*stream.required, *asked]) if not self.seen[field]]

    def _walk(self, value: dict[str, Any], tree: Tree, above: str) -> None:
        for key, inner in value.items():
            path = f"{above}.{key}" if above else key
            if key not in tree:
                if not self._ignored(path):
                    self.unknown[f"{above}.{shown(key)}" if above else shown(key)] += 1
                continue
            self.seen[path] += 1
            child = tree[key]
            if inner is None:
                continue
            expected = str if child is None else list if LIST in child else dict
            if isinstance(inner, (dict, list)) != (expected is not str):
                self.retyped[path] += 1
            elif isinstance(inner, dict) and child is not None and expected is dict:
                self._walk(inner, child, path)
            elif isinstance(inner, list) and child is not None and expected is list:
                self._walk_list(inner, child, path)
            elif expected is not str:
                self.retyped[path] += 1

    def _walk_list(self, items: list[Any], tree: Tree, path: str) -> None:
        member, names = tree[LIST], self.stream.names
        if items and isinstance(items[0], dict) and member is not None:
            self._walk(items[0], member, f"{path}[]")
        if names is not None and names.field == path:
            keys = {str(item.get("key")) for item in items if isinstance(item, dict)}
            self.unknown.update(f"{path}.{shown(key)}" for key in sorted(keys - set(names.known)))

    def _is_ignored(self, path: str) -> bool:
        bare = path.replace("[]", "")
        return any(bare == known or bare.startswith(f"{known}.") for known in self.stream.ignored)
