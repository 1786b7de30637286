"""Build a world on disk: live it, write what each vendor will offer, write the truth beside it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .ads import insight_versions
from .calendar import Calendar
from .columns import NEVER
from .config import WorldConfig, world_config
from .crm_contacts import known_since, make_contacts
from .crm_damage import damaged
from .crm_orders import crm_times, order_versions
from .crm_service import survey_versions, ticket_versions
from .email_rows import event_rows, event_texts
from .files import COMMENTS, write, write_email, write_versions
from .ga4_format import Formatter
from .ga4_store import write_objects
from .ga4_strings import Vocabulary
from .identity import Identities
from .life import Life, live, order_numbers
from .social import comments, posts
from .tracking import measure
from .truth import Emitted, write_truth

FORMAT = 5  # raised when the meaning of the files changes


@dataclass(frozen=True)
class WorldManifest:
    """What a world is: the arguments it was built from, and the days it covers (inclusive)."""

    start: dt.date
    end: dt.date
    horizon_end: dt.date
    customers: int
    days: int
    horizon_days: int
    seed: int
    time_zone: str
    currency: str
    config_hash: str
    numpy_version: str
    format: int = FORMAT

    def text(self) -> str:
        """As JSON, the content of ``manifest.json``."""
        return json.dumps(asdict(self), indent=1, default=str) + "\n"

    @staticmethod
    def read(path: Path) -> WorldManifest:
        """The manifest in a file."""
        found = json.loads(path.read_text())
        for name in ("start", "end", "horizon_end"):
            found[name] = dt.date.fromisoformat(found[name])
        return WorldManifest(**found)


def build_world(
    folder: Path,
    *,
    customers: int = 20_000,
    days: int = 90,
    seed: int = 7,
    start: dt.date,
    horizon_days: int = 14,
    time_zone: str = "Europe/Berlin",
    currency: str = "EUR",
    config: WorldConfig | None = None,
    progress: Callable[[str], None] | None = None,
) -> WorldManifest:
    """Build the world in `folder` unless exactly this world is already there.

    `start` is the first business day; history lasts `days`, then events go on for `horizon_days` so that
    later nights find data. `progress(line)` is called with a line of text after each step. Equal arguments
    give equal files. Raises ValueError for what cannot be simulated, FileExistsError where other files are.
    """
    if customers < 20 or days < 2 or horizon_days < 0:
        raise ValueError("a world needs at least 20 customers and 2 days, and a horizon of 0 days or more")
    config = config or world_config()
    if currency not in config.exchange_rates:
        raise ValueError(f"the world has no rate for {currency}; it knows {', '.join(config.exchange_rates)}")
    end = start + dt.timedelta(days=days - 1)
    manifest = WorldManifest(
        start=start,
        end=end,
        horizon_end=end + dt.timedelta(days=horizon_days),
        customers=customers,
        days=days,
        horizon_days=horizon_days,
        seed=seed,
        time_zone=time_zone,
        currency=currency,
        config_hash=config.fingerprint,
        numpy_version=np.__version__,
    )
    path = folder / "manifest.json"
    if path.exists() and path.read_text() == manifest.text():
        return manifest
    if folder.exists() and not path.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds other files; a world needs a folder of its own")
    temporary = folder.with_name(folder.name + ".building")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    clock = time.perf_counter()

    def report(step: str, rows: int) -> None:
        nonlocal clock
        if progress:
            progress(f"{step}: {rows:,} rows, {time.perf_counter() - clock:.1f} s")
        clock = time.perf_counter()

    calendar = Calendar(config, start, days, horizon_days, time_zone)
    life = live(config, calendar, seed, customers, currency)
    report("people and visits", len(life.visits["ts"]))
    emitted = _vendors(life, temporary, report)
    write_truth(life, emitted, temporary / "truth")
    report("truth", len(life.orders["at"]))
    (temporary / "manifest.json").write_text(manifest.text())
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)
    return manifest


def _vendors(life: Life, folder: Path, report: Callable[[str, int], None]) -> Emitted:
    vocabulary = Vocabulary(life)
    measured = measure(life)
    index = write_objects(life, measured, Formatter(life, vocabulary), folder / "ga4")
    report("web analytics", int(np.sum(index["rows"].to_numpy())))
    numbers, crm_at, since = order_numbers(life), crm_times(life), known_since(life)
    buyers = life.orders["person"][life.orders["person"] >= 0]
    needed = np.unique(
        np.r_[np.flatnonzero(since < NEVER), buyers, life.email["person"], life.surveys["person"]]
    )
    identities = Identities(life, needed)
    contacts = make_contacts(life, identities, since, crm_at)
    versions: dict[str, list[dict[str, Any]]] = {"contacts": contacts.versions}
    versions["orders"], order_ids = order_versions(life, identities, contacts, numbers, crm_at)
    versions["tickets"] = ticket_versions(life, contacts)
    versions["feedback_submissions"] = survey_versions(life, identities, contacts, numbers)
    broken = {stream: damaged(life, stream, rows) for stream, rows in versions.items()}
    for stream, rows in versions.items():
        rows += [version for _, version in broken[stream]]
        write_versions(rows, folder / "hubspot" / f"{stream}.parquet")
    merges = [{"loser": a, "winner": b, "visible_from": at} for a, b, at in contacts.merges]
    schema = pa.schema({"loser": pa.string(), "winner": pa.string(), "visible_from": pa.int64()})
    write(pa.Table.from_pylist(merges, schema), folder / "hubspot" / "merges.parquet")
    report("customer records", sum(len(rows) for rows in versions.values()))
    mail_rows = event_rows(life)
    ids, texts = event_texts(life, identities, mail_rows)
    write_email(life, identities, mail_rows, ids, texts, folder / "klaviyo")
    report("e-mail", len(ids))
    insights, page_posts = insight_versions(life), posts(life)
    remarks = comments(life, identities, page_posts)
    insights.sort(key=lambda row: (row["visible_from"], row["ad_id"], row["day"]))
    write(pa.Table.from_pylist(insights), folder / "meta" / "insights.parquet")
    write(pa.Table.from_pylist(page_posts), folder / "meta" / "posts.parquet")
    hidden = {"topic", "feeling", "language"}
    public = [
        {k: v for k, v in row.items() if k not in hidden}
        for row in sorted(remarks, key=lambda r: (r["visible_from"], r["id"]))
    ]
    write(pa.Table.from_pylist(public, COMMENTS), folder / "meta" / "comments.parquet")
    report("social", len(insights) + len(remarks))
    return Emitted(
        vocabulary,
        measured,
        index,
        numbers,
        crm_at,
        order_ids,
        identities,
        contacts,
        versions,
        broken,
        mail_rows,
        ids,
        insights,
        page_posts,
        remarks,
    )
