"""Keyed hashes: the only form in which an identifier leaves the personal-data zone.

``key = HMAC-SHA256(secret, type || 0x1f || sha256hex(canonical value))``, first 128 bits as hexadecimal text.
The SHA-256 inside lets values that a source delivers already hashed meet the same value in plain.
"""

from __future__ import annotations

import hashlib
import hmac

SEPARATOR = b"\x1f"
BLOCK = 64  # bytes that SHA-256 takes at a time
KEY_LENGTH = 32  # hexadecimal digits: 128 bits
CUSTOMER_LENGTH = 20


def sha256_hex(value: str) -> str:
    """SHA-256 of the UTF-8 text, as lower-case hexadecimal."""
    return hashlib.sha256(value.encode()).hexdigest()


class Keyring:
    """Makes the keyed hashes of one installation; `secret` never leaves this object."""

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("the pseudonymisation key is empty")
        self._secret = secret

    def of_hash(self, kind: str, digest: str) -> str:
        """Key of a value of this kind whose SHA-256 is `digest` (hexadecimal)."""
        message = kind.encode() + SEPARATOR + digest.encode()
        return hmac.digest(self._secret, message, "sha256").hex()[:KEY_LENGTH]

    def sql(self, kind: str, digest: str) -> tuple[str, list[bytes]]:
        """Key of a digest as a SQL expression and its parameters: the secret is in no text of a query.

        The result is a UUID: those 128 bits as a number, null where the digest is.

        Args:
            digest: SQL expression of the SHA-256 of the value (hexadecimal).
        """
        block = self._secret if len(self._secret) <= BLOCK else hashlib.sha256(self._secret).digest()
        outer, inner = (bytes(byte ^ pad for byte in block.ljust(BLOCK, b"\0")) for pad in (0x5C, 0x36))
        hashed = f"left(sha256(? || unhex(sha256(? || encode({digest})))), {KEY_LENGTH})"
        return f"CAST(unhex({hashed}) AS UUID)", [outer, inner + kind.encode() + SEPARATOR]

    def of(self, kind: str, value: str) -> str:
        """Key of a canonical value of this kind (``email``, ``phone``, ``login_id``, ``cookie`` …)."""
        return self.of_hash(kind, sha256_hex(value))

    def customer_id(self, anchor: str, attempt: int = 0) -> str:
        """A new customer id from the record that anchors the customer; `attempt` avoids ids in use."""
        return "c" + self.of("customer", f"{anchor}\x1f{attempt}" if attempt else anchor)[:CUSTOMER_LENGTH]

    def __repr__(self) -> str:
        return "Keyring(secret=***)"
