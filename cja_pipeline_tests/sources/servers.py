"""A small vendor on a real socket that misbehaves on command."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    number: int  # how many requests with this method, path, query and body came before


@dataclass
class Reply:
    """`manner`: normal, cut (half the body), reset, drip (slow body), drip-headers, hang."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "normal"


Script = Callable[[Request], Reply]


class Vendor:
    """Serves `script` on a free port of the loopback interface; a context manager."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        seen: dict[tuple, int] = {}
        lock, vendor = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(None)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                self.answer(json.loads(raw))

            def answer(self, body: Any) -> None:
                parts = urlsplit(self.path)
                key = (self.command, self.path, json.dumps(body))
                with lock:
                    number = seen[key] = seen.get(key, -1) + 1
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, parts.path, query, headers, body, number)
                vendor.requests.append(request)
                self.send(script(request))

            def send(self, reply: Reply) -> None:
                raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                if reply.manner == "hang":
                    vendor.stopping.wait(5)
                if reply.manner in ("reset", "hang"):
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    self.connection.close()
                    return
                if reply.manner == "drip-headers":
                    self.drip(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 200)
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                if reply.manner == "cut":
                    raw = raw[: len(raw) // 2]
                if reply.manner == "drip":
                    self.drip(raw)
                else:
                    self.wfile.write(raw)
                if reply.manner != "normal":
                    self.close_connection = True

            def drip(self, raw: bytes) -> None:
                for byte in raw:
                    if vendor.stopping.wait(0.05):
                        break
                    try:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    except OSError:
                        break
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                # the client went away, or the socket was closed on purpose
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Vendor:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether `condition` becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False
