"""How an integration is configured: the fields of each, what they must be, and what may be shown.

A configuration comes as a JSON object. Reading it gives either a configuration or everything that
is wrong with it, by field. A masked value (`****`) is what we show in place of a secret; it is
never taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec

from domain.integration import Preview
from domain.member import EMAIL_RULE, is_email
from domain.vocabulary import Channel

MASK = "****"

TlsMode = Literal["starttls", "tls", "none"]
TLS_MODES: tuple[TlsMode, ...] = ("starttls", "tls", "none")
_SMTP_PORTS: Mapping[TlsMode, int] = {"starttls": 587, "tls": 465, "none": 25}

MAX_TEXT = 2_000
MAX_RECIPIENTS = 50

_ELSEWHERE = {"smtp_port": "is unknown: write smtp_server as host:port"}

_SERVER = re.compile(
    r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>\d{1,5}))?"
)
_APPRISE = re.compile(r"[a-z][a-z0-9+.-]{1,30}://\S+", re.IGNORECASE)
_UNFIT = re.compile(r"[\x00-\x20\x7f]")
_IN_SLACK = re.compile(r"(^|\.)slack\.com(:|$)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SlackConfig(msgspec.Struct, frozen=True, tag="slack"):
    """A Slack incoming webhook; `channel` replaces the one that the webhook was made for."""

    webhook_url: str
    channel: str | None = None

    @property
    def preview(self) -> Preview:
        """What may be shown: a webhook's path is its password."""
        return _shown(webhook_url=masked_url(self.webhook_url), channel=self.channel)


class EmailConfig(msgspec.Struct, frozen=True, tag="email"):
    """A mail server and who writes to whom."""

    host: str
    port: int
    from_email: str
    to: list[str]
    tls: TlsMode = "starttls"
    username: str | None = None
    password: str | None = None

    @property
    def preview(self) -> Preview:
        """What may be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return _shown(
            smtp_server=host if self.port == _SMTP_PORTS[self.tls] else f"{host}:{self.port}",
            from_email=self.from_email,
            to=self.to,
            tls=self.tls,
            username=self.username,
            password=self.password and MASK,
        )


class WebhookConfig(msgspec.Struct, frozen=True, tag="webhook"):
    """Any HTTP receiver; `secret` signs what is sent."""

    url: str
    secret: str | None = None

    @property
    def preview(self) -> Preview:
        """What may be shown: a path may hold a token."""
        return _shown(url=masked_url(self.url), secret=self.secret and MASK)


class AppriseConfig(msgspec.Struct, frozen=True, tag="apprise"):
    """Any service that apprise knows, as its URL."""

    apprise_url: str

    @property
    def preview(self) -> Preview:
        """What may be shown: the service's name."""
        return {"apprise_url": f"{self.apprise_url.partition('://')[0]}://{MASK}"}


Config = SlackConfig | EmailConfig | WebhookConfig | AppriseConfig


class Wrong(NamedTuple):
    """One field and what is wrong with it."""

    field: str
    problem: str


def read_config(channel: Channel, given: Mapping[str, object]) -> Config | list[Wrong]:
    """The configuration that an object of JSON describes, or all that is wrong with it."""
    reading = _Reading(given)
    read = _apprise if reading.has("apprise_url") else _READERS[channel]
    config = read(reading)
    reading.refuse_unknown()
    return reading.wrong or config


def _apprise(reading: _Reading) -> Config:
    return AppriseConfig(reading.required("apprise_url", apprise_url))


def _slack(reading: _Reading) -> Config:
    return SlackConfig(
        reading.required("webhook_url", slack_url), reading.optional("channel", short)
    )


def _webhook(reading: _Reading) -> Config:
    return WebhookConfig(reading.required("url", http_url), reading.optional("secret", short))


def _email(reading: _Reading) -> Config:
    tls = cast("TlsMode", reading.optional("tls", _tls_mode) or "starttls")
    host, port = _server(reading.required("smtp_server", smtp_server), tls)
    config = EmailConfig(
        host=host,
        port=port,
        from_email=reading.required("from_email", email),
        to=reading.emails("to"),
        tls=tls,
        username=reading.optional("username", short),
        password=reading.optional("password", short),
    )
    if (config.username is None) != (config.password is None):
        reading.wrong.append(Wrong("password", "goes with a username, and a username with it"))
    if config.password is not None and tls == "none":
        reading.wrong.append(Wrong("tls", "must not be none where a password is sent"))
    return config


