"""Where the files of a GA4 BigQuery export lie: a Cloud Storage bucket, or a folder."""

from __future__ import annotations

import hashlib
import shutil
import time
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.errors import UnavailableError, VendorError
from cja_pipeline.sources.manifest import sha256_of
from cja_pipeline.sources.paging import LoopGuard, fitting, items, words

SETTLED_SECONDS = 300


@dataclass(frozen=True)
class StoredObject:
    """One exported file as the store lists it; `md5` is Base64 or None, `generation` changes on rewriting."""

    name: str
    size: int
    md5: str | None
    generation: str

    def identity(self) -> dict[str, str]:
        """What tells one version of an object from another, for the manifest."""
        found = {"name": self.name, "generation": self.generation}
        return found | ({"md5": self.md5} if self.md5 else {})


class Store(Protocol):
    """A place with exported files."""

    def objects(self, prefix: str) -> list[StoredObject]:
        """The objects whose name starts with `prefix`, by name."""
        ...

    def fetch(self, item: StoredObject, target: Path) -> str:
        """Copy an object byte for byte into `target`; return its SHA-256. VendorError if it changed."""
        ...

    def unfinished(self, item: StoredObject) -> bool:
        """Whether somebody may still be writing the object, so that it is too early to call it damaged."""
        ...


class BucketStore:
    """A bucket through the Cloud Storage JSON API (``/storage/v1/b/<bucket>/o``)."""

    def __init__(self, client: VendorClient, bucket: str, version: str) -> None:
        self._client = client
        self._path = f"/storage/{version}/b/{quote(bucket, safe='')}/o"

    def objects(self, prefix: str) -> list[StoredObject]:
        query: dict[str, Any] = {"prefix": prefix, "maxResults": 1000}
        guard = LoopGuard(f"{self._client.name}: GET {self._path}")
        check = fitting(
            lambda page: items(page, "items"), lambda entry: _described(entry).name.startswith(prefix)
        )
        found: dict[str, StoredObject] = {}
        while True:
            answer = self._client.get(self._path, query, check)
            if not isinstance(answer, dict) or answer.get("kind", "storage#objects") != "storage#objects":
                raise VendorError(f"{self._client.name}: GET {self._path}: the answer is no list of objects")
            for item in map(_described, items(answer, "items")):
                if item.name.startswith(prefix) and not item.name.endswith("/"):
                    found[item.name] = item
            if not (token := words(answer.get("nextPageToken"))):
                return [found[name] for name in sorted(found)]
            guard.visit(token)
            query["pageToken"] = token

    def fetch(self, item: StoredObject, target: Path) -> str:
        path = f"{self._path}/{quote(item.name, safe='')}"
        return self._client.download(path, target, {"alt": "media"}, size=item.size, md5=item.md5)

    def unfinished(self, item: StoredObject) -> bool:
        """Cloud Storage shows an object when it is complete."""
        return False


class FolderStore:
    """A folder on this machine, from ``file:///...`` (for exports that something else copies here)."""

    def __init__(self, base_url: str, bucket: str) -> None:
        parts = urlsplit(base_url)
        self.root = Path(unquote(parts.netloc + parts.path)).expanduser() / bucket
        if not self.root.is_dir():
            raise VendorError(f"the folder {self.root} does not exist")

    def objects(self, prefix: str) -> list[StoredObject]:
        found = []
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root).as_posix()
            if (
                name.startswith(prefix)
                and path.is_file()
                and path.resolve().is_relative_to(self.root.resolve())
            ):
                found.append(StoredObject(name, path.stat().st_size, _md5(path), ""))
        return sorted(found, key=lambda item: item.name)

    def fetch(self, item: StoredObject, target: Path) -> str:
        shutil.copyfile(self.root / item.name, target)
        if _md5(target) != item.md5:
            raise UnavailableError(f"{item.name} changed while it was copied")
        return sha256_of(target)

    def unfinished(self, item: StoredObject) -> bool:
        return time.time() - (self.root / item.name).stat().st_mtime < SETTLED_SECONDS


def _described(entry: Any) -> StoredObject:
    try:
        return StoredObject(
            str(entry["name"]), int(entry["size"]), entry.get("md5Hash"), str(entry.get("generation", ""))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise VendorError("an object in the listing has no readable name and size") from None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return b64encode(digest.digest()).decode()
