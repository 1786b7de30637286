"""What a connector works with during one pull."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from cja_pipeline.sources.client import VendorClient
from cja_pipeline.sources.landing import Folder, Outcome
from cja_pipeline.sources.manifest import Manifest, covers, read_manifest
from cja_pipeline.sources.registry import SourceConfig
from cja_pipeline.sources.reports import OnProgress, Progress, PullReport
from cja_pipeline.sources.window import Window, edges, utc_stamp, utc_text

if TYPE_CHECKING:
    from cja_pipeline.privacy.suppress import Suppression

Config = TypeVar("Config", bound=SourceConfig)
# A gap this old is history that nobody has asked for, not an outage.
CATCH_UP_DAYS = 35


@dataclass
class Pull(Generic[Config]):
    """One pull of one source: its configuration, the days, the logical time, the landing and the client."""

    source: Config
    window: Window
    as_of: dt.datetime
    landing: Path
    zone: dt.tzinfo
    client: VendorClient
    on_progress: OnProgress | None = None
    suppression: Suppression | None = None

    @property
    def vendor(self) -> str:
        return self.source.kind

    def stream_folder(self, stream: str) -> Path:
        return self.landing / self.vendor / stream

    def report(self, stream: str) -> PullReport:
        return PullReport(self.vendor, stream, self.as_of)

    def restated(self, stream: str) -> Window:
        """The window plus the trailing days that the vendor may still have changed.

        They are counted from the first day that is not landed, where nights before the window failed: what
        those nights would have fetched again is fetched now. Days before the first landed one are left
        alone, there is nothing to restate, and so are gaps older than `CATCH_UP_DAYS`. After a change of the
        shop's time zone everything that was landed under another one is fetched again, however old: where
        days of two zones meet, hours would be missing or there twice.
        """
        folders = self.stream_folder(stream).glob("dt=????-??-??")
        landed = {dt.date.fromisoformat(path.name.removeprefix("dt=")) for path in folders}
        if not landed:
            return self.window
        start = max(min(landed), self.window.start - dt.timedelta(days=CATCH_UP_DAYS))
        while start < self.window.start and start in landed:
            start += dt.timedelta(days=1)
        start = max(min(landed), start - dt.timedelta(days=self.source.restate_days))
        return Window(min([start, self.window.start, *self._of_other_zones(stream, landed)]), self.window.end)

    def _of_other_zones(self, stream: str, landed: set[dt.date]) -> list[dt.date]:
        """Landed days that are not those of the shop's time zone of today.

        The ends of what is landed tell whether there are any: what was cut off while it fetched everything
        again has come as far as some day between them.
        """
        ends = {min(landed), max(landed)}
        if not self.source.days_of_shop or not any(self._is_of_other_zone(stream, day) for day in ends):
            return []
        return [day for day in landed if self._is_of_other_zone(stream, day)]

    def _is_of_other_zone(self, stream: str, day: dt.date) -> bool:
        manifest = read_manifest(self._final(stream, day))
        return manifest is not None and not covers(manifest, day, self.zone)

    def _final(self, stream: str, day: dt.date) -> Path:
        return self.stream_folder(stream) / f"dt={day}"

    def day_folder(self, stream: str, day: dt.date) -> Folder:
        """A folder to build that replaces what is landed of `day`."""
        return Folder(
            self._final(stream, day), self._manifest(stream, day, *edges(day, self.zone)), self.suppression
        )

    def run_folder(self, stream: str, start: dt.datetime) -> Folder:
        """A folder to build for the changes from `start` to the logical time, added to the earlier ones."""
        day = self.window.end
        final = self._final(stream, day) / f"run={utc_stamp(self.as_of)}"
        return Folder(final, self._manifest(stream, day, start, self.as_of), self.suppression)

    def _manifest(self, stream: str, day: dt.date, start: dt.datetime, end: dt.datetime) -> Manifest:
        return Manifest(
            vendor=self.vendor,
            stream=stream,
            dt=day.isoformat(),
            window={"start": utc_text(start), "end": utc_text(end)},
            as_of=utc_text(self.as_of),
            api_version=self.source.api_version,
        )

    @contextmanager
    def counted(self, folder: Folder) -> Iterator[None]:
        """Book the retries that happen inside to `folder`."""
        before = self.client.retries
        try:
            yield
        finally:
            folder.manifest.retries += self.client.retries - before

    def tell(self, stream: str, rows: int, detail: str) -> None:
        """Report progress to whoever listens."""
        if self.on_progress is not None:
            self.on_progress(Progress(self.vendor, stream, rows, detail))

    def finish(self, report: PullReport, folder: Folder) -> Outcome:
        """Put the folder in place and book it in the report."""
        day = dt.date.fromisoformat(folder.manifest.dt)
        outcome = folder.commit(allow_shrink=self.source.may_shrink(day))
        if outcome.held:
            report.held[day] = (
                f"{day} offers {outcome.offered} rows where {outcome.manifest.rows} are landed; "
                "the landed files were kept"
            )
        else:
            report.landed.append(day)
            report.errors += outcome.manifest.errors
        manifest = outcome.manifest
        report.rows += manifest.rows
        report.duplicate_rows += manifest.duplicate_rows
        report.rejected_rows += manifest.rejected_rows
        report.pages += manifest.pages
        report.bytes += manifest.bytes
        report.retries += manifest.retries
        self.tell(report.stream, report.rows, str(day))
        return outcome
