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
import time
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate
from http.client import HTTPException

import msgspec

from domain.delivery import AlertRef
from domain.integration_config import (
    AppriseConfig,
    EmailConfig,
    SlackConfig,
    WebhookConfig,
)
from domain.notification import Message, Outcome
from domain.vocabulary import Severity
from infra.delivery_order import About, Delivery, RuleRef
from infra.outgoing import Refused, connect, only_public_from_here_on, post

STEP_SECONDS = 8.0
"""Seconds for each step of talking to a server: less than a whole delivery may take."""

_THIS_MACHINE = frozenset({"syslog", "dbus", "kde", "qt", "glib", "gnome", "macosx", "windows"})
"""Services of apprise that show or write something here."""

SIGNATURE = "X-Errata-Signature"
TIMESTAMP = "X-Errata-Timestamp"
IDEMPOTENCY_KEY = "Idempotency-Key"

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook receives, as docs/webhooks.md describes it."""

    event: str
    id: str
    timestamp: datetime
    title: str
    text: str
    severity: Severity | None
    link: str | None
    rule: RuleRef | None
    app: str | None
    count: int
    alerts: tuple[AlertRef, ...]


class _Failed(Exception):
    """Not delivered, for the reason given."""


def deliver(delivery: Delivery) -> Outcome:
    """Send the message, in a process that does nothing else. Never raises for what lies with the
    other side."""
    refusals = [] if delivery.allow_private else only_public_from_here_on()
    try:
        _send(delivery, refusals)
    except _Failed as failed:
        return Outcome(False, str(failed))
    except (OSError, HTTPException, smtplib.SMTPException) as error:
        return Outcome(False, _reason(error))
    return Outcome(True)


def _send(delivery: Delivery, refusals: Sequence[str]) -> None:
    message, about, private = delivery.message, delivery.about, delivery.allow_private
    match delivery.config:
        case SlackConfig() as config:
            _post(config.webhook_url, slack_body(config, message, about.link), {}, private)
        case WebhookConfig() as config:
            body = webhook_body(message, about)
            _post(config.url, body, webhook_headers(config, body, about.key), private)
        case EmailConfig() as config:
            _mail(config, message, about, private)
        case AppriseConfig(apprise_url=url):
            _apprise(url, message.title, _with_link(message.text, about.link), refusals)


def slack_body(config: SlackConfig, message: Message, link: str | None) -> bytes:
    """What a Slack webhook receives. The words of an error reach no one by name and link to
    nothing: Slack takes what stands between < and > for a command."""
    text = f"*{_for_slack(message.title)}*\n{_for_slack(message.text)}"
    if link is not None:
        text += f"\n<{link}|Open in Errata>"
    channel = {"channel": config.channel} if config.channel else {}
    return msgspec.json.encode({"text": text} | channel)


def _for_slack(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text: these three and no others.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def webhook_body(message: Message, about: About) -> bytes:
    """What a webhook receives."""
    return msgspec.json.encode(
        WebhookBody(
            event=message.kind,
            id=about.key,
            timestamp=about.timestamp,
            title=message.title,
            text=message.text,
            severity=message.severity,
            link=about.link,
            rule=about.rule,
            app=about.app,
            count=about.count,
            alerts=about.alerts,
        )
    )


def webhook_headers(config: WebhookConfig, body: bytes, key: str) -> dict[str, str]:
    """The key by which a repetition is known, the time of this attempt, and with a secret the proof
    that body and time are ours."""
    timestamp = str(int(time.time()))
    headers = {IDEMPOTENCY_KEY: key, TIMESTAMP: timestamp}
    if config.secret:
        signed = timestamp.encode() + b"." + body
        signature = hmac.new(config.secret.encode(), signed, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={signature}"
    return headers


def _with_link(text: str, link: str | None) -> str:
    return text if link is None else f"{text}\n\n{link}"


def _post(url: str, body: bytes, headers: dict[str, str], allow_private: bool) -> None:
    always = {"Content-Type": "application/json", "User-Agent": "errata"}
    status = post(url, body, always | headers, seconds=STEP_SECONDS, allow_private=allow_private)
    if 300 <= status < 400:
        raise _Failed(f"the server answered {status}: redirects are not followed")
    if not 200 <= status < 300:
        raise _Failed(f"the server answered {status}")


def _mail(config: EmailConfig, message: Message, about: About, allow_private: bool) -> None:
    mail = EmailMessage()
    mail["Subject"] = _CONTROL.sub(" ", message.title)
    mail["From"] = config.from_email
    mail["To"] = ", ".join(config.to)
    mail["Date"] = formatdate()
    # The same for each attempt, so that mail programs show a repetition once.
    mail["Message-ID"] = f"<{about.key}@errata.invalid>"
    mail.set_content(_with_link(message.text, about.link))
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


def _apprise(url: str, title: str, text: str, refusals: Sequence[str]) -> None:
    import apprise  # slow, and most deliveries do without

    service = apprise.Apprise.instantiate(url)
    if service is None or url.partition("://")[0].lower() in _THIS_MACHINE:
        raise _Failed("apprise does not know such a URL")
    service.redirects = False
    answers = _Answers()
    logging.getLogger("apprise").addHandler(answers)
    if not service.notify(title=title, body=text):
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
