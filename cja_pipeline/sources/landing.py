"""The landing: vendors' records as received, in folders that appear whole or not at all.

``<vendor>/<stream>/dt=YYYY-MM-DD/part-NNN.{jsonl.gz,parquet}`` with ``_MANIFEST.json``; streams of changes
add ``run=<as_of>/`` below the day. A folder is built under a temporary name, synced, and renamed. Unreadable
records are kept in ``rejected/`` inside the folder, each with its reason.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.sources.manifest import NAME, LandedFile, Manifest, newest_as_of, read_manifest
from cja_pipeline.sources.records import RecordWriter

if TYPE_CHECKING:
    from cja_pipeline.privacy.suppress import Suppression

__all__ = ["Folder", "Outcome", "exclusive", "newest_as_of", "recover", "sync_folder"]

SHRINK_FLOOR_ROWS = 100
SHRINK_SHARE = 0.98
OTHER_HOURS_SHARE = 0.25
REJECTED = "rejected"
TEMPORARY, RETIRED, HELD = ".new-", ".old-", "held back: "


@dataclass(frozen=True)
class Outcome:
    """How a commit ended: the folder's manifest as it now stands, and whether the new files were held back
    (with `offered` rows) in favour of the earlier ones."""

    manifest: Manifest
    held: bool = False
    offered: int = 0


class Folder:
    """A landed folder under construction; `commit` puts it in place of the one before.

    Use as a context manager: an exception inside discards the new files and leaves the old ones untouched.
    `suppression` keeps erased people out of what is added.
    """

    def __init__(self, final: Path, manifest: Manifest, suppression: Suppression | None = None) -> None:
        self.final, self.manifest, self.suppression = final, manifest, suppression
        self.path = final.with_name(TEMPORARY + final.name)
        self._writer: RecordWriter | None = None

    def __enter__(self) -> Folder:
        private_folder(self.path.parent)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        self._writer = RecordWriter(self.path)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError:
            if kind is None:
                raise  # else the first error, a full disk for instance, is the one to tell
        finally:
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def rows(self) -> int:
        return self._records.rows + sum(file.rows for file in self.manifest.files)

    @property
    def _records(self) -> RecordWriter:
        if self._writer is None:
            raise RuntimeError("a landing folder is written inside its `with` block")
        return self._writer

    def add(self, record: Any) -> None:
        """Append one record as a line; one that JSON cannot hold goes to ``rejected/``."""
        if self.suppression:
            record = self.suppression.judge(f"{self.manifest.vendor}/{self.manifest.stream}", record)
            if record is None:
                self.manifest.erased_rows += 1
                return
        self._records.add(record)

    def reject(self, raw: Any, reason: str) -> None:
        """Keep an unreadable record with the reason, beside the data."""
        if self.suppression and self.suppression.in_text(str(raw)):
            self.manifest.erased_rows += 1
            return
        self._records.reject(raw, reason)

    def add_file(self, file: LandedFile) -> None:
        """Register a file that was written into `path` as it came from the vendor."""
        self.manifest.files.append(file)

    def commit(self, *, allow_shrink: bool = False) -> Outcome:
        """Sync and swap in. If the folder had at least 100 rows and less than 98 % of them are offered now,
        the earlier files stay, their manifest records the refusal, and the outcome says `held`."""
        records, manifest = self._records, self.manifest
        manifest.files += records.close()
        manifest.rows = sum(file.rows for file in manifest.files)
        manifest.bytes = sum(file.bytes for file in manifest.files)
        manifest.rejected_rows += records.rejected
        if self.suppression:
            manifest.erasures = self.suppression.mark
        earlier = read_manifest(self.final)
        # the same day of another time zone has other hours, which may be quieter ones
        share = SHRINK_SHARE if earlier is None or earlier.window == manifest.window else OTHER_HOURS_SHARE
        if earlier is not None and not allow_shrink and _shrinks(earlier.rows, manifest.rows, share):
            note = f"{HELD}{manifest.rows} rows were offered at {manifest.as_of}, {earlier.rows} are landed"
            earlier.errors = [e for e in earlier.errors if not e.startswith(HELD)] + [note]
            replace_manifest(self.final, earlier)
            return Outcome(earlier, held=True, offered=manifest.rows)
        self.settle()
        return Outcome(manifest)

    def settle(self) -> None:
        """Write the manifest as it stands and swap the folder in."""
        self.manifest.rows = sum(file.rows for file in self.manifest.files)
        self.manifest.bytes = sum(file.bytes for file in self.manifest.files)
        _write_synced(self.path / NAME, self.manifest.text())
        crashpoint("landing:written")
        _swap(self.path, self.final)


def private_folder(path: Path) -> None:
    """Create a folder and its missing parents, readable by the owner only: landings hold personal data."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _shrinks(before: int, now: int, share: float) -> bool:
    return before >= SHRINK_FLOOR_ROWS and now < share * before


def _swap(new: Path, final: Path) -> None:
    retired = final.with_name(RETIRED + final.name)
    if final.exists():
        shutil.rmtree(retired, ignore_errors=True)
        final.rename(retired)
        crashpoint("landing:between_renames")
    new.rename(final)
    crashpoint("landing:renamed")
    shutil.rmtree(retired, ignore_errors=True)


def recover(stream: Path) -> None:
    """Clear away what an interrupted run left in a stream's folder.

    The swap is two renames; if a run died between them the earlier folder is put back.
    """
    for parent in [stream, *stream.glob("dt=*")]:
        for retired in parent.glob(f"{RETIRED}*"):
            final = parent / retired.name.removeprefix(RETIRED)
            if final.exists():
                shutil.rmtree(retired)
            else:
                retired.rename(final)
        for unfinished in parent.glob(f"{TEMPORARY}*"):
            shutil.rmtree(unfinished)
        for manifest in parent.glob(f"*/.{NAME}.new"):
            manifest.unlink()


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Only one process at a time pulls into `folder`; a second one waits for the first."""
    private_folder(folder)
    with (folder / ".lock").open("a") as lock:
        with contextlib.suppress(ImportError):  # Windows has no fcntl; runs are one at a time there anyway
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_manifest(folder: Path, manifest: Manifest) -> None:
    """Write another manifest into a landed folder, whole or not at all."""
    path = folder / NAME
    temporary = path.with_name(f".{path.name}.new")
    _write_synced(temporary, manifest.text())
    temporary.replace(path)


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Write the entries of a folder to disk. Files are synced one by one, before they are renamed."""
    with contextlib.suppress(OSError, AttributeError):  # folders cannot be opened for syncing everywhere
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
