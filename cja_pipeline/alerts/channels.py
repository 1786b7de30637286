"""Where alerts go: a webhook (JSON) and e-mail (SMTP), both from settings."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from cja_pipeline.alerts.incidents import Incident
from cja_pipeline.settings import Settings
from cja_pipeline.sources.bodies import bounded
from cja_pipeline.sources.credentials import guard_logs
from cja_pipeline.sources.errors import Transient

TIMEOUT_SECONDS = 10.0  # per read; the other side may trickle, so all together:
PATIENCE_SECONDS = 30.0
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ChannelError(ValueError):
    """A setting of a channel is wrong, or the other side refused; the message holds no secret."""


class Channel(Protocol):
    """Something that can be told."""

    @property
    def name(self) -> str:
        """What the book of incidents calls it."""

    def send(self, subject: str, began: list[Incident], over: list[Incident]) -> None:
        """Deliver or raise ChannelError; callers use the function `send`, which has a time limit."""


@dataclass(frozen=True)
class Webhook:
    """One POST of JSON: `text` for chat rooms, `began` and `over` for machines. No redirect is followed."""

    url: str
    name: str = "webhook"

    def send(self, subject: str, began: list[Incident], over: list[Incident]) -> None:
        import httpx

        content = {
            "text": f"{subject}\n{body(began, over)}".strip(),
            "began": [_facts(one) for one in began],
            "over": [_facts(one) for one in over],
        }
        try:
            target = httpx.URL(self.url)  # its path is what keeps strangers out, and httpx logs addresses
            guard_logs(*(part.decode() for part in (target.raw_path, target.userinfo) if len(part) > 1))
            with httpx.stream("POST", target, json=content, timeout=TIMEOUT_SECONDS) as answer:
                good, status = answer.is_success, answer.status_code  # nobody reads what it says
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ChannelError(f"webhook: {type(error).__name__}") from None  # the URL may hold a secret
        if not good:
            raise ChannelError(f"webhook: answered {status}")


@dataclass(frozen=True)
class Mail:
    """One e-mail. ``smtps://`` speaks TLS from the start, ``smtp://`` changes to it where it is offered and
    must before a password is sent to another machine."""

    url: str
    sender: str
    recipients: tuple[str, ...]
    name: str = "mail"

    def send(self, subject: str, began: list[Incident], over: list[Incident]) -> None:
        try:
            message = EmailMessage()
            message["Subject"] = subject
            message["From"] = self.sender
            message["To"] = ", ".join(self.recipients)
            message["Date"] = formatdate()
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(body(began, over))
            self._deliver(message)
        except ChannelError:
            raise
        except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: a setting's characters
            raise ChannelError(f"mail: {type(error).__name__}") from None

    def _deliver(self, message: EmailMessage) -> None:
        place = urlsplit(self.url)
        host, user = place.hostname or "", unquote(place.username or "")
        secure = ssl.create_default_context()
        if place.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, place.port or 465, timeout=TIMEOUT_SECONDS, context=secure
            )
        else:
            server = smtplib.SMTP(host, place.port or 587, timeout=TIMEOUT_SECONDS)
        with server:
            server.ehlo()
            encrypted = place.scheme == "smtps"
            if not encrypted and server.has_extn("starttls"):
                server.starttls(context=secure)
                encrypted = True
            if user:
                if not encrypted and host not in LOOPBACK:
                    raise ChannelError("mail: the server offers no encryption; the password is not sent")
                server.login(user, unquote(place.password or ""))
            server.send_message(message)


def channels(settings: Settings) -> list[Channel]:
    """The channels that are set; none is a quiet installation.

    Raises:
        ChannelError: a setting cannot be used; the message names it and what was expected.
    """
    found: list[Channel] = []
    if settings.alert_webhook is not None:
        url = settings.alert_webhook.get_secret_value()
        if not is_url(url, "http", "https"):
            raise ChannelError("CJA_ALERT_WEBHOOK: expected a URL that begins with https:// or http://")
        found.append(Webhook(url))
    if settings.alert_smtp is not None:
        url = settings.alert_smtp.get_secret_value()
        if not is_url(url, "smtp", "smtps"):
            raise ChannelError("CJA_ALERT_SMTP: expected smtp://user:password@host:587 or smtps://…")
        recipients = tuple(part.strip() for part in (settings.alert_to or "").split(",") if part.strip())
        if not recipients or not all(is_address(one) for one in recipients):
            raise ChannelError("CJA_ALERT_TO: expected one or more addresses, joined by commas")
        sender = (settings.alert_from or recipients[0]).strip()
        if not is_address(sender):
            raise ChannelError("CJA_ALERT_FROM: expected one address")
        found.append(Mail(url, sender, recipients))
    return found


def is_url(text: str, *schemes: str) -> bool:
    """Whether a setting has one of these schemes, a host, and a port that is a number if it has one."""
    try:
        place = urlsplit(text)
        return place.scheme in schemes and bool(place.hostname) and place.port != 0
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a setting is one address and nothing else: no line break that would begin another header."""
    return "@" in text and text.isprintable()


def send(channel: Channel, subject: str, began: list[Incident], over: list[Incident]) -> None:
    """Deliver within `PATIENCE_SECONDS`, however slowly the other side answers, or raise ChannelError."""
    try:
        bounded(lambda: channel.send(subject, began, over), PATIENCE_SECONDS)
    except Transient:
        raise ChannelError(f"{channel.name}: not delivered within {PATIENCE_SECONDS:.0f} s") from None


def body(began: list[Incident], over: list[Incident]) -> str:
    """The incidents as text, one per paragraph: what, since when, where to look."""
    lines = [f"NEW  {one.title}\n     since {one.opened_at}\n     {one.link}" for one in began]
    lines += [f"OVER {one.title}\n     from {one.opened_at} to {one.over_at}" for one in over]
    return "\n\n".join(lines)


def _facts(one: Incident) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "key": one.key,
        "title": one.title,
        "link": one.link,
        "opened_at": one.opened_at,
        "over_at": one.over_at,
    }
