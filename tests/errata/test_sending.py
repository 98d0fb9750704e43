"""Queued notifications are sent, again until they are taken, and the log tells what became of
them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from domain.integration import ClearIntegration
from domain.integration_config import AppriseConfig, EmailConfig, SlackConfig, WebhookConfig
from errata.alerting import Surroundings
from infra.clock import utc_now
from infra.event_store.store import EventStore
from projections import outbox
from tests.errata.alert_tools import (
    alerting,
    configured,
    events,
    execute,
    queued,
    settings_of,
    until,
    webhook_to,
)
from tests.infra.receivers import HttpReceiver, http_receiver, self_signed, smtp_receiver
from tests.reports import SOMEBODY
from tests.waiting import PATIENCE

SENT, FAILED = "NotificationSent", "NotificationFailed"
NAME_SERVER = """
import socket

def lead(host, port, *_, **__):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

socket.getaddrinfo = lead
"""
"""What the sending process finds where it starts: every name leads to 10.0.0.1."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    monkeypatch.setattr(outbox, "FIRST_PAUSE", timedelta(seconds=0.2))


async def test_a_message_goes_out_by_every_channel_that_it_is_queued_for(
    store: EventStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        http_receiver() as hook,
        http_receiver(certificate) as slack,
        smtp_receiver() as mailbox,
        alerting(settings_of(database_url, tmp_path)),
    ):
        mail = EmailConfig("127.0.0.1", mailbox.port, "errata@example.com", ["a@b.io"], "none")
        to_slack = SlackConfig(f"https://localhost:{slack.port}/services/x", "#alerts")
        notices = [queued(channel) for channel in ("webhook", "slack", "email")]  # type: ignore[arg-type]
        await execute(
            store,
            configured("webhook", webhook_to(hook, "hush")),
            configured("slack", to_slack),
            configured("email", mail),
            *notices,
        )
        sent = await until(database_url, 3, SENT)
    assert {(one.notification_id, one.channel, one.attempt) for one in sent} == {
        (one.notification_id, one.channel, 1) for one in notices
    }
    (told,) = hook.received
    body = json.loads(told.body)
    assert body["id"] == told.headers["Idempotency-Key"] == str(notices[0].notification_id)
    assert (body["event"], body["severity"], body["app"]) == ("triggered", "high", "default")
    assert body["link"] == "http://errata.example/rules/7"
    assert body["rule"] == {"id": str(notices[0].rule_id), "name": "Many errors"}
    assert [one["kind"] for one in body["alerts"]] == ["triggered"]
    signed = f"{told.headers['X-Errata-Timestamp']}.".encode() + told.body
    signature = hmac.new(b"hush", signed, hashlib.sha256).hexdigest()
    assert told.headers["X-Errata-Signature"] == f"sha256={signature}"
    assert json.loads(slack.received[0].body)["text"].startswith("*Many errors*\n6 occurrences")
    ((_, _, content),) = mailbox.mails
    assert content["Message-ID"] == f"<{notices[2].notification_id}@errata.invalid>"


