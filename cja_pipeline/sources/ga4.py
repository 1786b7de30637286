"""Google Analytics 4: the daily files of the BigQuery export, landed byte for byte.

A day's files appear the morning after and are rewritten for up to three days as late events arrive. A file
whose MD5 is already landed is not fetched again. A day without files is reported as missing: no folder, which
is not the same as a day without events.
"""

from __future__ import annotations

import datetime as dt
import gzip
import os
import shutil
import zlib
from pathlib import Path

from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import AuthError, QuotaExhausted, UnavailableError, VendorError
from cja_pipeline.sources.ga4_store import BucketStore, FolderStore, Store, StoredObject
from cja_pipeline.sources.landing import REJECTED, SHRINK_FLOOR_ROWS, Folder
from cja_pipeline.sources.manifest import LandedFile, Manifest, read_manifest, sha256_of
from cja_pipeline.sources.registry import Ga4Source
from cja_pipeline.sources.reports import PullReport

STREAMS = ("events",)
SUFFIXES = {".parquet": ".parquet", ".jsonl.gz": ".jsonl.gz", ".json.gz": ".jsonl.gz"}
LISTINGS = 2
MAX_EXPANSION = 250
CHUNK = 1024 * 1024


def auth(token: str) -> dict[str, str]:
    """An OAuth access token with read access to the bucket."""
    return {"Authorization": f"Bearer {token}"}


def headers(source: Ga4Source) -> dict[str, str]:
    """Cloud Storage needs no further headers; files are wanted as they are, not compressed once more."""
    return {"Accept-Encoding": "identity"}


def pull_stream(pull: Pull[Ga4Source], stream: str) -> PullReport:
    """Land the exported files of every day of the restated window.

    A day that fails does not keep the others from being landed; all failures are raised together at the end.
    """
    source, report = pull.source, pull.report(stream)
    store: Store = (
        FolderStore(source.base_url, source.bucket)
        if source.base_url.startswith("file:")
        else BucketStore(pull.client, source.bucket, source.api_version)
    )
    failures: list[str] = []
    passing = False
    for day in pull.restated(stream).days():
        try:
            _land_day(pull, store, stream, day, report)
        except (AuthError, QuotaExhausted):
            raise
        except VendorError as error:
            passing = passing or error.passing
            failures.append(f"{day}: {error}")
    if failures:
        raise (UnavailableError if passing else VendorError)("; ".join(failures))
    return report


def _land_day(pull: Pull[Ga4Source], store: Store, stream: str, day: dt.date, report: PullReport) -> None:
    for listing in range(1, LISTINGS + 1):
        with pull.day_folder(stream, day) as folder:
            try:
                with pull.counted(folder):
                    objects = store.objects(f"{pull.source.prefix}events_{day:%Y%m%d}")
                    if not objects:
                        _missing(pull, folder.final, day, report)
                        return
                    report.unchanged_files += _fetch_all(store, objects, folder)
            except (AuthError, QuotaExhausted):
                raise
            except VendorError:
                if listing == LISTINGS:
                    raise
                continue  # the day may have been rewritten between listing and fetching: list it again
            pull.finish(report, folder)
            return


def _missing(pull: Pull[Ga4Source], final: Path, day: dt.date, report: PullReport) -> None:
    report.missing.append(day)
    landed = read_manifest(final)
    if landed is not None and landed.rows >= SHRINK_FLOOR_ROWS and not pull.source.may_shrink(day):
        report.held[day] = f"{day} is no longer offered; the {landed.rows} landed rows were kept"


