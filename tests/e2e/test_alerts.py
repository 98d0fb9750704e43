"""Alerts from outside: over HTTP alone, a rule, six errors, and what real receivers hold."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.instance import Instance
from tests.infra.receivers import HttpReceiver, Mailbox, http_receiver, self_signed, smtp_receiver
from tests.waiting import eventually

RULE = {
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 5,
    "time_window": "5m",
    "enabled": True,
    "notifications": ["slack", "email", "webhook"],
}
SECRET = "the shared secret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, which the instance trusts."""
    return self_signed(tmp_path_factory.mktemp("certificate") / "certificate.pem")


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    with smtp_receiver() as found:
        yield found


@pytest.fixture(scope="module")
def hook() -> Iterator[HttpReceiver]:
    """A receiver of webhooks."""
    with http_receiver() as found:
        yield found


@pytest.fixture(scope="module")
def slack(certificate: Path) -> Iterator[HttpReceiver]:
    """What stands for Slack."""
    with http_receiver(certificate) as found:
        yield found


@pytest.fixture(scope="module")
def instance(
    tmp_path_factory: pytest.TempPathFactory,
    certificate: Path,
    mailbox: Mailbox,
    hook: HttpReceiver,
    slack: HttpReceiver,
) -> Iterator[Instance]:
    """A running instance whose integrations lead to the receivers."""
    folder = tmp_path_factory.mktemp("alerts") / "data"
    environment = {"ALLOW_PRIVATE_TARGETS": "on", "SSL_CERT_FILE": str(certificate)}
    running = Instance(folder, **environment).wait()
    configs: dict[str, dict[str, Any]] = {
        "webhook": {"url": f"http://127.0.0.1:{hook.port}/hook", "secret": SECRET},
        "slack": {"webhook_url": f"https://localhost:{slack.port}/services/x"},
        "email": {
            "smtp_server": f"127.0.0.1:{mailbox.port}",
            "from_email": "errata@example.com",
            "to": ["team@example.com"],
            "tls": "none",
        },
    }
    try:
        for name, config in configs.items():
            path = f"/api/settings/integrations/{name}"
            assert running.client.put(path, json={"config": config}).status_code == 200
        yield running
    finally:
        running.stop()


def told(mailbox: Mailbox, hook: HttpReceiver, slack: HttpReceiver) -> tuple[int, int, int]:
    return len(mailbox.mails), len(hook.received), len(slack.received)


def test_six_errors_reach_people_by_every_channel_within_two_seconds(
    instance: Instance, mailbox: Mailbox, hook: HttpReceiver, slack: HttpReceiver
) -> None:
    created = instance.client.post("/api/alerts/rules", json=RULE)
    assert created.status_code == 201, created.text
    for number in range(6):
        assert instance.report(f"database connection {number} failed").status_code == 201
    sixth = time.monotonic()
    assert eventually(lambda: told(mailbox, hook, slack) == (1, 1, 1))
    assert time.monotonic() - sixth < 2.0
    _check_webhook(hook, created.json()["data"]["id"])
    assert "High Error Rate" in json.loads(slack.received[0].body)["text"]
    ((_, recipients, mail),) = mailbox.mails
    assert recipients == ["team@example.com"]
    assert "High Error Rate" in mail["Subject"]
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert f"http://localhost:{instance.port}/" in text.decode()


def _check_webhook(hook: HttpReceiver, rule_id: str) -> None:
    (one,) = hook.received
    signed = f"{one.headers['X-Errata-Timestamp']}.".encode() + one.body
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert one.headers["X-Errata-Signature"] == f"sha256={signature}"
    body = json.loads(one.body)
    assert body["rule"] == {"id": rule_id, "name": "High Error Rate"}
    assert (body["event"], len(body["alerts"])) == ("triggered", 1)


def test_a_hundred_more_errors_and_a_rebuild_of_everything_send_nothing(
    instance: Instance, mailbox: Mailbox, hook: HttpReceiver, slack: HttpReceiver
) -> None:
    for number in range(100):
        assert instance.report(f"database connection {number} failed").status_code == 201
    socket = next(instance.folder.rglob("redis*.sock"))
    with redis.Redis(unix_socket_path=str(socket)) as client:
        client.flushall()
    assert eventually(lambda: total(instance) == 106)
    time.sleep(1.5)
    assert told(mailbox, hook, slack) == (1, 1, 1)


def total(instance: Instance) -> int:
    found = instance.client.get("/api/stats").json()
    return int(found.get("data", {}).get("total_occurrences", -1))


def test_metrics_tell_what_was_sent(instance: Instance) -> None:
    shown = instance.client.get("/metrics").text
    for channel in ("email", "slack", "webhook"):
        line = f'errata_notifications_total{{channel="{channel}",outcome="sent"}} 1.0'
        assert line in shown
    assert "errata_notifications_waiting 0.0" in shown
    assert "errata_alerting_lag_events 0.0" in shown
