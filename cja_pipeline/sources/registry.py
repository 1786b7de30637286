"""``config/sources.yml``: one entry per source, checked when it is read.

Going from the simulated vendor to a real account means changing `base_url` and naming a token.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationInfo, create_model, field_validator

from cja_pipeline.config import StrictModel, config_path, load_config
from cja_pipeline.sources.credentials import read_token
from cja_pipeline.sources.window import utc_text

FILE = "sources.yml"
CrmObjectName = Literal["contacts", "orders", "tickets", "feedback_submissions"]
_TOKEN = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


class SourceConfig(StrictModel):
    """What every kind of source has. `name` is the entry's key in the file (``crm``); `allowed_hosts` are
    hosts beside the vendor's own that requests, with the token in them, may go to (a company's proxy)."""

    may_be_folder: ClassVar[bool] = False
    hosts: ClassVar[tuple[str, ...]] = ()
    days_of_shop: ClassVar[bool] = True  # landed days begin and end in the shop's time zone
    name: str = Field("", description="Set from the entry's key.")
    kind: Literal["ga4", "hubspot", "klaviyo", "meta"]
    allowed_hosts: list[str] = Field(default_factory=list)
    base_url: str
    token: str | None = Field(None, validate_default=True)
    api_version: str = ""
    restate_days: int = Field(0, ge=0, le=400)
    overlap_minutes: int = Field(10, ge=0, le=10_080)
    headers: dict[str, str] = Field(default_factory=dict)
    allow_shrink: bool | list[dt.date] = False
    requests_per_second: float | None = Field(None, gt=0)

    @field_validator("base_url")
    @classmethod
    def _usable_address(cls, value: str, info: ValidationInfo) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password:
            raise ValueError("expected an address without user and password; use token instead")
        if parts.scheme == "mock" and parts.hostname:
            return value
        if parts.scheme == "file" and parts.path and cls.may_be_folder:
            return value
        if parts.query or parts.fragment:
            raise ValueError("expected an address without a query")
        if parts.scheme == "https" and parts.hostname:
            known = [*cls.hosts, *info.data.get("allowed_hosts", ())]
            if not _is_loopback(parts.hostname) and parts.hostname not in known:
                raise ValueError(
                    f"{parts.hostname} is not a host of this vendor ({', '.join(cls.hosts)}); if it is "
                    "meant, name it under allowed_hosts"
                )
            return value.rstrip("/")
        if parts.scheme == "http" and _is_loopback(parts.hostname):
            return value.rstrip("/")
        raise ValueError(
            "expected https://<host>, mock://<vendor>, or http:// on this machine (localhost) only"
        )

    @field_validator("token")
    @classmethod
    def _reference_only(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not _TOKEN.fullmatch(value):
            raise ValueError(
                "expected env:NAME or file:/path, a place to read the token from, never the token"
            )
        address = info.data.get("base_url")
        if value is None and address is not None and not _is_local(address):
            raise ValueError("expected env:NAME, because base_url is a real account")
        return value

    @field_validator("headers")
    @classmethod
    def _known_placeholder(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if "{" in text.replace("{as_of}", ""):
                raise ValueError(f"{name}: the only placeholder is {{as_of}}")
        return value

    @property
    def public_only(self) -> bool:
        """Whether the host must have a public address: the vendors' own hosts do."""
        return not self.is_local and urlsplit(self.base_url).hostname not in self.allowed_hosts

    @property
    def is_mock(self) -> bool:
        """Whether the simulator's vendor answers, inside this process."""
        return self.base_url.startswith("mock://")

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine: simulated, a folder, or a server on localhost."""
        return _is_local(self.base_url)

    def read_token(self) -> str:
        """The token's value, read now; ConfigError names the setting if it is missing."""
        if self.token is None:
            return "local"
        return read_token(self.token, f"{FILE}: {self.name or self.kind}.token")

    def request_headers(self, as_of: dt.datetime) -> dict[str, str]:
        """The configured extra headers, with ``{as_of}`` replaced by the logical time."""
        return {name: text.replace("{as_of}", utc_text(as_of)) for name, text in self.headers.items()}

    def may_shrink(self, day: dt.date) -> bool:
        """Whether a person has confirmed that `day` may be replaced by far fewer rows."""
        return day in self.allow_shrink if isinstance(self.allow_shrink, list) else self.allow_shrink


