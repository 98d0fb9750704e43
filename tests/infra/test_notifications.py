"""Messages really sent, to real receivers on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from pathlib import Path

import pytest

from domain.integration_config import (
    AppriseConfig,
    Config,
    EmailConfig,
    SlackConfig,
    WebhookConfig,
)
from domain.notification import Message, Outcome
from infra.notifications import Notifier
from tests.infra.receivers import http_receiver, self_signed, smtp_receiver

MESSAGE = Message("test", "Hello", "How are you?")


def send(config: Config, *, allow_private: bool = True, seconds: float = 10) -> Outcome:
    return Notifier(allow_private=allow_private, seconds=seconds).send_blocking(config, MESSAGE)


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
    told = json.loads(one.body)
    assert (told["event"], told["title"], told["text"]) == ("test", "Hello", "How are you?")
    signature = hmac.new(b"hush", one.body, hashlib.sha256).hexdigest()
    assert one.headers["X-Errata-Signature"] == f"sha256={signature}"


def test_slack_gets_a_text_and_a_channel_over_tls(certificate: Path) -> None:
    with http_receiver(certificate) as receiver:
        config = SlackConfig(f"https://localhost:{receiver.port}/services/T/B/x", "#alerts")
        assert send(config) == Outcome(True)
        (one,) = receiver.received
    assert json.loads(one.body) == {"text": "*Hello*\nHow are you?", "channel": "#alerts"}


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
    assert (content["Subject"], content.get_payload().strip()) == ("Hello", "How are you?")


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
