"""Tokens: where they are read from, and how they stay out of logs and messages.

A token in the configuration is a reference, ``env:NAME`` (environment or ``.env``) or ``file:/path`` (for
secrets that something else renews). The value is read when it is needed and held in memory only.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from cja_pipeline.config import ConfigError

SECRET_PARAMETERS = frozenset(
    {"access_token", "appsecret_proof", "api_key", "apikey", "hapikey", "token", "key", "client_secret"}
)
_SECRET_IN_TEXT = re.compile(
    r"(?i)\b(access_token|appsecret_proof|api_?key|hapikey|client_secret|token)(=|%3D|\"\s*:\s*\")[^&\s\"']+"
)
_BEARER = re.compile(r"(?i)\b(bearer|klaviyo-api-key|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def read_token(reference: str, setting: str) -> str:
    """The token behind a reference such as ``env:HUBSPOT_TOKEN``.

    `setting` is the place of the reference (``sources.yml: crm.token``) for the ConfigError that is raised
    if the variable or file is missing or empty.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name) or _from_dotenv(name)
        missing = f"the environment variable {name} is not set"
    else:
        path = Path(name)
        value = path.read_text(encoding="utf-8") if path.is_file() else None
        missing = f"the file {path} does not exist"
    if not value or not value.strip():
        raise ConfigError(f"{setting}: {missing}, or is empty; expected the vendor's access token there.")
    return value.strip()


def _from_dotenv(name: str) -> str | None:
    from dotenv import dotenv_values

    return dotenv_values(".env").get(name) if Path(".env").is_file() else None


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` without tokens, secret query parameters and e-mail addresses."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _SECRET_IN_TEXT.sub(lambda match: f"{match[1]}{match[2]}***", text)
    return _EMAIL.sub("<e-mail>", _BEARER.sub(lambda match: f"{match[1]} ***", text))


def without_secrets(url: str) -> str:
    """`url` without query parameters that carry credentials (Graph puts the token into its `next` links)."""
    parts = urlsplit(url)
    if not any(name in SECRET_PARAMETERS for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return url
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in SECRET_PARAMETERS]
    return urlunsplit(parts._replace(query=urlencode(query)))


class RedactingFilter(logging.Filter):
    """Removes credentials from records of the HTTP libraries, which log whole URLs."""

    secrets: ClassVar[set[str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), tuple(self.secrets)), None
        return True


def guard_logs(*secrets: str) -> None:
    """Attach the filter to the loggers of the HTTP libraries (once); `secrets` are removed as well."""
    RedactingFilter.secrets.update(secrets)
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"):
        logger = logging.getLogger(name)
        if not any(isinstance(item, RedactingFilter) for item in logger.filters):
            logger.addFilter(RedactingFilter())