async def test_what_waited_while_nobody_led_is_sent(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as hook:
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        with alerting(settings_of(database_url, tmp_path)):
            await until(database_url, 1, SENT)
    assert len(hook.received) == 1


async def test_what_was_sent_is_not_sent_again_by_the_next_leader(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as hook:
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        for number in (1, 2, 3):
            with alerting(settings_of(database_url, tmp_path)):
                await execute(store, queued("webhook"))
                await until(database_url, number + 1, SENT)
    keys = [one.headers["Idempotency-Key"] for one in hook.received]
    assert len(keys) == len(set(keys)) == 4


@pytest.mark.usefixtures("quick")
async def test_a_receiver_that_was_away_gets_its_message_in_the_end(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path)):
        hook.status = 503
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        failed = await until(database_url, 2, FAILED)
        hook.status = 200
        (sent,) = await until(database_url, 1, SENT)
    assert [one.attempt for one in failed[:2]] == [1, 2]
    assert failed[0].reason == "the server answered 503"
    pauses = [(one.next_attempt_at - one.at).total_seconds() for one in failed[:2]]
    assert pauses == [pytest.approx(0.2), pytest.approx(0.4)]
    assert sent.attempt == len(hook.received)
    assert len({one.headers["Idempotency-Key"] for one in hook.received}) == 1
    assert len({one.body for one in hook.received}) == 1


@pytest.mark.usefixtures("quick")
async def test_what_nobody_takes_for_a_day_is_given_up(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    ahead = timedelta(0)
    around = Surroundings(clock=lambda: utc_now() + ahead)
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path), around):
        hook.status = 500
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        await until(database_url, 1, FAILED)
        ahead = timedelta(hours=24)
        failed = await until(database_url, 2, FAILED)
    assert [one.next_attempt_at is None for one in failed] == [False, True]


async def test_a_channel_that_is_not_configured_is_given_up_at_once(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path)):
        await execute(store, configured("webhook", webhook_to(hook)), queued("slack"))
        await execute(store, ClearIntegration(integration="webhook"), queued("webhook"))
        failed = await until(database_url, 2, FAILED)
    told = {one.channel: (one.attempt, one.reason, one.next_attempt_at) for one in failed}
    assert told == {
        name: (1, f"{name} is not configured", None)  # type: ignore[comparison-overlap]
        for name in ("slack", "webhook")
    }
    assert hook.received == []


@pytest.mark.usefixtures("quick")
async def test_a_corrected_configuration_delivers_what_waits(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path)):
        wrong = WebhookConfig("http://127.0.0.1:1/")
        await execute(store, configured("webhook", wrong), queued("webhook"))
        await until(database_url, 1, FAILED)
        await execute(store, configured("webhook", webhook_to(hook)))
        await until(database_url, 1, SENT)
    assert len(hook.received) == 1


