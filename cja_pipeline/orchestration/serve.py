"""The Dagster UI and the reports from one loopback origin, behind a guard.

Dagster's web server has no login and accepts a mutation by a plain GET from any page, so the guard refuses
foreign hosts and origins, and GraphQL in the address. Reports are static and may not run script.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from cja_pipeline.settings import get_settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
# no other site may put the UI into a frame and have its buttons clicked, or look at what it shows
HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
)


class Guard:
    """Refuses what only another site would send: foreign Host or Origin, and GraphQL in the address; and
    lets no other site embed what it answers."""

    def __init__(self, app: Any, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in LOOPBACK}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and (reason := self._refusal(scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await PlainTextResponse(reason, status_code=403)(scope, receive, send)
            return

        async def closed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self.app(scope, receive, closed)

    def _refusal(self, scope: Scope) -> str | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "") not in self.hosts:
            return "Refused: this server answers on its loopback address only."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc not in self.hosts:
            return "Refused: the request comes from another site."
        if scope["type"] != "http":
            return None
        graphql = scope["path"].rstrip("/").endswith("/graphql")
        # Dagster takes a query from the address, of a GET and of a plain form, whatever it changes
        if graphql and "query" in parse_qs(scope.get("query_string", b"").decode("latin-1")):
            return "Refused: GraphQL is answered to a POST with a body only."
        changes = graphql or scope["method"] not in {"GET", "HEAD"}
        if changes and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return "Refused: the request comes from another site."
        return None


class Reports(StaticFiles):
    """The reports folder, read-only, with headers that keep every page inert."""

    async def get_response(self, path: str, scope: Scope) -> Any:
        response = await super().get_response(path, scope)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; sandbox allow-popups"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-cache"
        return response


def main(port: int, workspace: str, read_only: bool = False) -> None:
    """Serve until stopped. The web server's own command runs; only the app it hosts is wrapped."""
    from dagster_webserver import cli

    reports = get_settings().prepare().reports_dir
    reports.mkdir(exist_ok=True)
    make_app = cli.create_app_from_workspace_process_context

    def guarded(*args: Any, **kwargs: Any) -> Any:
        lifespan = kwargs.get("lifespan")
        app = make_app(*args, **kwargs)
        routes = [Mount("/reports", Reports(directory=reports, html=True)), Mount("/", app)]
        return Guard(Starlette(routes=routes, lifespan=lifespan), port)

    cli.create_app_from_workspace_process_context = guarded
    arguments = ["-h", "127.0.0.1", "-p", str(port), "-w", workspace, "--dagster-log-level", "warning"]
    cli.dagster_webserver.main(arguments + (["--read-only"] if read_only else []), standalone_mode=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], read_only="--read-only" in sys.argv[3:])
