"""What is written: whole files, the data beside them, an archive, the picture, the scorecard."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cja_pipeline.journey_maps import atomic as module
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.journey_maps.preview import preview_png
from cja_pipeline.journey_maps.report import (
    archive_page,
    map_json,
    previous_map,
    read_json,
    write_report,
)
from cja_pipeline.journey_maps.rows import read_map
from cja_pipeline.journey_maps.scorecard import scorecard_markdown
from cja_pipeline_tests.journey_maps.example import END, example
from cja_pipeline_tests.journey_maps.hostile import TEXTS, hostile


def test_pages_data_and_archive_are_written(tmp_path: Path) -> None:
    html = render(example())
    latest = write_report(
        {"journey_map.html": html, "journey_map_new.html": "x"}, example(), tmp_path, END, preview=b"p"
    )
    assert latest == tmp_path / "latest" / "journey_map.html"
    for folder in ("latest", "2026-11-20"):
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["journey_map.html", "journey_map.json", "journey_map.png", "journey_map_new.html"]
        assert (tmp_path / folder / "journey_map.html").read_text(encoding="utf-8") == html
    write_report(html, example(), tmp_path, END + dt.timedelta(days=1))
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert index.index("2026-11-21/journey_map.html") < index.index("2026-11-20/journey_map.html")
    assert "<script" not in index
    assert index.count("A third of carts are left when delivery cost appears") == 2
    write_report("x", hostile(), tmp_path, END + dt.timedelta(days=2))
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "2026-11-22" in index
    assert not any(tag in index for tag in ("<script", "<img", "<svg", "<iframe"))


def test_the_page_can_be_made_again_from_the_data_beside_it(tmp_path: Path) -> None:
    write_report(render(example()), example(), tmp_path, END)
    again = read_json((tmp_path / "latest" / "journey_map.json").read_bytes())
    assert render(again) == render(example())
    assert map_json(again) == map_json(example())
    for row in json.loads(map_json(example())):
        assert None not in row.values()


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "journey_map.html"
    write_atomically(target, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["journey_map.html"]


def test_file_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        write_report({"../evil.html": "x"}, example(), tmp_path, END)


def test_the_map_before_is_the_newest_of_an_earlier_day(tmp_path: Path) -> None:
    assert previous_map(tmp_path, END) is None
    for day in (END - dt.timedelta(days=7), END - dt.timedelta(days=1), END):
        write_report("x", example(), tmp_path, day)
    (tmp_path / "not-a-day").mkdir()
    (tmp_path / "2026-11-18").mkdir()
    found = previous_map(tmp_path, END)
    assert found is not None
    assert read_map(found).find("header", "headline") is not None
    (tmp_path / (END - dt.timedelta(days=1)).isoformat() / "journey_map.json").write_text("{broken")
    assert previous_map(tmp_path, END - dt.timedelta(days=0)) is not None
    assert "2026-11-13" in archive_page(tmp_path, example())


@pytest.mark.parametrize(
    "frame", [example(), hostile(), example().head(0)], ids=["example", "hostile", "empty"]
)
def test_the_picture_is_small_and_always_the_same(frame: pd.DataFrame) -> None:
    picture = preview_png(frame)
    assert picture == preview_png(frame)
    assert len(picture) <= 150_000
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG"
    assert image.width == 640
    assert 100 < image.height < 640


def scorecard(series: str = "") -> pd.DataFrame:
    rows = []
    for row in read_map(example()).section("kpi"):
        rows.append(
            {
                "kpi_id": row.item,
                "label": row.item,
                "value": row.value,
                "previous": row.previous,
                "target": row.target,
                "unit": row.unit,
                "currency": row.currency or None,
                "status": row.status,
                "series": series or json.dumps(row.parts()["points"]),
            }
        )
    return pd.DataFrame(rows)


def test_the_scorecard_fits_inline_and_has_pictures() -> None:
    text = scorecard_markdown(scorecard())
    assert len(text) < 1_000
    lines = text.splitlines()
    assert len(lines) == 2 + 6
    assert len({line.replace("](", "").count("|") for line in lines}) == 1
    assert text.count("data:image/svg+xml,") >= 3
    assert "**2.94%**" in text
    assert "✗ Repeat purchase rate" in text


@pytest.mark.parametrize("count", [0, 1, 6, 12])
@pytest.mark.parametrize("attack", TEXTS[:9])
def test_any_scorecard_fits_and_holds_no_markup(count: int, attack: str) -> None:
    frame = pd.concat([scorecard()] * 2, ignore_index=True).head(count)
    frame["label"] = frame["kpi_id"] = attack
    frame["currency"] = attack
    text = scorecard_markdown(frame)
    assert len(text) < 1_000
    assert "<" not in text
    assert text.count("(") == text.count("![](data:image/svg+xml,")


def test_a_scorecard_without_figures_says_so() -> None:
    frame = scorecard("[]").assign(value=float("nan"), previous=float("nan"), target=float("nan"))
    text = scorecard_markdown(frame)
    assert "nan" not in text
    assert "–" in text