async def test_a_slow_receiver_keeps_no_other_channel_waiting(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as slow, http_receiver() as hook:
        slow.hang = threading.Event()
        to_slow = AppriseConfig(f"json://127.0.0.1:{slow.port}/")
        with alerting(settings_of(database_url, tmp_path)):
            await execute(
                store,
                configured("sms", to_slow),
                configured("webhook", webhook_to(hook)),
                *(queued("sms") for _ in range(5)),
            )
            async with asyncio.timeout(PATIENCE):
                while len(slow.received) < 2:  # as many as have a place
                    await asyncio.sleep(0.02)
            await execute(store, queued("webhook"))
            (sent,) = await until(database_url, 1, SENT, within=PATIENCE)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 3.0
    assert sent.channel == "webhook"
    assert len(slow.received) == 2


def titles(receiver: HttpReceiver) -> list[str]:
    return [json.loads(one.body)["title"] for one in receiver.received]


async def test_messages_of_one_rule_arrive_in_their_order(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    rule_id = uuid4()
    with http_receiver() as hook:
        await execute(store, configured("webhook", webhook_to(hook)))
        await execute(
            store, *(queued("webhook", title, rule_id=rule_id) for title in ("began", "ended"))
        )
        with alerting(settings_of(database_url, tmp_path)):
            await until(database_url, 2, SENT)
    assert titles(hook) == ["began", "ended"]


async def test_a_message_between_attempts_holds_up_its_own_rule_and_channel_alone(
    store: EventStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver was away when the alert began; its end does not overtake it."""
    monkeypatch.setattr(outbox, "FIRST_PAUSE", timedelta(hours=1))
    ahead, rule_id = timedelta(0), uuid4()
    around = Surroundings(clock=lambda: utc_now() + ahead)
    with (
        http_receiver() as hook,
        http_receiver() as sms,
        alerting(settings_of(database_url, tmp_path), around),
    ):
        hook.status = 503
        to_sms = AppriseConfig(f"json://127.0.0.1:{sms.port}/")
        await execute(store, configured("webhook", webhook_to(hook)), configured("sms", to_sms))
        await execute(store, queued("webhook", "began", rule_id=rule_id))
        await until(database_url, 1, FAILED)
        hook.status = 200
        await execute(store, queued("webhook", "ended", rule_id=rule_id))
        await execute(store, queued("webhook", "other rule"), queued("sms", rule_id=rule_id))
        await until(database_url, 2, SENT)
        assert (titles(hook), len(sms.received)) == (["began", "other rule"], 1)
        ahead = timedelta(hours=1)
        await until(database_url, 4, SENT)
    assert titles(hook) == ["began", "other rule", "began", "ended"]


async def test_what_gathers_while_a_receiver_is_away_is_summed_up(
    store: EventStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", timedelta(hours=1))
    ahead, rule_id = timedelta(0), uuid4()
    around = Surroundings(clock=lambda: utc_now() + ahead)
    names = [*(f"reminder {number}" for number in range(40)), "recovered"]
    first, *gathered = [queued("webhook", name, rule_id=rule_id) for name in ("began", *names)]
    with http_receiver() as hook, alerting(settings_of(database_url, tmp_path), around):
        hook.status = 503
        await execute(store, configured("webhook", webhook_to(hook)), first)
        await until(database_url, 1, FAILED)
        await store.execute_all(gathered, SOMEBODY)
        hook.status = 200
        ahead = timedelta(hours=1)
        sent = await until(database_url, 2, SENT)
    assert titles(hook) == ["began", "began", "recovered (and 40 messages before)"]
    body = json.loads(hook.received[-1].body)
    assert (body["event"], body["count"], len(body["alerts"])) == ("digest", 41, 41)
    assert body["text"].splitlines()[-1] == "and 30 more before"
    assert events(database_url, SENT) == sent
    summary = events(database_url, "NotificationQueued")[-1]
    assert summary.sums_up == tuple(one.notification_id for one in gathered)
    assert [one.notification_id for one in sent] == [first.notification_id, summary.notification_id]


async def test_private_targets_are_refused_with_the_reason(
    store: EventStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(database_url, tmp_path, allow_private_targets=False)
    with http_receiver() as hook, alerting(settings):
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        (failed,) = await until(database_url, 1, FAILED)
    assert "127.0.0.1 is a loopback address" in failed.reason
    assert hook.received == []


async def test_a_name_that_leads_into_the_own_network_is_refused_with_the_reason(
    store: EventStore, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NAME_SERVER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = settings_of(database_url, tmp_path, allow_private_targets=False)
    config = WebhookConfig("https://hooks.example.com/")
    with alerting(settings):
        await execute(store, configured("webhook", config), queued("webhook"))
        (failed,) = await until(database_url, 1, FAILED)
    assert "hooks.example.com: 10.0.0.1 is a private address" in failed.reason


async def test_a_redirect_is_refused_with_the_reason(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    with http_receiver() as target, http_receiver() as hook:
        hook.status, hook.location = 307, f"http://127.0.0.1:{target.port}/"
        with alerting(settings_of(database_url, tmp_path)):
            await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
            (failed,) = await until(database_url, 1, FAILED)
    assert failed.reason == "the server answered 307: redirects are not followed"
    assert target.received == []


async def test_a_configuration_sealed_with_another_key_is_told(
    store: EventStore, database_url: str, tmp_path: Path
) -> None:
    settings = settings_of(database_url, tmp_path, secret_key="another secret key of 32 characters")
    with http_receiver() as hook, alerting(settings):
        await execute(store, configured("webhook", webhook_to(hook)), queued("webhook"))
        (failed,) = await until(database_url, 1, FAILED)
    assert "sealed with another secret key" in failed.reason
    assert failed.next_attempt_at is not None
