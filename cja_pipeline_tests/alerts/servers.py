"""Receivers of alerts on the loopback address: a webhook and a small SMTP server, both on real sockets."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class WebhookServer(ThreadingHTTPServer):
    """Keeps what was posted; `status` is what it answers."""

    status = 200
    location = ""
    pause = 0.0  # seconds before each byte of a header that has no end

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook/secret-token"


class _Receiver(BaseHTTPRequestHandler):
    server: WebhookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        while self.server.pause:
            self.flush_headers()
            time.sleep(self.server.pause)
            self.wfile.write(b"x")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as a client needs to deliver, and notes for each login whether it was encrypted.

    With a `certificate` it offers STARTTLS, or speaks TLS from the start if `implicit`.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, certificate: ssl.SSLContext | None = None, *, implicit: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.certificate, self.implicit = certificate, implicit
        self.encrypted: list[bool] = []
        self.received: list[Message] = []
        self.recipients: list[str] = []
        self.logins: list[str] = []
        self.refuse = False

    @property
    def url(self) -> str:
        return f"{'smtps' if self.implicit else 'smtp'}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Quiet: a client that does not trust the certificate breaks off."""


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        if self.server.implicit:
            self._encrypt()
        self._say("220 mail.test ready")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            secure = isinstance(self.connection, ssl.SSLSocket)
            if verb == "EHLO":
                self._say("250-mail.test")
                if self.server.certificate and not secure:
                    self._say("250-STARTTLS")
                self._say("250 AUTH PLAIN")
            elif verb == "STARTTLS":
                self._say("220 go on")
                self._encrypt()
            elif verb == "AUTH":
                self.server.logins.append(line)
                self.server.encrypted.append(secure)
                self._say("235 welcome")
            elif verb == "RCPT":
                self.server.recipients.append(line.partition(":")[2].strip(" <>"))
                self._say("550 no" if self.server.refuse else "250 ok")
            elif verb == "DATA":
                self._say("354 go on")
                lines: list[str] = []
                while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text.removeprefix("."))
                self.server.received.append(message_from_string("\n".join(lines), policy=default))
                self._say("250 kept")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _encrypt(self) -> None:
        assert self.server.certificate is not None
        self.request = self.server.certificate.wrap_socket(self.request, server_side=True)
        self.setup()

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def certified(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS for 127.0.0.1, and ``authority.pem`` in `folder`: who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "authority.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(secret + signed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@contextmanager
def running(server: Any) -> Iterator[Any]:
    """The server, answering in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
