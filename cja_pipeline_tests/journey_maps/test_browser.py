"""The page in a real browser: nothing runs, is requested or overflows, at four widths, in both themes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cja_pipeline.journey_maps.lineage import load_lineage
from cja_pipeline.journey_maps.page import palette
from cja_pipeline.journey_maps.page.dictionary import dictionary_page
from cja_pipeline.journey_maps.page.render import render
from cja_pipeline_tests.journey_maps.example import example
from cja_pipeline_tests.journey_maps.hostile import hostile
from cja_pipeline_tests.journey_maps.test_page import empty

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (360, 768, 1440, 1800)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
# elements whose text is wider than they are although nothing cuts or scrolls it; SVG and hidden text left out
SPILLS = """() => [...document.querySelectorAll('h1,h2,h3,h4,p,li,dd,dt,td,th,strong,span,bdi')]
  .filter(e => e.clientWidth > 1 && getComputedStyle(e).overflowX === 'visible'
    && !e.closest('.scroll,.quiet,.skip,.drawing,.heads,.curve,.course-box,.bars')
    && e.scrollWidth > e.clientWidth + 2 && getComputedStyle(e).display !== 'inline')
  .map(e => e.tagName + ': ' + e.textContent.slice(0, 60))"""
# text that lies outside the card or cell that holds it
OUTSIDE = """() => [...document.querySelectorAll('.cell,.kpis li,.card')].flatMap(box => {
  const outer = box.getBoundingClientRect();
  return [...box.querySelectorAll('p,h3,h4,strong,dd,blockquote')]
    .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().width > 1)
    .filter(e => { const r = e.getBoundingClientRect();
      return r.right > outer.right + 1.5 || r.left < outer.left - 1.5 })
    .map(e => e.tagName + ': ' + e.textContent.slice(0, 60)) })"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {
        "example": render(example()),
        "german": render(example(), language="de"),
        "hostile": render(hostile()),
        "empty": render(empty()),
        "dictionary": dictionary_page(load_lineage(), "de", "inputs"),
    }
    for name, html in found.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in found}


def open_page(browser: Any, path: Path, width: int, theme: str = "light") -> tuple[Any, list[str], list[str]]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    dialogs: list[str] = []
    requests: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    return page, dialogs, requests


@pytest.mark.parametrize("name", ["example", "german", "hostile", "empty", "dictionary"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_sideways_scroll_and_nothing_spills(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    page, _, _ = open_page(browser, pages[name], width)
    sizes = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert sizes[0] == sizes[1] == width
    assert page.evaluate(SPILLS) == []
    assert page.evaluate(OUTSIDE) == []
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_hostile_data_runs_nothing_and_requests_nothing(
    browser: Any, pages: dict[str, Path], theme: str
) -> None:
    page, dialogs, requests = open_page(browser, pages["hostile"], 1440, theme)
    page.wait_for_timeout(300)
    assert dialogs == []
    assert requests == [pages["hostile"].as_uri()]
    assert page.evaluate("document.scripts.length") == 0
    page.context.close()


def test_the_policy_stops_what_would_get_through(browser: Any, tmp_path: Path) -> None:
    html = render(example()).replace(
        "</main>", "<img src=x onerror=alert(1)><script>alert(2)</script></main>"
    )
    (tmp_path / "broken.html").write_text(html, encoding="utf-8")
    page, dialogs, _ = open_page(browser, tmp_path / "broken.html", 1440)
    page.wait_for_timeout(300)
    assert dialogs == []
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_follows_the_reader(browser: Any, pages: dict[str, Path], theme: str) -> None:
    page, _, _ = open_page(browser, pages["example"], 1440, theme)
    colours = palette.DARK if theme == "dark" else palette.LIGHT
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert [_hex(ground), _hex(ink)] == [colours["bg"], colours["ink"]]
    page.context.close()


def _hex(text: str) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", text)[:3])


def test_labels_of_a_drawing_do_not_cover_each_other(browser: Any, pages: dict[str, Path]) -> None:
    page, _, _ = open_page(browser, pages["example"], 1440)
    for selector in (".curve p", ".drawing p"):
        boxes = [label.bounding_box() for label in page.locator(selector).all()]
        for place, one in enumerate(boxes):
            for other in boxes[place + 1 :]:
                apart = (
                    one["x"] + one["width"] <= other["x"] + 8
                    or other["x"] + other["width"] <= one["x"] + 8
                    or one["y"] + one["height"] <= other["y"] + 8
                    or other["y"] + other["height"] <= one["y"] + 8
                )
                assert apart, (selector, one, other)
    page.context.close()


def test_the_map_can_be_reached_and_scrolled_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    page, _, _ = open_page(browser, pages["example"], 360)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    region = page.locator(".map-scroll")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert page.evaluate("document.querySelector('.map-scroll').scrollLeft") > 0
    label = page.locator(".label").first.bounding_box()
    assert label["x"] < 40  # the row label stays in sight
    page.context.close()


def test_it_prints_on_few_sheets(browser: Any, pages: dict[str, Path]) -> None:
    page, _, _ = open_page(browser, pages["example"], 1440)
    sheets = page.pdf(prefer_css_page_size=True)
    assert sheets.count(b"/Type /Page\n") + sheets.count(b"/Type /Page ") <= 3
    page.context.close()
