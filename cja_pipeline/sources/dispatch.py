"""Pull one source: choose its connector, make its client, land all its streams."""

from __future__ import annotations

import datetime as dt
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from cja_pipeline.config import ConfigError, shop
from cja_pipeline.sources.client import Limits, VendorClient
from cja_pipeline.sources.context import Pull
from cja_pipeline.sources.errors import AuthError, PullError, QuotaExhausted, ShrunkError, SourceError
from cja_pipeline.sources.landing import exclusive, recover, sync_folder
from cja_pipeline.sources.registry import SourceConfig
from cja_pipeline.sources.reports import OnProgress, PullReport
from cja_pipeline.sources.window import Window, Zone, zone_of

if TYPE_CHECKING:
    from cja_pipeline.privacy.suppress import Suppression

# what an answer of a shape that nobody thought of makes of our reading: told like other faults of the vendor
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def pull(
    source: SourceConfig,
    window: Window,
    as_of: dt.datetime,
    landing: Path,
    *,
    world: Path | None = None,
    on_progress: OnProgress | None = None,
    time_zone: Zone | None = None,
    transport: httpx.BaseTransport | None = None,
    limits: Limits | None = None,
    suppression: Suppression | None = None,
) -> list[PullReport]:
    """Land what `source` knows at the logical time `as_of` (aware) about the business days of `window`.

    Trailing days are restated as the source's entry says; days are those of `time_zone` (default: the
    shop's). `world` is the simulated world's folder, needed for ``mock://`` sources only; `transport`
    replaces the network; `suppression` keeps erased people out. The same arguments and vendor state give the
    same bytes in `landing`.

    Returns one report per stream. Raises, after landing what could be landed: ShrunkError if days were held
    back because far fewer rows were offered, PullError if streams failed; at once AuthError, QuotaExhausted,
    SourceError if the landing cannot be written, and ConfigError for a token that is not set.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone; a naive time is ambiguous")
    as_of = as_of.astimezone(dt.UTC).replace(microsecond=0)
    connector: Any = import_module(f"cja_pipeline.sources.{source.kind}")
    zone = zone_of(time_zone if time_zone is not None else shop().time_zone)
    label = _label(source)
    reports: list[PullReport] = []
    failures: list[str] = []
    passing = False
    with (
        exclusive(landing / source.kind),
        _client(source, connector, as_of, world, transport, limits) as client,
    ):
        job = Pull(source, window, as_of, landing, zone, client, on_progress, suppression)
        for stream in connector.STREAMS:
            recover(job.stream_folder(stream))
            try:
                reports.append(connector.pull_stream(job, stream))
                sync_folder(job.stream_folder(stream))
            except (AuthError, ConfigError, QuotaExhausted):
                raise
            except OSError as error:
                cause = error.strerror or type(error).__name__
                raise SourceError(f"{label}: {stream}: cannot write below {landing}: {cause}") from error
            except SourceError as error:
                passing = passing or error.passing
                failures.append(f"{stream}: {str(error).removeprefix(f'{label}: ')}")
            except UNREADABLE as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
                failures.append(f"{stream}: an answer of the vendor could not be read ({where})")
    shrunk = [f"{report.stream}: {text}" for report in reports for text in report.held.values()]
    if failures:
        raise PullError(f"{label}: {'; '.join(failures + shrunk)}", reports, passing=passing)
    if shrunk and not _appends(source):
        raise ShrunkError(
            f"{label}: {'; '.join(shrunk)}. If the vendor's figures are right, list the days under "
            "allow_shrink in the source's entry of sources.yml and pull again."
        )
    return reports


def _label(source: SourceConfig) -> str:
    return f"{source.name or source.kind} ({source.kind})"


def _appends(source: SourceConfig) -> bool:
    """Whether a repeated run may find fewer rows because records have changed since: then nothing is lost
    by keeping the first landing, the newer versions come with the next run."""
    return source.kind == "hubspot"


def _client(
    source: SourceConfig,
    connector: Any,
    as_of: dt.datetime,
    world: Path | None,
    transport: httpx.BaseTransport | None,
    limits: Limits | None,
) -> VendorClient:
    label, base_url = _label(source), source.base_url
    if source.is_mock:
        if transport is None:
            if world is None:
                raise SourceError(f"{label}: {base_url} needs a simulated world, and none was given")
            from cja_pipeline.simulator.mocks import transport as mock_transport

            transport = mock_transport(base_url, world, as_of)
        base_url = urlunsplit(urlsplit(base_url)._replace(query=""))
    return VendorClient(
        base_url,
        name=label,
        token=source.read_token,
        auth=connector.auth,
        headers=connector.headers(source) | source.request_headers(as_of),
        transport=transport,
        limits=limits,
        requests_per_second=None if source.is_local else source.requests_per_second,
        public_only=source.public_only,
    )
