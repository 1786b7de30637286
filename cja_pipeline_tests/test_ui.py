"""The Dagster UI and the reports in a real browser, from one guarded loopback origin."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def origin(night: Path) -> Iterator[str]:
    """`cja up` on the home in which the night ran."""
    port = free_port()
    env = {**os.environ, "CJA_HOME": str(night), "CJA_SECRET_KEY": "key-of-the-tests"}
    env.pop("DAGSTER_HOME", None)
    command = [sys.executable, "-m", "cja_pipeline.cli", "up", "--read-only", "--port", str(port)]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(180):
            try:
                if httpx.get(f"{url}/server_info", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(1)
        else:
            pytest.fail("the UI did not come up within three minutes")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=60)
        with pytest.raises(httpx.HTTPError):  # the web server went with it
            httpx.get(f"{url}/server_info", timeout=2)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--no-first-run"],
        )  # fmt: skip
        yield opened
        opened.close()


def test_lineage_shows_five_numbered_rooms(origin: str, browser) -> None:
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.goto(f"{origin}/asset-groups")
    for group in ("1_sources", "2_validated", "3_customer_view", "4_kpis", "5_journey_maps"):
        page.get_by_text(group).first.wait_for(timeout=60_000)
        assert page.get_by_text(group).first.is_visible()
    page.close()


def test_history_and_schedule_are_there(origin: str, browser) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(f"{origin}/runs")
    page.get_by_text("nightly_refresh").first.wait_for(timeout=60_000)
    page.goto(f"{origin}/automation")
    page.get_by_text("nightly").first.wait_for(timeout=60_000)
    assert page.get_by_text("nightly").first.is_visible()
    page.close()


def test_the_scorecard_asset_shows_its_sparklines(origin: str, browser) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1400})
    page.goto(f"{origin}/assets/scorecard?view=overview")
    drawn = page.locator("img[src^='data:image/svg+xml']")
    drawn.first.wait_for(timeout=60_000)
    assert drawn.first.is_visible()  # as many as fit in what Dagster shows inline
    page.close()


def test_the_page_opens_from_the_same_origin_without_script(origin: str, browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    response = page.goto(f"{origin}/reports/latest/journey_map.html")
    assert response.status == 200
    assert page.locator("h1").count() == 1
    assert page.locator("script").count() == 0
    assert {url for url in asked if not url.startswith(origin)} == set()
    page.close()


def test_the_link_on_the_asset_opens_the_page_in_the_same_origin(origin: str, browser) -> None:
    context = browser.new_context(viewport={"width": 1600, "height": 1400})
    page = context.new_page()
    page.goto(f"{origin}/assets/journey_map?view=overview")
    link = page.locator("a[href*='/reports/latest/journey_map.html']").first
    link.wait_for(timeout=60_000)
    with context.expect_page() as opened:
        link.click()
    shown = opened.value
    shown.wait_for_load_state()
    assert shown.url == f"{origin}/reports/latest/journey_map.html"
    assert shown.locator("h1").inner_text().strip()
    shown.locator(".kpis h3 a").first.click()  # from a key figure on to what it is made of
    assert "/reports/latest/dictionary.html#kpi." in shown.url
    shown.locator("tr:target").wait_for(timeout=30_000)
    context.close()


def test_who_only_looks_launches_nothing(origin: str) -> None:
    launch = (
        'mutation { launchRun(executionParams: {selector: {repositoryLocationName: "cja_pipeline", '
        'repositoryName: "__repository__", jobName: "nightly_refresh"}, runConfigData: {}}) '
        "{ __typename } }"
    )
    answer = httpx.post(f"{origin}/graphql", json={"query": launch}, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["data"]["launchRun"]["__typename"] == "UnauthorizedError"


def test_the_page_opens_as_a_file(night: Path, browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto((night / "reports" / "latest" / "journey_map.html").as_uri())
    assert page.locator("h1").inner_text().strip()
    page.close()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Host": "evil.example"}),
        ("GET", "/graphql?query=mutation%7Bx%7D", {}),
        ("POST", "/graphql", {"Origin": "https://evil.example"}),
        ("POST", "/graphql", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_foreign_requests_are_refused(origin: str, method: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.request(method, origin + path, headers=headers, timeout=20)
    assert answer.status_code == 403


def test_reports_are_inert(origin: str) -> None:
    answer = httpx.get(f"{origin}/reports/latest/journey_map.html", timeout=20)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "sandbox" in answer.headers["content-security-policy"]
