"""Access and portability: everything held about one person, for machines and to read.

Landed records are found by the same judgement that keeps an erased person out, so what is shown is what an
erasure would remove.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.privacy.copies import Copy, note_copy
from cja_pipeline.privacy.keys import Keys
from cja_pipeline.privacy.pages import Part, tables_page
from cja_pipeline.privacy.person import Person, find_person, recogniser
from cja_pipeline.privacy.suppress import Suppression, parsed, text_of
from cja_pipeline.privacy.tombstones import Tombstone
from cja_pipeline.settings import Settings
from cja_pipeline.sources.manifest import folders, read_manifest
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

PERSON_COLUMNS = ("customer_id", "record_key", "other_key")
OWN_KEYS = {
    "validated.contacts": ("contact_id", "contact"),
    "validated.crm_orders": ("crm_order_id", "order"),
    "validated.tickets": ("ticket_id", "ticket"),
    "validated.surveys": ("submission_id", "survey"),
    "validated.email_events": ("profile_id", "profile"),
    "validated.social_comments": ("author_id", "author"),
    "validated.web_events": ("visitor_id", "visitor"),
}
SHOWN_ROWS = 2_000


@dataclass(frozen=True)
class Answer:
    """The files that were written, records per place, and how many records need a person's look first."""

    files: list[str]
    counts: dict[str, int]
    review: int


def export_person(settings: Settings, wh: Warehouse, given: str, folder: Path) -> Answer:
    """Write ``personal_data.json`` and ``personal_data.html`` to `folder`, readable by the owner only.

    Raises:
        NobodyError, SharedError: it cannot be told who is meant.
    """
    keys = Keys.of(settings)
    person = find_person(wh, keys, given)
    found = {**_tables(wh, person), **_landed(settings, keys, person)}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    counts = {place: len(rows) for place, rows in found.items()}
    document = {
        "customer_id": person.customer_id,
        "records": person.records,
        "records_to_check_before_handing_over": person.review,
        "identifiers": [{"kind": kind, "value": value} for kind, value in person.own],
        "identifiers_shared_with_others": [{"kind": kind, "value": value} for kind, value in person.shared],
        "data": found,
    }
    document_text = json.dumps(document, indent=1, ensure_ascii=False, default=str)
    paths = {
        folder / "personal_data.json": document_text,
        folder / "personal_data.html": _page(person, found),
    }
    for path, text in paths.items():
        write_atomically(path, text.encode("utf-8", "replace"))
        note_copy(settings, Copy(path, None))
    return Answer([str(path) for path in paths], counts, len(person.review))


def _tables(wh: Warehouse, person: Person) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in TABLES.values():
        if not wh.exists(table.full_name):
            continue
        tests, values = [], []
        for column in PERSON_COLUMNS:
            if column in table.columns and (column != "customer_id" or person.whole):
                tests.append(f'"{column}" IN (SELECT unnest(?::VARCHAR[]))')
                values.append([person.customer_id] if column == "customer_id" else person.records)
        if table.full_name in OWN_KEYS:
            column, kind = OWN_KEYS[table.full_name]
            tests.append(f'"{column}" IN (SELECT unnest(?::VARCHAR[]))')
            values.append([key.partition(":")[2] for key in person.records if key.startswith(f"{kind}:")])
        if tests:
            frame = wh.df(f"SELECT * FROM {table.full_name} WHERE {' OR '.join(tests)} ORDER BY ALL", values)
            if len(frame):
                told = frame.to_json(
                    orient="records", date_format="iso", force_ascii=False, default_handler=str
                )
                found[f"table {table.full_name}"] = json.loads(told)
    return found


def _landed(settings: Settings, keys: Keys, person: Person) -> dict[str, list[dict[str, Any]]]:
    """The person's records as the vendors sent them, and rows in quarantine files."""
    seeker = Suppression.of(
        [Tombstone("access", keys.current, "", tuple(person.notes(keys, recogniser())))], keys
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for folder in folders(settings.landing_dir):
        manifest = read_manifest(folder)
        for file in manifest.files if manifest else []:
            stream = f"{manifest.vendor}/{manifest.stream}"  # type: ignore[union-attr]
            path = folder / file.name
            if path.is_file():
                found[f"landing {stream}"] += _records(path, stream, seeker)
    return {place: rows for place, rows in found.items() if rows}


def _records(path: Path, stream: str, seeker: Suppression) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.compute as pc

        table = seeker.read_concerned(stream, path)
        if table is None:
            return []
        rows: list[dict[str, Any]] = table.filter(pc.invert(seeker.kept_rows(stream, table))).to_pylist()
        return rows
    records = (parsed(line) for line in text_of(path).splitlines() if line.strip())
    return [record for record in records if seeker.judge(stream, record) is None]


def _page(person: Person, found: dict[str, list[dict[str, Any]]]) -> str:
    parts = [
        Part(
            "Identifiers",
            ["Kind", "Value", "Used by"],
            [
                *((kind, value, "this person") for kind, value in person.own),
                *((kind, value, "others too") for kind, value in person.shared),
            ],
        )
    ]
    if person.review:
        parts.append(
            Part(
                "To check before handing over",
                ["Record"],
                [(record,) for record in person.review],
                "Joined by likeness only; they may be somebody else's. What follows leaves them out.",
            )
        )
    for place, rows in found.items():
        columns = list(dict.fromkeys(name for row in rows for name in row))
        shown = [[_cell(row.get(name)) for name in columns] for row in rows[:SHOWN_ROWS]]
        more = f" {len(rows) - SHOWN_ROWS} more are in the JSON file." if len(rows) > SHOWN_ROWS else ""
        parts.append(Part(place, columns, shown, f"{len(rows)} records.{more}"))
    lead = "Everything that is held about one person, as stored; the same as in the JSON file beside it."
    return tables_page(f"Personal data of {person.customer_id}", lead, parts)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    nested = isinstance(value, dict | list)
    return json.dumps(value, ensure_ascii=False, default=str) if nested else str(value)
