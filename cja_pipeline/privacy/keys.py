"""The keys of one installation: the current one makes pseudonyms, earlier ones still recognise erased
people.

A key is named by a fingerprint, never shown. Rotating the key re-keys every pseudonym, but the note of an
erasure holds hashes whose values are gone: it can be read only with the key that it was written with.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.settings import Settings


class KeyMissingError(RuntimeError):
    """A key that notes of erasures need is not in the environment."""


def version_of(secret: bytes) -> str:
    """Name of a key: eight hexadecimal digits that tell keys apart and say nothing about them."""
    return hmac.digest(secret, b"key version", hashlib.sha256).hex()[:8]


@dataclass(frozen=True)
class Keys:
    """`current` names the key in use; `rings` holds it and the earlier ones by name."""

    current: str
    rings: dict[str, Keyring]

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """The keys of `CJA_SECRET_KEY` and `CJA_PREVIOUS_KEYS`."""
        secrets = [settings.hmac_key(), *settings.earlier_keys()]
        return cls(version_of(secrets[0]), {version_of(secret): Keyring(secret) for secret in secrets})

    @property
    def ring(self) -> Keyring:
        return self.rings[self.current]

    def named(self, version: str) -> Keyring:
        """The key of that name; KeyMissingError says which setting lacks it."""
        if version not in self.rings:
            raise KeyMissingError(
                f"Erasures were noted under the key {version}, which is neither CJA_SECRET_KEY nor in "
                "CJA_PREVIOUS_KEYS. Without it erased people would come back: add that key, then run again."
            )
        return self.rings[version]
