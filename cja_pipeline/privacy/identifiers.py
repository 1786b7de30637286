"""Identifiers in landed records: where they stand, and the keyed hashes under which they are recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field

from cja_pipeline.config import StrictModel, load_file
from cja_pipeline.customers.identity.keys import Keyring, sha256_hex
from cja_pipeline.customers.identity.normalise import Normaliser, text

# values that stand in running text and can be told from words
_TOKENS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[A-Za-z0-9][\w.-]{5,}")


class Visits(StrictModel):
    """The fields of a web event that tell which visit of which device it is of, and who was logged in."""

    cookie: str
    visit: str
    login: str
    time: str


class Fields(StrictModel):
    """Identifying fields of a stream (see ``identifiers.yml``): path -> kind of identifier."""

    drop: dict[str, str] = Field(default_factory=dict)
    blank: dict[str, str] = Field(default_factory=dict)
    visits: Visits | None = None


class _File(StrictModel):
    streams: dict[str, Fields]


@lru_cache(maxsize=1)
def stream_fields() -> dict[str, Fields]:
    """The identifying fields of every stream with people in it, by ``vendor/stream``."""
    return load_file(Path(__file__).parent / "identifiers.yml", _File).streams


class Recogniser:
    """Turns raw values into the keyed hashes under which an erasure notes them; one value has several,
    because vendors spell and hash addresses differently."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser

    def forms(self, kind: str, value: Any) -> set[tuple[str, str]]:
        """Kind and SHA-256 of every form of a value; empty for junk and values of nobody."""
        plain = text(value)
        if plain is None:
            return set()
        if kind == "email_sha256":
            digest = self._normaliser.email_digest(plain)
            return {("email", digest)} if digest else set()
        if kind == "email":
            canonical = self._normaliser.email(plain)
            if canonical is None:
                return set()
            return {("email", sha256_hex(canonical)), ("email", sha256_hex(plain.lower()))}
        if kind == "phone":
            canonical = self._normaliser.phone(plain)
            if canonical is None:
                return set()
            # without its country a national number may be read wrongly: its digits are a form of their own
            return {("phone", sha256_hex(canonical)), ("phone", sha256_hex(re.sub(r"\D", "", plain)))}
        known = self._normaliser.identifier(plain)
        return {(kind, sha256_hex(known))} if known else set()

    def notes(self, ring: Keyring, kind: str, value: Any) -> set[str]:
        """``kind:hash`` of every form of a value, for a note of an erasure. These hashes are made for that
        purpose alone: they cannot be joined with pseudonyms that were ever published."""
        return {
            f"{name}:{ring.of_hash(f'erased/{name}', digest)}" for name, digest in self.forms(kind, value)
        }


def tokens(raw: str) -> Iterator[str]:
    """What may be identifiers in a text that is no readable record."""
    return (found.group().strip(".") for found in _TOKENS.finditer(raw))


def values(record: Any, path: str) -> Iterator[Any]:
    """The values of a path such as ``associations.contacts.results[].id``; joined ones are split."""
    for holder, key in places(record, path):
        value = holder[key]
        if isinstance(value, str) and ";" in value:
            yield from value.split(";")
        elif value is not None:
            yield value


def places(record: Any, path: str) -> list[tuple[dict[str, Any], str]]:
    """The objects that hold the last step of a path, with that step."""
    *way, (last, _) = _steps(path)
    holders = [record]
    for name, listed in way:
        inner = [holder[name] for holder in holders if isinstance(holder, dict) and name in holder]
        if listed:  # one object instead of a list is a list of one
            inner = [item for one in inner for item in (one if isinstance(one, list) else [one])]
        holders = inner
    return [(holder, last) for holder in holders if isinstance(holder, dict) and last in holder]


@lru_cache(maxsize=256)
def _steps(path: str) -> list[tuple[str, bool]]:
    """The names on a path, each with whether what stands there is a list."""
    return [(step.removesuffix("[]"), step.endswith("[]")) for step in path.split(".")]
