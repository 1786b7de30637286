"""The words of the page, one YAML file per language; English and German are shipped.

A file ``labels/<language>.yml`` in the folder that `CJA_CONFIG` names adds a language or replaces single
words of a shipped one. What a file leaves out is taken from English, so a partial file is usable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from cja_pipeline.config import ConfigError
from cja_pipeline.journey_maps.formats import Formats, from_labels
from cja_pipeline.settings import get_settings

SHIPPED = Path(__file__).parent / "labels"
FALLBACK = "en"
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$")


@dataclass(frozen=True)
class Labels:
    """Words by dotted key, and the number conventions that go with them."""

    language: str
    direction: str
    words: dict[str, str]
    formats: Formats

    def __call__(self, key: str, /, **values: object) -> str:
        """The words for `key` with ``{names}`` filled in.

        Raises:
            KeyError: no language has the key.
        """
        return _fill(self.words[key], values)

    def name(self, group: str, code: str, default: str = "") -> str:
        """The words for a code that comes from data (a channel, a topic): a translation if there is one,
        else the default, else the code made readable."""
        return self.words.get(f"{group}.{slug(code)}") or default or readable(code)

    def any_name(self, groups: tuple[str, ...], code: str, default: str = "") -> str:
        """Like `name`, looking in several groups in turn. A code with a capital is a channel before it is
        anything else: "Referral" is a channel, "referral" is what a customer did."""
        ordered = sorted(groups, key=lambda group: group != "channel") if code != code.lower() else groups
        found = (self.words.get(f"{group}.{slug(code)}") for group in ordered)
        return next((words for words in found if words), "") or default or readable(code)

    def count(self, group: str, n: float | None, figure: str) -> str:
        """``unit.orders, 1 -> "1 order"``; the plural form is chosen by n, the figure is ready text."""
        form = "one" if n == 1 else "other"
        words = self.words.get(f"{group}.{form}")
        return _fill(words, {"n": figure}) if words else figure


class _Values(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _fill(words: str, values: dict[str, Any]) -> str:
    # only plain {names}: no attribute or index access, whatever a labels file says
    return re.sub(r"\{(\w+)\}", lambda match: str(_Values(values)[match[1]]), words)


def slug(code: str) -> str:
    """A code as it stands in a labels file: ``"Paid Social" -> "paid_social"``."""
    return re.sub(r"[^\w]+", "_", code.strip().lower()).strip("_")


def readable(code: str) -> str:
    """A code without translation: underscores become spaces, the first letter is a capital."""
    text = code.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def load_labels(language: str) -> Labels:
    """The labels of a language, completed from English.

    Raises:
        ConfigError: there is no such file, or it has a wrong form; the message names file and key.
    """
    override = get_settings().config
    return _load(language, override)


@lru_cache(maxsize=8)
def _load(language: str, override: Path | None) -> Labels:
    if not _LANGUAGE.match(language):
        raise ConfigError(f"language: expected a code such as en or de, got {language!r}")
    paths = [SHIPPED / f"{FALLBACK}.yml", SHIPPED / f"{language}.yml"]
    if override is not None:
        paths.append(override / "labels" / f"{language}.yml")
    found = [path for path in paths if path.exists()]
    if not any(path.stem == language for path in found):
        raise ConfigError(f"{paths[-1]}: no labels for the language {language!r}; shipped are {shipped()}")
    words: dict[str, str] = {}
    formats: dict[str, object] = {}
    direction = "ltr"
    for path in found:
        data = _read(path)
        formats |= data.pop("formats", {})
        direction = data.pop("direction", direction)
        data.pop("language", None)
        words |= flatten(data, path)
    try:
        return Labels(language, direction, words, from_labels(formats))
    except TypeError as error:
        raise ConfigError(f"{found[-1]}: formats: {error}") from error


def shipped() -> list[str]:
    """Languages that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yml"))


def flatten(data: dict[str, Any], path: Path, prefix: str = "") -> dict[str, str]:
    """Nested words as dotted keys; anything but text and mappings is an error that names the key."""
    found: dict[str, str] = {}
    for key, value in data.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= flatten(value, path, f"{dotted}.")
        elif isinstance(value, str):
            found[dotted] = value
        else:
            raise ConfigError(f"{path}: {dotted}: expected text in quotes, got {value!r}")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of groups to words")
    return data