class Ga4Source(SourceConfig):
    """Google Analytics 4: files of the BigQuery export, in Cloud Storage or in a folder (``file:///...``)."""

    days_of_shop: ClassVar[bool] = False  # they are those of the property
    may_be_folder: ClassVar[bool] = True
    hosts: ClassVar[tuple[str, ...]] = ("storage.googleapis.com",)
    kind: Literal["ga4"]
    api_version: str = "v1"
    restate_days: int = Field(4, ge=0, le=400)
    bucket: str = Field(min_length=1)
    prefix: str = ""


class HubspotSource(SourceConfig):
    """HubSpot CRM objects. `properties` adds property names per object to those that are always read;
    `find_deleted` asks every night which known contacts were deleted for good (a request per 100)."""

    hosts: ClassVar[tuple[str, ...]] = ("api.hubapi.com", "api-eu1.hubapi.com")
    kind: Literal["hubspot"]
    api_version: str = "2026-09"
    requests_per_second: float | None = Field(4.0, gt=0)
    properties: dict[CrmObjectName, list[str]] = Field(default_factory=dict)
    find_deleted: bool = True


class KlaviyoSource(SourceConfig):
    """Klaviyo e-mail events."""

    hosts: ClassVar[tuple[str, ...]] = ("a.klaviyo.com",)
    kind: Literal["klaviyo"]
    api_version: str = "2026-07-15"
    restate_days: int = Field(3, ge=0, le=400)
    page_size: int = Field(1000, ge=1, le=1000)
    requests_per_second: float | None = Field(50.0, gt=0)


class MetaSource(SourceConfig):
    """Meta: an advertising account and a page. Posts older than `comment_days` are not asked for comments."""

    hosts: ClassVar[tuple[str, ...]] = ("graph.facebook.com",)
    kind: Literal["meta"]
    api_version: str = "v25.0"
    restate_days: int = Field(28, ge=0, le=400)
    account: str = Field(pattern=r"^(act_)?[0-9]+$")
    page: str = Field(pattern=r"^[0-9]+$")
    comment_days: int = Field(90, ge=0, le=3650)
    requests_per_second: float | None = Field(10.0, gt=0)


MODELS: dict[str, type[SourceConfig]] = {
    "ga4": Ga4Source,
    "hubspot": HubspotSource,
    "klaviyo": KlaviyoSource,
    "meta": MetaSource,
}


def load_sources(name: str = FILE) -> dict[str, SourceConfig]:
    """The configured sources by their names (``web_analytics``, ``crm``, ``email``, ``social``).

    Raises ConfigError that names file, line, key and what was expected.
    """
    fields: dict[str, Any] = {key: (_model_of(entry), ...) for key, entry in _entries(name).items()}
    model = create_model("Sources", __base__=StrictModel, **fields)
    sources = load_config(name, model)
    return {key: getattr(sources, key).model_copy(update={"name": key}) for key in fields}


def _entries(name: str) -> dict[str, Any]:
    """The raw entries, only to learn each one's kind; what is wrong with the file is said by load_config."""
    try:
        data = yaml.safe_load(config_path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        return {}
    return {str(key): entry for key, entry in data.items()} if isinstance(data, dict) else {}


def _model_of(entry: Any) -> type[SourceConfig]:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    return MODELS.get(kind, SourceConfig) if isinstance(kind, str) else SourceConfig


def _is_local(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("mock", "file") or _is_loopback(parts.hostname)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
