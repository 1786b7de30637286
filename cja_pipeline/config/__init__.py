"""Load the YAML configuration, validated, with errors that name file, line and key.

A file of the same name in the folder that `CJA_CONFIG` names replaces the shipped file as a whole.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from cja_pipeline.settings import get_settings

try:  # the C parser reads the same language eight times faster; not every build of the library has it
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

SHIPPED = Path(__file__).parent
Model = TypeVar("Model", bound=BaseModel)


class ConfigError(ValueError):
    """A configuration file that cannot be used; the message names file, line, key and what was expected."""


class StrictModel(BaseModel):
    """Base of all configuration models: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shop(StrictModel):
    """Who the numbers are about: name, reporting time zone and currency, language, start of history."""

    name: str
    time_zone: str
    currency: str
    language: str = "en"
    first_day: dt.date | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"expected an IANA time zone such as Europe/Berlin, got {value!r}")
        return value

    @field_validator("currency")
    @classmethod
    def _code(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError(f"expected a code of ISO 4217 such as EUR, got {value!r}")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def config_path(name: str) -> Path:
    """The file in use for a configuration name: the override if there is one, else the shipped file."""
    override = get_settings().config
    if override is not None and (override / name).exists():
        return override / name
    return SHIPPED / name


def load_config(name: str, model: type[Model]) -> Model:
    """Read and validate one configuration file, for example ``load_config("channels.yml", Channels)``."""
    return load_file(config_path(name), model)


def load_config_dir(name: str, model: type[Model]) -> list[Model]:
    """Read every ``*.yml`` of a configuration folder; override files replace shipped ones by file name,
    and further files in the override folder add to them."""
    paths = {path.name: path for path in sorted((SHIPPED / name).glob("*.yml"))}
    override = get_settings().config
    if override is not None:
        paths |= {path.name: path for path in sorted((override / name).glob("*.yml"))}
    return [load_file(paths[key], model) for key in sorted(paths)]


def load_file(path: Path, model: type[Model]) -> Model:
    """Validate the YAML file at `path` against `model`; raise ConfigError naming every fault."""
    if not path.exists():
        raise ConfigError(
            f"{path}: the file is missing; expected a YAML file with {model.__name__} settings."
        )
    text = _text(path)
    try:
        data = yaml.load(text, Loader=SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        root = yaml.compose(text, Loader=SafeLoader)
        faults = [_describe(path, root, fault) for fault in error.errors()]
        raise ConfigError("\n".join(faults)) from error


def load_lines(path: Path, model: type[Model], words: str) -> list[Model]:
    """Validate every line of a JSON-lines file; empty without the file.

    Raises:
        ConfigError: a line is not what `words` say; the message names file and line, and no value.
    """
    found = []
    for number, line in enumerate(_text(path).split("\n") if path.exists() else [], 1):
        if line.strip():
            try:
                found.append(model.model_validate_json(line))
            except ValidationError as error:
                raise ConfigError(f"{path}, line {number}: {words}") from error
    return found


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8.") from error


def _describe(path: Path, root: Any, fault: Any) -> str:
    location = [part for part in fault["loc"] if not str(part).startswith("function-")]
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "this key is required and missing"
    elif fault["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its spelling"
    key = ".".join(str(part) for part in location) or "(whole file)"
    return f"{path}, line {_line_of(root, location)}: {key}: {message}"


def _line_of(node: Any, location: list[Any]) -> int:
    """Line (1-based) of the deepest part of `location` that exists in the YAML node tree."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        # other parts are pydantic's own markers (union members); they have no place in the file
    return line


@lru_cache(maxsize=1)
def shop() -> Shop:
    """The shop that this installation measures (``config/shop.yml``)."""
    return load_config("shop.yml", Shop)