_READERS: Mapping[Channel, Callable[[_Reading], Config]] = {
    "slack": _slack,
    "email": _email,
    "webhook": _webhook,
    "sms": _apprise,
}


class _Reading:
    """Takes fields one by one and collects what is wrong with them."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._known: list[str] = []
        self.wrong: list[Wrong] = []

    def has(self, field: str) -> bool:
        """Whether a field is there and not null."""
        return self._given.get(field) is not None

    def refuse_unknown(self) -> None:
        """Take note of the fields that nobody asked for: who gave them relies on them."""
        for field, value in self._given.items():
            if value is not None and field not in self._known:
                known = f"is unknown: there are {', '.join(self._known)}"
                self.wrong.append(Wrong(field, _ELSEWHERE.get(field, known)))

    def required(self, field: str, check: Check) -> str:
        """A text that must be there."""
        self._known.append(field)
        if not self.has(field):
            self.wrong.append(Wrong(field, "is required"))
            return ""
        return self._text(field, self._given[field], check) or ""

    def optional(self, field: str, check: Check) -> str | None:
        """A text that may be absent or null."""
        self._known.append(field)
        return self._text(field, self._given[field], check) if self.has(field) else None

    def emails(self, field: str) -> list[str]:
        """A list of e-mail addresses, or a single one."""
        self._known.append(field)
        given = self._given.get(field)
        several = given if isinstance(given, list) else [given] if given is not None else []
        if not 1 <= len(several) <= MAX_RECIPIENTS:
            self.wrong.append(Wrong(field, f"must be a list of 1 to {MAX_RECIPIENTS} addresses"))
            return []
        found = [self._text(f"{field}[{n}]", one, email) or "" for n, one in enumerate(several)]
        return list(dict.fromkeys(found))

    def _text(self, field: str, given: object, check: Check) -> str | None:
        if not isinstance(given, str) or not 1 <= len(given.strip()) <= MAX_TEXT:
            self.wrong.append(Wrong(field, f"must be a string of 1 to {MAX_TEXT} characters"))
            return None
        text = given.strip()
        problem = "holds a masked value: give the whole one" if MASK in text else check(text)
        if problem:
            self.wrong.append(Wrong(field, problem))
        return text


Check = Callable[[str], str | None]
"""What is wrong with a text; None if nothing."""


def http_url(text: str) -> str | None:
    """A URL of a web server."""
    expected = "must be an http:// or https:// URL without user and password"
    try:
        url = urlsplit(text)
        fit = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return expected
    if not fit or url.scheme not in ("http", "https") or "@" in url.netloc or _UNFIT.search(text):
        return expected
    return None


def slack_url(text: str) -> str | None:
    """A URL of Slack, over TLS, or of another server that takes the same body."""
    wrong = http_url(text)
    if wrong is not None:
        return wrong
    url = urlsplit(text)
    in_the_open = url.scheme == "http" and _IN_SLACK.search(url.netloc)
    return "must be an https:// URL" if in_the_open else None


def apprise_url(text: str) -> str | None:
    """A URL as apprise writes them; which services there are is for apprise to say."""
    fits = _APPRISE.fullmatch(text) and not _UNFIT.search(text)
    return None if fits else "must be an apprise URL such as twilio://SID:TOKEN@FROM/TO"


def smtp_server(text: str) -> str | None:
    """A mail server with its port, or without."""
    found = _SERVER.fullmatch(text)
    fits = found and (found["port"] is None or 0 < int(found["port"]) < 65_536)
    return None if fits else "must be a host or host:port, such as smtp.example.com:587"


def email(text: str) -> str | None:
    """An e-mail address."""
    return None if is_email(text) else EMAIL_RULE


def short(text: str) -> str | None:
    """A name or a password."""
    fits = len(text) <= 200 and not _CONTROL.search(text)
    return None if fits else "must have at most 200 characters and no control characters"


def _tls_mode(text: str) -> str | None:
    return None if text in TLS_MODES else f"must be one of {', '.join(TLS_MODES)}"


def _server(text: str, tls: TlsMode) -> tuple[str, int]:
    found = _SERVER.fullmatch(text)
    if found is None:
        return "", 0
    return found["host"].strip("[]"), int(found["port"] or _SMTP_PORTS.get(tls, 0))


def masked_url(url: str) -> str:
    """Scheme and host of a URL; everything behind may be a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def _shown(**fields: str | list[str] | None) -> Preview:
    return {name: value for name, value in fields.items() if value}
