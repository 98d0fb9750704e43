"""The process that sends one message: told what on stdin, it says on stdout what became of it."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import smtplib
import socket
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPException

import msgspec

from domain.integration_config import (
    AppriseConfig,
    Config,
    EmailConfig,
    SlackConfig,
    WebhookConfig,
)
from domain.notification import Message, Outcome
from infra.notifications import Delivery
from infra.outgoing import Refused, connect, only_public_from_here_on, post

STEP_SECONDS = 8.0
"""Seconds for each step of talking to a server: less than a whole delivery may take."""

_THIS_MACHINE = frozenset({"syslog", "dbus", "kde", "qt", "glib", "gnome", "macosx", "windows"})
"""Services of apprise that show or write something here."""

SIGNATURE = "X-Errata-Signature"


class _Failed(Exception):
    """Not delivered, for the reason given."""


def deliver(delivery: Delivery) -> Outcome:
    """Send the message, in a process that does nothing else. Never raises for what lies with the
    other side."""
    refusals = [] if delivery.allow_private else only_public_from_here_on()
    try:
        _send(delivery.config, delivery.message, delivery.allow_private, refusals)
    except _Failed as failed:
        return Outcome(False, str(failed))
    except (OSError, HTTPException, smtplib.SMTPException) as error:
        return Outcome(False, _reason(error))
    return Outcome(True)


def _send(config: Config, message: Message, allow_private: bool, refusals: Sequence[str]) -> None:
    match config:
        case SlackConfig():
            body = {"text": f"*{message.title}*\n{message.text}"}
            channel = {"channel": config.channel} if config.channel else {}
            _post(config.webhook_url, msgspec.json.encode(body | channel), {}, allow_private)
        case WebhookConfig():
            _webhook(config, message, allow_private)
        case EmailConfig():
            _mail(config, message, allow_private)
        case AppriseConfig():
            _apprise(config.apprise_url, message, refusals)


def _webhook(config: WebhookConfig, message: Message, allow_private: bool) -> None:
    body = msgspec.json.encode(
        {
            "event": message.kind,
            "title": message.title,
            "text": message.text,
            "timestamp": datetime.now(UTC),
        }
    )
    headers = {}
    if config.secret:
        signature = hmac.new(config.secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={signature}"
    _post(config.url, body, headers, allow_private)


def _post(url: str, body: bytes, headers: dict[str, str], allow_private: bool) -> None:
    always = {"Content-Type": "application/json", "User-Agent": "errata"}
    status = post(url, body, always | headers, seconds=STEP_SECONDS, allow_private=allow_private)
    if 300 <= status < 400:
        raise _Failed(f"the server answered {status}: redirects are not followed")
    if not 200 <= status < 300:
        raise _Failed(f"the server answered {status}")


def _mail(config: EmailConfig, message: Message, allow_private: bool) -> None:
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = config.from_email
    mail["To"] = ", ".join(config.to)
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain="errata.invalid")
    mail.set_content(message.text)
    with _smtp(config, allow_private) as server:
        if config.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if config.username is not None and config.password is not None:
            server.login(config.username, config.password)
        refused = server.send_message(mail)
    if refused:
        raise _Failed(f"the mail server refused {', '.join(refused)}")


def _smtp(config: EmailConfig, allow_private: bool) -> smtplib.SMTP:
    class Server(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
            sock = connect(host, port, seconds=timeout, allow_private=allow_private)
            if config.tls != "tls":
                return sock
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)

    return Server(config.host, config.port, timeout=STEP_SECONDS)


def _apprise(url: str, message: Message, refusals: Sequence[str]) -> None:
    import apprise  # slow, and most deliveries do without

    service = apprise.Apprise.instantiate(url)
    if service is None or url.partition("://")[0].lower() in _THIS_MACHINE:
        raise _Failed("apprise does not know such a URL")
    service.redirects = False
    answers = _Answers()
    logging.getLogger("apprise").addHandler(answers)
    if not service.notify(title=message.title, body=message.text):
        known = refusals[0] if refusals else answers.reason
        raise _Failed(known or "the service cannot be reached, or did not take the message")


class _Answers(logging.Handler):
    """Finds a service's answer in what apprise logs, and leaves the rest, which may be secret."""

    reason: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        found = re.search(r"\berror=([1-5]\d\d)\b", record.getMessage())
        if found:
            self.reason = f"the service answered {found[1]}"


# What the other side says is not repeated: it may hold a secret. The first that fits counts.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "the server does not answer in time"),
    (smtplib.SMTPNotSupportedError, "the mail server does not offer STARTTLS, or no login"),
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted"),
    (ssl.SSLError, "the server does not speak TLS as it should"),
    (socket.gaierror, "the host name is unknown"),
    (HTTPException, "the server does not speak HTTP as it should"),
)


def _reason(error: Exception) -> str:
    match error:
        case Refused():
            return error.reason
        case smtplib.SMTPAuthenticationError():
            return f"the mail server refused username or password ({error.smtp_code})"
        case smtplib.SMTPRecipientsRefused():
            return f"the mail server refused {', '.join(error.recipients)}"
        case smtplib.SMTPResponseException():
            return f"the mail server answered {error.smtp_code}"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or "the connection was lost").lower()


def main() -> None:
    """Read a delivery, send it, write the outcome."""
    delivery = msgspec.json.decode(sys.stdin.buffer.read(), type=Delivery)
    sys.stdout.buffer.write(msgspec.json.encode(deliver(delivery)))


if __name__ == "__main__":
    main()
