"""Messages really sent, to real receivers on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from domain.delivery import AlertRef
from domain.integration_config import (
    AppriseConfig,
    Config,
    EmailConfig,
    SlackConfig,
    WebhookConfig,
)
from domain.notification import Message, Outcome
from infra.delivery import slack_body
from infra.delivery_order import About, RuleRef
from infra.notifications import Notifier
from tests.infra.receivers import http_receiver, self_signed, smtp_receiver

MESSAGE = Message("test", "Hello", "How are you?", severity="high")
ABOUT = About(
    key="0c9ad0d6-1111-4222-8333-123456789abc",
    timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    link="http://errata.example/api/errors/1",
    rule=RuleRef(UUID(int=1), "Many errors"),
    app="shop",
    count=1,
    alerts=(AlertRef(UUID(int=2), None, datetime(2026, 1, 1, tzinfo=UTC), "triggered"),),
)


def send(config: Config, *, allow_private: bool = True, seconds: float = 10) -> Outcome:
    notifier = Notifier(allow_private=allow_private, seconds=seconds)
    return asyncio.run(notifier.send(config, MESSAGE, ABOUT))


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for localhost, trusted by the sending process."""
    path = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def mail(port: int, **changes: object) -> EmailConfig:
    settings: dict[str, object] = {
        "host": "localhost",
        "port": port,
        "from_email": "alerts@example.com",
        "to": ["ann@example.com", "bob@example.com"],
        "tls": "none",
    }
    return EmailConfig(**(settings | changes))  # type: ignore[arg-type]


def test_a_webhook_gets_json_that_it_can_verify() -> None:
    with http_receiver() as receiver:
        config = WebhookConfig(f"http://127.0.0.1:{receiver.port}/hook", "hush")
        assert send(config) == Outcome(True)
        (one,) = receiver.received
    assert one.path == "/hook"
    assert json.loads(one.body) == {
        "event": "test",
        "id": ABOUT.key,
        "timestamp": "2026-01-01T00:00:00Z",
        "title": "Hello",
        "text": "How are you?",
        "severity": "high",
        "link": "http://errata.example/api/errors/1",
        "rule": {"id": str(UUID(int=1)), "name": "Many errors"},
        "app": "shop",
        "count": 1,
        "alerts": [
            {
                "event_id": str(UUID(int=2)),
                "error_id": None,
                "at": "2026-01-01T00:00:00Z",
                "kind": "triggered",
            }
        ],
    }
    assert one.headers["Idempotency-Key"] == ABOUT.key
    timestamp = one.headers["X-Errata-Timestamp"]
    assert abs(time.time() - int(timestamp)) < 60
    signature = hmac.new(b"hush", f"{timestamp}.".encode() + one.body, hashlib.sha256).hexdigest()
    assert one.headers["X-Errata-Signature"] == f"sha256={signature}"


def test_a_webhook_without_a_secret_is_not_signed() -> None:
    with http_receiver() as receiver:
        assert send(WebhookConfig(f"http://127.0.0.1:{receiver.port}/")) == Outcome(True)
        (one,) = receiver.received
    assert "X-Errata-Signature" not in one.headers
    assert one.headers["Idempotency-Key"] == ABOUT.key


def test_slack_gets_a_text_and_a_channel_over_tls(certificate: Path) -> None:
    with http_receiver(certificate) as receiver:
        config = SlackConfig(f"https://localhost:{receiver.port}/services/T/B/x", "#alerts")
        assert send(config) == Outcome(True)
        (one,) = receiver.received
    text = "*Hello*\nHow are you?\n<http://errata.example/api/errors/1|Open in Errata>"
    assert json.loads(one.body) == {"text": text, "channel": "#alerts"}


def test_the_words_of_an_error_command_nothing_in_slack() -> None:
    message = Message("triggered", "<!channel> a & b", "see <http://evil.example|here>")
    body = json.loads(slack_body(SlackConfig("https://slack.example/"), message, None))
    assert body["text"] == ("*&lt;!channel&gt; a &amp; b*\nsee &lt;http://evil.example|here&gt;")


def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    with http_receiver(self_signed(tmp_path / "unknown.pem")) as receiver:
        outcome = send(SlackConfig(f"https://localhost:{receiver.port}/"))
        assert outcome == Outcome(False, "the server's certificate is not trusted")
        assert receiver.received == []


