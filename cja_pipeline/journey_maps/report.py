"""Build the map, draw its pages, write them so that a reader never meets half a page."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.build import build_journey_map
from cja_pipeline.journey_maps.dictionary import write_dictionary
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.page.head import file_name
from cja_pipeline.journey_maps.page.palette import DARK, LIGHT, variables
from cja_pipeline.journey_maps.page.render import POLICY, render
from cja_pipeline.journey_maps.preview import preview_png
from cja_pipeline.journey_maps.redact import clean
from cja_pipeline.journey_maps.rows import COLUMNS, read_map
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

TABLE = "journey_maps.journey_map"
PAGE, DATA, PREVIEW = "journey_map.html", "journey_map.json", "journey_map.png"
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Report:
    """What was written, and what is worth telling about it."""

    latest: Path
    archived: Path
    preview: bytes
    headline: str
    kilobytes: float
    pages: int
    rows: int
    data: pd.DataFrame


def build_report(wh: Warehouse, reports_dir: Path, run: Mapping[str, Any] | None = None) -> Report:
    """Build the map, write ``journey_maps.journey_map``, and write the pages of all groups to
    ``<reports_dir>/<day>/`` and ``<reports_dir>/latest/`` with the JSON they were made from.

    Args:
        run: as for `build_journey_map`; `previous` defaults to the newest archived map of an earlier day,
            `week` to that of seven days before or earlier.

    Raises:
        SumError: figures that must agree do not; nothing is written then.
    """
    known = dict(run or {})
    last = _last_day(wh)
    if "previous" not in known:
        known["previous"] = previous_map(reports_dir, last)
    if "week" not in known and last is not None:
        known["week"] = previous_map(reports_dir, last - dt.timedelta(days=6))
    frame = build_journey_map(wh, known)
    segments = list(dict.fromkeys(frame["segment"]))
    pages = {file_name(segment): render(frame, segment) for segment in segments}
    picture = preview_png(frame)
    wh.write(TABLE, frame)
    page = read_map(frame)
    period = page.find("header", "period")
    day = period.period_end if period and period.period_end else dt.date(1970, 1, 1)
    latest = write_report(pages, frame, reports_dir, day, preview=picture)
    write_dictionary(reports_dir, page.text("header", "language") or None)
    found = page.find("header", "headline")
    return Report(
        latest=latest,
        archived=reports_dir / day.isoformat() / PAGE,
        preview=picture,
        headline=found.label if found else "",
        kilobytes=round(len(pages[PAGE].encode()) / 1000, 1),
        pages=len(pages),
        rows=len(frame),
        data=frame,
    )


def write_report(
    html: str | Mapping[str, str],
    data: pd.DataFrame,
    reports_dir: Path,
    day: dt.date,
    *,
    preview: bytes | None = None,
) -> Path:
    """Write pages, data and preview to the day's folder and to ``latest``; returns the latest page.

    Each file is written beside its place, flushed to disk and renamed over it, so that a reader sees the old
    file or the new one. The page comes last: a new page never stands beside old data for long.
    """
    for left in reports_dir.glob("**/.*.tmp"):  # of a run that died while it wrote
        left.unlink(missing_ok=True)
    pages = {PAGE: html} if isinstance(html, str) else dict(html)
    files: dict[str, bytes] = {DATA: map_json(data)}
    if preview is not None:
        files[PREVIEW] = preview
    files |= {name: text.encode() for name, text in sorted(pages.items(), reverse=True)}
    for folder in (reports_dir / day.isoformat(), reports_dir / "latest"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if Path(name).name != name:
                raise ValueError(f"{name!r} is not a plain file name")
            write_atomically(folder / name, content)
        crashpoint("report:archived")
    write_atomically(reports_dir / "index.html", archive_page(reports_dir, data).encode())
    return reports_dir / "latest" / PAGE


def map_json(data: pd.DataFrame) -> bytes:
    """The long table as JSON: one object per row, empty cells left out, equal rows give equal bytes."""
    rows = []
    for record in data[list(COLUMNS)].to_dict("records"):
        row = {}
        for name, value in record.items():
            if value is None or value != value or value == "":
                continue
            row[name] = value.isoformat()[:10] if hasattr(value, "isoformat") else _plain(value)
        rows.append(row)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return f"[\n{lines}\n]\n".encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def read_json(content: bytes) -> pd.DataFrame:
    """The long table back from `map_json`."""
    from cja_pipeline.journey_maps.rows import to_frame

    rows = json.loads(content)
    blank = {"segment": "all", "section": "note", "stage": "", "item": "", "position": 0}
    return to_frame({**blank, **row} for row in rows)


def previous_map(reports_dir: Path, day: dt.date | None) -> pd.DataFrame | None:
    """The newest archived map of a day before `day`; None without one or if it cannot be read."""
    for name in reversed(_days(reports_dir)):
        if day is None or name < day.isoformat():
            with contextlib.suppress(OSError, ValueError, KeyError):
                return read_json((reports_dir / name / DATA).read_bytes())
    return None


def archive_page(reports_dir: Path, data: pd.DataFrame) -> str:
    """A list of all days that have a map with what was found, newest first; script-free as the map itself."""
    words = load_labels(read_map(data).text("header", "language", "en"))
    items = "".join(
        f'<li><a href="{name}/{PAGE}">{escape(words.formats.date(dt.date.fromisoformat(name)))}</a>'
        f" <bdi>{escape(_headline(reports_dir / name / DATA))}</bdi></li>"
        for name in reversed(_days(reports_dir))
    )
    title = escape(words("page.archive"))
    return (
        f'<!doctype html><html lang="{escape(words.language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>'
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
        "body{background:var(--bg);color:var(--ink);font:16px/1.7 sans-serif;max-width:40em;margin:48px auto;"
        "padding:0 20px}ul{list-style:none;padding:0}li{border-bottom:1px solid var(--line);padding:8px 0;"
        "display:flex;flex-wrap:wrap;gap:0 20px}a{color:var(--go);min-width:11em}bdi{color:var(--body);"
        "overflow-wrap:anywhere;min-width:0}</style></head>"
        f"<body><main><h1>{title}</h1><ul>{items}</ul></main></body></html>\n"
    )


def _headline(path: Path) -> str:
    """What a map found; its rows stand one per line, the header first."""
    with contextlib.suppress(OSError, ValueError), path.open(encoding="utf-8") as lines:
        for line in lines:
            if '"item": "headline"' in line:
                return clean(str(json.loads(line.rstrip(",\n")).get("label", "")), 120)
    return ""


def _days(reports_dir: Path) -> list[str]:
    """Folders of days that hold a page, oldest first."""
    if not reports_dir.is_dir():
        return []
    return sorted(
        entry.name for entry in reports_dir.iterdir() if _DAY.match(entry.name) and (entry / DATA).exists()
    )


def _last_day(wh: Warehouse) -> dt.date | None:
    for table in ("config.params", "config.journey_params"):
        if wh.exists(table):
            found = wh.scalar(f"SELECT last_day FROM {table}")
            return found if isinstance(found, dt.date) else None
    return None
