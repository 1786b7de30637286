"""Where things are and how much machine they may use: one typed object from the environment and `.env`.

Everything here is about the installation. Everything about the shop (time zone, channels, KPIs, sources)
is data in ``cja_pipeline/config`` and may be overridden file by file in the folder that `CJA_CONFIG` names.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEMORY = re.compile(r"\d+(\.\d+)?\s*(%|b(ytes?)?|[kmgt](i?b)?|(kilo|mega|giga|tera)bytes?)", re.IGNORECASE)
PRIVATE = 0o077  # umask: folders 0700, files 0600
ENV_FILE = "CJA_ENV_FILE"  # another file than `.env`; empty: none


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and what was expected, no secret."""


class Settings(BaseSettings):
    """Installation settings; each field is the environment variable ``CJA_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="CJA_", extra="ignore")

    home: Path = Field(default=Path(".cja"), description="Folder of all data and reports.")
    database_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the serving database."
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL URL of Dagster's run history; default files in home."
    )
    warehouse: str | None = Field(
        default=None,
        description="DuckDB file of the warehouse, default in home; or spark://… or sc://… (docs/spark.md).",
    )
    lake: Path | None = Field(
        default=None, description="On Spark: folder of its Parquet files, the same path on every machine."
    )
    driver: Path | None = Field(
        default=None, description="On Spark: DuckDB file of the driver, default in home."
    )
    config: Path | None = Field(default=None, description="Folder whose YAML files replace the shipped ones.")
    secret_key: SecretStr | None = Field(default=None, description="HMAC key for pseudonyms.")
    previous_keys: SecretStr | None = Field(
        default=None, description="Earlier HMAC keys, joined by commas: erasures were noted under them."
    )
    memory_limit: str = Field(default="1500MB", description="DuckDB memory limit.")
    threads: int = Field(default_factory=lambda: min(4, os.cpu_count() or 2), ge=1)
    report_base_url: str | None = Field(
        default=None, description="Where reports are served, for links in the UI."
    )

    alert_webhook: SecretStr | None = Field(default=None, description="URL that alerts are posted to.")
    alert_smtp: SecretStr | None = Field(
        default=None, description="smtp://user:password@host:587 or smtps://… that alerts are mailed by."
    )
    alert_to: str | None = Field(default=None, description="Addresses for alerts, joined by commas.")
    alert_from: str | None = Field(default=None, description="Sender of alerts; default the first address.")

    @field_validator("memory_limit")
    @classmethod
    def _memory(cls, value: str) -> str:
        if not MEMORY.fullmatch(value.strip()):
            raise ValueError(f"expected a number and its unit such as 1500MB or 4GB, got {value!r}")
        return value.strip()

    @property
    def has_alerts(self) -> bool:
        """Whether somebody is to be told."""
        return self.alert_webhook is not None or self.alert_smtp is not None

    @property
    def landing_dir(self) -> Path:
        return self.home / "landing"

    @property
    def world_dir(self) -> Path:
        return self.home / "world"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @property
    def decisions_dir(self) -> Path:
        """What people decided; survives a rebuild of the warehouse."""
        return self.home / "decisions"

    @property
    def privacy_dir(self) -> Path:
        """Erasures under way and their certificates."""
        return self.home / "privacy"

    @property
    def spark_url(self) -> str | None:
        """Where Spark is, if models run there."""
        return self.warehouse if (self.warehouse or "").startswith(("spark://", "sc://")) else None

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file; with Spark, the file of the driver."""
        named = self.driver if self.spark_url else self.warehouse
        if named:
            return Path(named)
        return self.home / "warehouse.duckdb"

    @property
    def lake_dir(self) -> Path:
        return self.lake or self.home / "lake"

    @property
    def published_path(self) -> Path:
        return self.home / "published.db"

    @property
    def published_url(self) -> str:
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.published_path}"

    def hmac_key(self) -> bytes:
        """The pseudonymisation key: `CJA_SECRET_KEY`, or a development key kept in home (mode 0600)."""
        if self.secret_key:
            return self.secret_key.get_secret_value().encode()
        path = self.home / "development.key"
        if not path.exists():
            self.prepare()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_hex(32))
        return path.read_text().strip().encode()

    def earlier_keys(self) -> list[bytes]:
        """The keys of `CJA_PREVIOUS_KEYS`, newest first."""
        if self.previous_keys is None:
            return []
        return [
            key.strip().encode() for key in self.previous_keys.get_secret_value().split(",") if key.strip()
        ]

    @property
    def uses_development_key(self) -> bool:
        return self.secret_key is None

    def prepare(self) -> Settings:
        """Create the home folder, readable by its owner only, and return self.

        From here on every file of this process is its owner's alone: landings hold personal data.
        """
        os.umask(PRIVATE)
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process-wide settings; paths are made absolute so that later `chdir` calls change nothing.

    Raises:
        SettingsError: a variable, in the environment or in `.env`, cannot be used.
    """
    try:
        settings = Settings(_env_file=os.environ.get(ENV_FILE, ".env") or None)  # type: ignore[call-arg]
    except ValidationError as error:
        faults = [f"CJA_{fault['loc'][0]}".upper() + f": {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(faults).replace("Value error, ", "")) from None
    settings.home = settings.home.expanduser().resolve()
    if settings.lake is not None:
        settings.lake = settings.lake.expanduser().resolve()
    if settings.driver is not None:
        settings.driver = settings.driver.expanduser().resolve()
    if settings.config is not None:
        settings.config = settings.config.expanduser().resolve()
        if not settings.config.is_dir():
            raise SettingsError(f"CJA_CONFIG names {settings.config}, which is not a folder.")
    return settings


@contextmanager
def other_settings(**variables: str | None) -> Iterator[None]:
    """Let this process, and those it starts, have other settings for a while.

    Args:
        variables: environment variables and their values; None: not set.
    """
    before = {name: os.environ.get(name) for name in variables}
    _set_variables(variables)
    try:
        yield
    finally:
        _set_variables(before)


@contextmanager
def own_home(home: Path, **variables: str) -> Iterator[None]:
    """Let this process work in a home of its own for a while, as trials do: whatever the installation names
    (warehouse, databases, configuration, keys, alerts), in the environment or in `.env`, is not there.

    Only how much of the machine may be used stays. `variables` are set as in `other_settings`.
    """
    here = get_settings()
    others = dict.fromkeys((name for name in os.environ if name.startswith("CJA_")), None)
    limits = {"CJA_MEMORY_LIMIT": here.memory_limit, "CJA_THREADS": str(here.threads)}
    own = {"CJA_HOME": str(home), "DAGSTER_HOME": None, ENV_FILE: "", **limits, **variables}
    with other_settings(**others | own):
        yield


def _set_variables(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    get_settings.cache_clear()
