"""The page: equal bytes, no script, no request, bounded size, readable colours, honest gaps."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.journey_maps.page import palette
from cja_pipeline.journey_maps.page.render import LIMIT_BYTES, render
from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline_tests.journey_maps.example import END, START, example
from cja_pipeline_tests.journey_maps.golden import FILE, digests
from cja_pipeline_tests.journey_maps.hostile import hostile


class Reader(HTMLParser):
    """Collects elements and attributes, and checks that every element is closed."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return render(example())


def empty(segment: str = "all") -> pd.DataFrame:
    rows = Rows(segment, START, END)
    rows.add("header", "period")
    return rows.frame()


def test_equal_rows_give_equal_bytes_in_any_order(page: str) -> None:
    shuffled = example().sample(frac=1, random_state=3)
    shuffled["note"] = "an extra column changes nothing"
    digests = {
        hashlib.sha256(text.encode()).hexdigest() for text in (page, render(example()), render(shuffled))
    }
    assert len(digests) == 1


def test_the_bytes_are_the_golden_ones() -> None:
    # a wanted change: python -m cja_pipeline_tests.journey_maps.golden
    assert digests() == json.loads(FILE.read_text(encoding="utf-8"))


def test_the_bytes_do_not_depend_on_the_process() -> None:
    command = [sys.executable, "-c", "from cja_pipeline_tests.journey_maps.golden import *; print(digests())"]
    here = Path(__file__).parents[2]
    changed = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONPATH": str(here)}
    environment = {**os.environ, **changed}
    result = subprocess.run(command, env=environment, cwd=here, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(digests())


@pytest.mark.parametrize("frame", [example(), hostile(), empty()], ids=["example", "hostile", "empty"])
def test_the_page_is_well_formed_and_asks_for_nothing(frame: pd.DataFrame) -> None:
    html = render(frame)
    reader = Reader(html)
    assert not reader.stack
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "audio", "video"}
    for tag, attributes in reader.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")
        ]
        if "href" in attributes:
            target = str(attributes["href"])
            assert target.startswith("#") or re.fullmatch(
                r"(\.\./)?(latest/)?[a-z_0-9-]+\.(html|json)(#kpi\.\w+)?", target
            ), (
                tag,
                target,
            )
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style.replace("url(#", "")
    assert "@import" not in style
    assert "http" not in style
    policy = next(
        a["content"] for t, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script-src" not in policy


def test_text_from_data_is_never_markup() -> None:
    html = render(hostile())
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7*7 }}" in html  # shown as it is, not evaluated
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", html)


@pytest.mark.parametrize("frame", [example(), hostile()], ids=["example", "hostile"])
def test_the_page_stays_small(frame: pd.DataFrame) -> None:
    assert len(render(frame).encode()) < LIMIT_BYTES


def test_a_flood_of_rows_is_bounded() -> None:
    frame = example()
    flood = frame[
        frame["section"].isin(["friction", "pain", "cohort", "value", "opportunity", "emotion", "kpi"])
    ]
    assert len(render(pd.concat([frame] + [flood] * 100)).encode()) < LIMIT_BYTES


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_every_text_has_enough_contrast(theme: dict[str, str], page: str) -> None:
    for text, ground in palette.TEXT_PAIRS:
        assert f"--{text}:{theme[text]};" in page
        assert palette.contrast(theme[text], theme[ground]) >= 4.5, (text, ground)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_both_themes_define_the_same_colours_and_the_styles_use_no_other(page: str) -> None:
    assert set(palette.LIGHT) == set(palette.DARK)
    style = page[page.index("<style>") : page.index("</style>")]
    used = set(re.findall(r"var\(--([\w-]+)\)", style))
    assert used <= set(palette.LIGHT)
    outside = re.sub(r"--[\w-]+:#[0-9a-f]+", "", style)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?!\w)", outside.replace("url(#", ""))


def test_every_drawing_has_a_table_and_every_figure_of_it_is_text(page: str) -> None:
    assert page.count("<details") >= 7
    for figure in ("48,210", "18,370", "5,401", "2,225", "414", "84", "118", "+62", "−48"):
        assert figure in page


def test_roles_and_names_for_screen_readers(page: str) -> None:
    reader = Reader(page)
    roles = [attributes.get("role") for _, attributes in reader.elements]
    assert roles.count("row") == 7
    assert roles.count("rowheader") == 7
    assert roles.count("columnheader") == len(STAGES)
    assert roles.count("cell") == 6 * len(STAGES)
    ids = {attributes["id"] for _, attributes in reader.elements if "id" in attributes}
    for _, attributes in reader.elements:
        for reference in str(attributes.get("aria-labelledby") or "").split():
            assert reference in ids
    scrolls = [
        a for _, a in reader.elements if str(a.get("class", "")).split()[:1] in (["scroll"], ["map-scroll"])
    ]
    assert scrolls
    assert all(
        a.get("tabindex") == "0" and a.get("role") == "region" and a.get("aria-label") for a in scrolls
    )
    headings = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_an_empty_map_says_so_and_invents_nothing() -> None:
    html = render(empty())
    assert "Not enough data for a finding yet" in html
    assert "Not enough data" in html
    body = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S)
    figures = {text.rstrip(".,") for text in re.findall(r"(?<![\w.,#-])\d[\d.,]*", body)}
    assert figures <= {"24", "20", "2026", "28", "95", "100", "−100", "30", "12", "0.1.0"}, figures


def test_a_group_without_rows_is_an_empty_page() -> None:
    assert "Not enough data" in render(example(), "nobody")


def test_one_customer_is_not_shown() -> None:
    rows = Rows("all", START, END)
    for stage in STAGES:
        for item in ("reached", "go_on", "open", "leave"):
            rows.add("volume", item, stage=stage, status="suppressed")
    html = render(rows.frame())
    assert html.count("Fewer than 20") >= 5


def test_missing_figures_are_gaps_not_zeros() -> None:
    frame = example()
    for column in ("value", "low", "high", "share", "target", "previous"):
        frame[column] = float("nan")
    frame["n"] = pd.NA
    html = render(frame)
    assert "NaN" not in html
    assert "None" not in html
    assert ">0 %<" not in html


@pytest.mark.parametrize("factor", [1e-6, 1e3, 1e9])
def test_any_size_is_drawn(factor: float) -> None:
    frame = example()
    counted = frame["section"].isin(["volume", "path"]) & frame["value"].notna()
    frame.loc[counted, "value"] = (frame.loc[counted, "value"] * factor).round()
    priced = (frame["unit"] == "money") | (frame["item"] == "headline")
    frame.loc[priced, ["value", "low", "high", "target"]] *= factor
    frame.loc[frame["item"] == "callout", "n"] *= int(max(1, factor))
    frame = frame[~frame["section"].isin(["path", "volume"])] if factor < 1 else frame
    html = render(frame)
    assert not re.search(r'[dDxywh]="[^"]*(nan|inf|e\+)', html)


def test_german_labels_and_figures() -> None:
    html = render(example(), language="de")
    assert '<html lang="de"' in html
    for text in (
        "Karte der Kundenreise",
        "48.210",
        "Schmerzpunkte",
        "Zuerst",
        "Wem der Umsatz zu verdanken ist",
    ):
        assert text in html
    assert "Journey map" not in html


def test_the_series_may_be_anything() -> None:
    for series in ("{", "[]", '"x"', "[1,2]", "{}", json.dumps([["a", "b"]]), "null", "[[1e999, 2], [3, 4]]"):
        frame = example()
        frame["series"] = series
        assert "</html>" in render(frame)
