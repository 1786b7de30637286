"""What can go wrong while data is fetched. Messages never hold tokens or personal data."""

from __future__ import annotations


class SourceError(RuntimeError):
    """A source could not be pulled; the message names source, stream and cause.

    `passing` says whether the same pull may succeed in a while without anybody doing anything.
    """

    passing = False


class VendorError(SourceError):
    """The vendor refused a request, or kept answering with something unusable."""


class UnavailableError(VendorError):
    """The vendor kept failing in ways that pass: it is down, overloaded, or the network is."""

    passing = True


class AuthError(VendorError):
    """The vendor refused the token (HTTP 401 or its equivalent), also after it was read again."""


class QuotaExhausted(VendorError):
    """A daily quota is used up, or the vendor asks for a longer wait than a run may take."""


class PagingError(VendorError):
    """Pages repeat without end, or a listing holds fewer records than it announced."""

    passing = True


class ShrunkError(SourceError):
    """The vendor offers far fewer rows than were landed before; the landed files were kept."""


class PullError(SourceError):
    """Some streams of a source failed; the others were landed. `reports` are those of the good streams."""

    def __init__(self, message: str, reports: list, *, passing: bool = False) -> None:
        super().__init__(message)
        self.reports, self.passing = reports, passing


class Transient(Exception):
    """One attempt failed in a way that may pass; the client tries again.

    `retry_after` is the wait in seconds that the vendor asked for.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
