"""Where requests may go: a vendor's name must not lead into our own network."""

from __future__ import annotations

import ipaddress
import socket

from cja_pipeline.sources.errors import Transient, VendorError


def require_public(host: str) -> None:
    """Resolve `host` now and refuse it if any of its addresses is not a public one (private, loopback, link
    local such as a cloud's metadata service). Asked before every request, because names can change."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Transient(f"the name of the host cannot be resolved ({type(error).__name__})") from None
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if not ip.is_global:
            raise VendorError(
                f"{host} leads to an address that is not public; nothing was sent. If it is meant, name the "
                "host under allowed_hosts in sources.yml"
            )
