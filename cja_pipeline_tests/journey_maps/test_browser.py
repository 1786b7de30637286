"""The page in a real browser: nothing runs, is requested or overflows, at four widths, in both themes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cja_pipeline.journey_maps.lineage import load_lineage
from cja_pipeline.journey_maps.page import palette
from cja_pipeline.journey_maps.page.dictionary import dictionary_page
from cja_pipeline.journey_maps.page.render import render
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.journey_maps.example import example
from cja_pipeline_tests.journey_maps.hostile import hostile
from cja_pipeline_tests.journey_maps.test_page import empty

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (360, 768, 1440, 1920)
THEMES = ("light", "dark")
PAGES = ("example", "german", "arabic", "yen", "dinar", "hostile", "empty", "dictionary")
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


# ratio of text to the ground behind it for every text on the page; ground that is drawn (SVG) is left out
CONTRASTS = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
    const found = parse(getComputedStyle(e).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found } return [255, 255, 255] };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg') || e.getBoundingClientRect().width <= 1) continue;
    const [one, other] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) found.push([ratio.toFixed(2), e.tagName, e.className, e.textContent.slice(0, 40)]);
  }
  return found }"""
# roles that mean nothing to a screen reader without a name
NAMED = {"link", "button", "region", "image", "table", "heading", "DisclosureTriangle", "navigation", "img"}
ARABIC = """language: ar
direction: rtl
page: {title: رحلة العميل, segment_all: جميع العملاء}
map: {title: خريطة الرحلة, customers: العملاء, emotion: الشعور, pains: نقاط الألم, opportunities: الفرص}
stage: {awareness: الوعي, consideration: التفكير, purchase: الشراء, retention: الاحتفاظ, advocacy: التوصية}
"""


def in_currency(code: str, factor: float) -> pd.DataFrame:
    frame = example()
    money = (frame["unit"] == "money") | (frame["item"] == "headline")
    frame.loc[money, ["value", "low", "high", "target", "previous"]] *= factor
    frame.loc[frame["currency"] == "EUR", "currency"] = code
    frame["series"] = frame["series"].where(frame["section"] != "attribution", "")
    return frame


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "labels").mkdir()
    (folder / "labels" / "ar.yml").write_text(ARABIC, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CJA_CONFIG", str(folder))
        get_settings.cache_clear()
        arabic = render(example(), language="ar")
    get_settings.cache_clear()
    found = {
        "example": render(example()),
        "german": render(example(), language="de"),
        "arabic": arabic,
        "yen": render(in_currency("JPY", 160.0)),
        "dinar": render(in_currency("KWD", 0.001)),
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


@pytest.mark.parametrize("name", PAGES)
def test_no_sideways_scroll_and_nothing_spills_at_any_width(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    page, _, _ = open_page(browser, pages[name], 1440)
    for opened in (False, True):
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            sizes = page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert sizes == [width, width], opened
            assert page.evaluate(SPILLS) == [], width
            assert page.evaluate(OUTSIDE) == [], width
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_hostile_data_runs_nothing_requests_nothing_and_spills_nothing(
    browser: Any, pages: dict[str, Path], theme: str
) -> None:
    for width in WIDTHS:
        page, dialogs, requests = open_page(browser, pages["hostile"], width, theme)
        for summary in page.locator("summary").all():
            summary.click()
        page.wait_for_timeout(100)
        assert dialogs == []
        assert requests == [pages["hostile"].as_uri()]
        assert page.evaluate("document.scripts.length + document.images.length + frames.length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(SPILLS) == []
        page.context.close()


@pytest.mark.parametrize("name", ["example", "hostile", "empty", "dictionary"])
def test_every_text_on_the_page_can_be_read_in_both_themes(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    page, _, _ = open_page(browser, pages[name], 1440)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        assert page.evaluate(CONTRASTS) == [], theme
    page.context.close()


@pytest.mark.parametrize("name", ["example", "arabic", "hostile", "empty"])
def test_a_screen_reader_finds_a_name_for_everything(browser: Any, pages: dict[str, Path], name: str) -> None:
    page, _, _ = open_page(browser, pages[name], 1440)
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    known = [node for node in tree if not node.get("ignored")]
    for node in known:
        role = node["role"]["value"]
        text = str(node.get("name", {}).get("value", "")).strip()
        assert role not in NAMED or text, (role, node.get("nodeId"))
    roles = [node["role"]["value"] for node in known]
    assert roles.count("main") == 1
    assert "rowheader" in roles
    assert page.evaluate("document.documentElement.lang") != ""
    page.context.close()


def test_everything_can_be_reached_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    page, _, _ = open_page(browser, pages["example"], 1440)
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href],summary,[tabindex=\"0\"]')]"
        ".filter(e => e.tagName === 'SUMMARY' || !e.closest('details:not([open])')).length"
    )
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring in ("solid", "auto") or page.evaluate("document.activeElement === document.body")
    assert len(reached) >= wanted
    page.context.close()


def test_right_to_left_languages_mirror_the_drawings(browser: Any, pages: dict[str, Path]) -> None:
    page, _, _ = open_page(browser, pages["arabic"], 1440)
    stages = [box["x"] for box in (cell.bounding_box() for cell in page.locator(".stages .cell").all())]
    assert stages == sorted(stages, reverse=True)
    assert page.evaluate("getComputedStyle(document.querySelector('svg.wide')).transform").startswith(
        "matrix(-1"
    )
    dots = [box["x"] for box in (dot.bounding_box() for dot in page.locator(".curve i").all())]
    assert dots == sorted(dots, reverse=True)
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


@pytest.mark.parametrize(("paper", "most"), [("A3", 2), ("A4", 3), ("Letter", 4)])
def test_it_prints_on_few_sheets(browser: Any, pages: dict[str, Path], paper: str, most: int) -> None:
    page, _, _ = open_page(browser, pages["example"], 1440)
    sheets = page.pdf(format=paper, print_background=True)
    assert 1 < sheets.count(b"/Type /Page\n") + sheets.count(b"/Type /Page ") <= most
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.map-scroll')).overflowX") == "clip"
    page.context.close()
