"""The guard in front of the Dagster UI and the headers of the reports, without Dagster."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from cja_pipeline.orchestration.serve import Guard, Reports

PORT = 3000
HOME = f"http://127.0.0.1:{PORT}"


async def answer(_: object) -> PlainTextResponse:
    return PlainTextResponse("through")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("through")
    await websocket.close()


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "journey_map.html").write_text("<h1>Map</h1>", encoding="utf-8")
    (tmp_path.parent / "secret.txt").write_text("secret", encoding="utf-8")
    routes = [
        Mount("/reports", Reports(directory=tmp_path, html=True)),
        WebSocketRoute("/graphql", socket),
        Route("/{path:path}", answer, methods=["GET", "POST", "HEAD", "PUT"]),
    ]
    return TestClient(Guard(Starlette(routes=routes), PORT), base_url=HOME)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/", {"Host": f"localhost:{PORT}"}),
        ("GET", "/", {"Host": f"[::1]:{PORT}"}),
        ("GET", "/graphql", {}),  # the playground
        ("POST", "/graphql?op=Runs", {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}),
        ("GET", "/assets/journey_map", {"Sec-Fetch-Site": "cross-site"}),  # a link in somebody's mail
    ],
)
def test_what_the_ui_itself_sends_goes_through(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert client.request(method, path, headers=headers).text == "through"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Host": "evil.example"}),
        ("GET", "/", {"Host": f"evil.example:{PORT}"}),  # a name that resolves to this machine
        ("GET", "/", {"Host": "127.0.0.1:3001"}),
        ("GET", "/", {"Host": f"127.0.0.1.evil.example:{PORT}"}),
        ("POST", "/graphql", {"Origin": "https://evil.example"}),
        ("POST", "/graphql", {"Origin": "null"}),  # a sandboxed frame, a file
        ("POST", "/graphql", {"Origin": f"https://127.0.0.1:{PORT}.evil.example"}),
        ("POST", "/graphql", {"Sec-Fetch-Site": "cross-site"}),
        ("POST", "/graphql", {"Sec-Fetch-Site": "same-site"}),
        ("POST", "/report_asset_materialization/x", {"Sec-Fetch-Site": "cross-site"}),
        ("GET", "/graphql?query=mutation%7Bx%7D", {}),
        ("GET", "/graphql/?query=mutation%7Bx%7D", {}),
        ("GET", "/graphql?%71uery=mutation%7Bx%7D", {}),
        ("HEAD", "/graphql?query=mutation%7Bx%7D", {}),
        ("POST", "/graphql?query=mutation%7Bx%7D", {}),  # a form without a body
    ],
)
def test_what_another_site_could_send_is_refused(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    found = client.request(method, path, headers=headers)
    assert found.status_code == 403
    assert "through" not in found.text


@pytest.mark.parametrize(
    "path", ["/", "/assets/journey_map", "/reports/latest/journey_map.html", "/reports/none"]
)
def test_no_other_site_embeds_what_is_shown(client: TestClient, path: str) -> None:
    """In a frame of another site a person could be led to click "Launch run" without seeing it."""
    found = client.get(path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"})
    assert found.headers["x-frame-options"] == "SAMEORIGIN"
    assert found.headers["cross-origin-resource-policy"] == "same-origin"


def test_sockets_are_guarded_too(client: TestClient) -> None:
    with client.websocket_connect("/graphql", headers={"Host": f"127.0.0.1:{PORT}"}) as opened:
        assert opened.receive_text() == "through"
    foreign = {"Host": f"127.0.0.1:{PORT}", "Origin": "https://evil.example"}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/graphql", headers=foreign) as refused,
    ):
        refused.receive_text()


def test_reports_are_inert_and_end_at_their_folder(client: TestClient) -> None:
    found = client.get("/reports/latest/journey_map.html")
    assert found.text == "<h1>Map</h1>"
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert found.headers["x-content-type-options"] == "nosniff"
    for path in ("/reports/../secret.txt", "/reports/%2e%2e/secret.txt", "/reports/..%2fsecret.txt"):
        assert client.get(path).text != "secret"
