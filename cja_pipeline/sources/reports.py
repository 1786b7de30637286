"""What a pull tells its caller."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """One step of a pull: rows landed so far for a stream, and the day or file just finished."""

    vendor: str
    stream: str
    rows: int
    detail: str


OnProgress = Callable[[Progress], None]


@dataclass
class PullReport:
    """The outcome for one stream.

    `rows`, `duplicate_rows`, `rejected_rows`, `pages`, `bytes` and `retries` add up the folders landed by
    this pull (files kept because the vendor's are unchanged count as landed). `landed` are their days,
    `missing` the days the vendor does not offer, `held` the days whose earlier files were kept because far
    fewer rows were offered, each with a sentence; their landed rows are counted. `errors` are sentences
    about unreadable input, without personal data. `deleted` are ids of records that the vendor deleted for
    good and that were landed before.
    """

    vendor: str
    stream: str
    as_of: dt.datetime
    rows: int = 0
    duplicate_rows: int = 0
    rejected_rows: int = 0
    pages: int = 0
    bytes: int = 0
    retries: int = 0
    unchanged_files: int = 0
    landed: list[dt.date] = field(default_factory=list)
    missing: list[dt.date] = field(default_factory=list)
    held: dict[dt.date, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list, repr=False)