def test_a_mail_arrives_at_everybody() -> None:
    with smtp_receiver() as mailbox:
        assert send(mail(mailbox.port)) == Outcome(True)
        ((sender, recipients, content),) = mailbox.mails
    assert (sender, recipients) == ("alerts@example.com", ["ann@example.com", "bob@example.com"])
    text = content.get_payload().split()
    assert (content["Subject"], " ".join(text[:-1])) == ("Hello", "How are you?")
    assert text[-1] == ABOUT.link
    assert content["Message-ID"] == f"<{ABOUT.key}@errata.invalid>"


def test_a_title_of_several_lines_adds_no_header_to_a_mail() -> None:
    message = Message("triggered", "Boom\r\nBcc: eve@example.com", "text")
    with smtp_receiver() as mailbox:
        notifier = Notifier(allow_private=True)
        assert asyncio.run(notifier.send(mail(mailbox.port), message)) == Outcome(True)
        ((_, recipients, content),) = mailbox.mails
    assert content["Subject"] == "Boom Bcc: eve@example.com"
    assert (content["Bcc"], len(recipients)) == (None, 2)


def test_a_login_goes_over_starttls(certificate: Path) -> None:
    with smtp_receiver(certificate) as mailbox:
        config = mail(mailbox.port, tls="starttls", username="ann", password="secret")
        assert send(config) == Outcome(True)
        assert (mailbox.logins, len(mailbox.mails)) == ([b"ann"], 1)


def test_a_refused_login_is_told_without_the_password(certificate: Path) -> None:
    with smtp_receiver(certificate) as mailbox:
        config = mail(mailbox.port, tls="starttls", username="ann", password="hunter2")
        outcome = send(config)
    assert outcome == Outcome(False, "the mail server refused username or password (535)")


def test_a_server_without_starttls_gets_no_mail() -> None:
    with smtp_receiver() as mailbox:
        outcome = send(mail(mailbox.port, tls="starttls"))
        assert outcome == Outcome(False, "the mail server does not offer STARTTLS, or no login")
        assert mailbox.mails == []


def test_a_mail_server_that_refuses_is_quoted_by_its_code() -> None:
    with smtp_receiver() as mailbox:
        mailbox.refuse = "554 not here"
        assert send(mail(mailbox.port)) == Outcome(False, "the mail server answered 554")


def test_any_service_that_apprise_knows_is_reached() -> None:
    with http_receiver() as receiver:
        outcome = send(AppriseConfig(f"json://127.0.0.1:{receiver.port}/path"))
        assert outcome == Outcome(True)
        (one,) = receiver.received
    assert json.loads(one.body)["title"] == "Hello"


def test_a_service_that_apprise_does_not_know_is_told() -> None:
    assert send(AppriseConfig("nobody://knows/this")).reason == "apprise does not know such a URL"


def test_what_an_apprise_service_answers_is_told_by_its_status() -> None:
    with http_receiver() as receiver:
        receiver.status = 403
        outcome = send(AppriseConfig(f"json://user:hunter2@127.0.0.1:{receiver.port}/"))
    assert outcome == Outcome(False, "the service answered 403")


def test_apprise_follows_no_redirect() -> None:
    with http_receiver() as target, http_receiver() as receiver:
        receiver.status, receiver.location = 302, f"http://127.0.0.1:{target.port}/"
        assert not send(AppriseConfig(f"json://127.0.0.1:{receiver.port}/")).succeeded
        assert target.received == []


def test_private_targets_are_refused_whatever_sends() -> None:
    with http_receiver() as receiver, smtp_receiver() as mailbox:
        for config in (
            WebhookConfig(f"http://localhost:{receiver.port}/"),
            SlackConfig(f"https://localhost:{receiver.port}/"),
            AppriseConfig(f"json://localhost:{receiver.port}/"),
            mail(mailbox.port),
        ):
            outcome = send(config, allow_private=False)
            assert "loopback address" in str(outcome.reason), config
        assert (receiver.received, mailbox.mails) == ([], [])


def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    with http_receiver() as receiver:
        receiver.hang = threading.Event()
        config = WebhookConfig(f"http://127.0.0.1:{receiver.port}/")
        assert send(config, seconds=1.5) == Outcome(False, "no answer within 1.5 seconds")


@pytest.mark.parametrize(("status", "reason"), [(404, "answered 404"), (302, "redirects are not")])
def test_an_answer_that_is_no_success_is_told(status: int, reason: str) -> None:
    with http_receiver() as receiver:
        receiver.status = status
        outcome = send(WebhookConfig(f"http://127.0.0.1:{receiver.port}/secret-path"))
    assert reason in str(outcome.reason)
    assert "secret-path" not in str(outcome.reason)
