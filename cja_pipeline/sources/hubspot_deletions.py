"""Contacts that HubSpot deleted for good (GDPR): no listing names them, so the known ones are asked for.

A contact is gone if the vendor says of its id that there is no such object, neither active nor in the recycle
bin, twice, and no other contact took it over in a merge. Where suddenly very many are gone, an account or a
permission is at fault rather than so many people, and nobody is reported.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.errors import VendorError
from cja_pipeline.sources.manifest import folders, read_manifest
from cja_pipeline.sources.paging import items

log = logging.getLogger(__name__)
BATCH = 100
MOST_AT_ONCE, MOST_SHARE = 20, 0.02


def known_contacts(landing: Path) -> set[str]:
    """Ids of all landed contacts that were not merged into another one."""
    from cja_pipeline.validated.lines import unpack

    known: set[str] = set()
    merged: set[str] = set()
    for folder in folders(landing, "hubspot", "contacts"):
        manifest = read_manifest(folder)
        for file in manifest.files if manifest else []:
            path = folder / file.name
            for line in unpack(path.read_bytes())[0].splitlines() if path.is_file() else ():
                try:
                    record = json.loads(line)
                    known.add(str(record["id"]))
                    merged.update((record["properties"].get("hs_merged_object_ids") or "").split(";"))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # an unreadable line is the validated room's to tell
    return known - merged


def deleted_contacts(client: VendorClient, version: str, known: Iterable[str]) -> list[str]:
    """Those of the known contacts that the vendor has deleted for good, sorted."""
    wanted = sorted(known)
    path = f"/crm/objects/{version}/contacts/batch/read"
    gone = wanted
    for archived in ("false", "true", "false"):
        place = f"{path}?archived={archived}"
        gone = [found for batch in _batches(gone) for found in _missing(client, place, batch)]
        if not gone:
            return []
    if len(gone) > max(MOST_AT_ONCE, MOST_SHARE * len(wanted)):
        log.warning(
            "%s: %d of %d known contacts cannot be found; too many to be deletions, nobody is erased",
            client.name,
            len(gone),
            len(wanted),
        )
        return []
    return sorted(gone)


def _missing(client: VendorClient, path: str, batch: list[str]) -> list[str]:
    """The ids of which the vendor says that there is no such contact."""
    body = {"inputs": [{"id": key} for key in batch], "properties": ["hs_object_id"]}
    answer = client.post(path, body)
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        raise VendorError(f"{client.name}: POST {path.partition('?')[0]}: no results in the answer")
    given = {str(item.get("id")) for item in items(answer, "results") if isinstance(item, dict)}
    denied = {str(key) for error in items(answer, "errors") for key in _denied(error)}
    return [key for key in batch if key in denied and key not in given]


def _denied(error: Any) -> list[Any]:
    if not isinstance(error, dict) or error.get("category") != "OBJECT_NOT_FOUND":
        return []
    context = error.get("context")
    ids = context.get("ids") if isinstance(context, dict) else None
    return ids if isinstance(ids, list) else []


def _batches(ids: list[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, BATCH)):
        yield batch