def _fetch_all(store: Store, objects: list[StoredObject], folder: Folder) -> int:
    """Bring all objects into the folder; return how many were already landed and did not change."""
    earlier, unchanged = read_manifest(folder.final), 0
    for index, item in enumerate(objects):
        suffix = next((new for old, new in SUFFIXES.items() if item.name.endswith(old)), None)
        if suffix is None:
            raise VendorError(f"{item.name}: expected an export as .parquet or gzip-compressed .json(l).gz")
        target = folder.path / f"part-{index:03d}{suffix}"
        folder.manifest.pages += 1
        if (known := _landed(earlier, item)) and _reuse(folder.final / known.name, target, known):
            unchanged += 1
            origin = (known.source or {}) | item.identity()
            file = LandedFile(target.name, known.sha256, known.rows, known.bytes, origin)
            _add(folder, _without_erased(folder, target, file, earlier))
            continue
        digest = store.fetch(item, target)
        _sync(target)
        try:
            rows = count_rows(target)
        except ValueError as error:
            if store.unfinished(item):
                raise UnavailableError(f"{item.name}: {error}; it is still being written") from None
            _put_aside(folder, target, item, f"{item.name}: {error}")
        else:
            file = LandedFile(target.name, digest, rows, item.size, item.identity())
            _add(folder, _without_erased(folder, target, file))
    return unchanged


def _add(folder: Folder, file: LandedFile) -> None:
    folder.add_file(file)
    folder.manifest.erased_rows += file.erased


def _without_erased(
    folder: Folder, path: Path, file: LandedFile, earlier: Manifest | None = None
) -> LandedFile:
    """The file as it may be landed; one that was landed clear of the same erasures needs no second look."""
    suppression = folder.suppression
    if not suppression:
        return file
    if earlier is not None and earlier.erasures == suppression.mark:
        return file
    from cja_pipeline.privacy.sweep import filtered

    cleared = path.with_name(f"cleared-{path.name}")
    stream = f"{folder.manifest.vendor}/{folder.manifest.stream}"
    found = filtered(path, cleared, file, stream, suppression)
    if found is None:
        return file
    cleared.replace(path)
    return found


def _landed(earlier: Manifest | None, item: StoredObject) -> LandedFile | None:
    """The landed copy of this version of the object: same name, size and MD5 (without one, generation)."""
    for file in earlier.files if earlier else []:
        source = file.source or {}
        same = source.get("md5") == item.md5 if item.md5 else source.get("generation") == item.generation
        size = int(source.get("size", file.bytes))  # a file cleared of erased people is smaller
        if source.get("name") == item.name and size == item.size and same:
            return file
    return None


def _reuse(landed: Path, target: Path, known: LandedFile) -> bool:
    try:
        if landed.stat().st_size != known.bytes or sha256_of(landed) != known.sha256:
            return False
        try:
            os.link(landed, target)
        except OSError:  # no hard links on this file system
            shutil.copyfile(landed, target)
    except OSError:
        return False
    return True


def count_rows(path: Path) -> int:
    """Rows of an exported file, without reading its values: Parquet metadata, or lines of JSON.

    Raises ValueError with the reason for a file that is empty, cut off, damaged or expands without measure.
    """
    if path.stat().st_size == 0:
        raise ValueError("the file is empty (0 bytes)")
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        try:
            return parquet.read_metadata(path).num_rows
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"no readable Parquet file ({type(error).__name__})") from None
    return _count_lines(path)


def _count_lines(path: Path) -> int:
    limit = max(MAX_EXPANSION * path.stat().st_size, CHUNK)
    lines, length, last = 0, 0, b"\n"
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                lines += chunk.count(b"\n")
                length += len(chunk)
                last = chunk[-1:]
                if length > limit:
                    raise ValueError(f"the file expands more than {MAX_EXPANSION}-fold")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"cut off or damaged gzip file ({type(error).__name__})") from None
    return lines + (last != b"\n")


def _put_aside(folder: Folder, file: Path, item: StoredObject, reason: str) -> None:
    """Keep an unreadable file, as received, in ``rejected/``; it counts as one rejected row. One that names
    an erased person is not kept."""
    if folder.suppression:
        from cja_pipeline.privacy.suppress import text_of

        if folder.suppression.in_text(text_of(file)):
            file.unlink()
            folder.manifest.erased_rows += 1
            return
    folder.reject(f"{item.name} (kept as rejected/{file.name})", reason)
    file.rename(folder.path / REJECTED / file.name)
    folder.manifest.errors.append(f"unreadable file put aside: {reason}")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
