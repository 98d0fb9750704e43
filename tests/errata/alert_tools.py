"""Alerting in a thread of the test, real receivers, and what the log says of the messages."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg

from domain.delivery import AlertRef, QueueNotification
from domain.integration import ConfigureIntegration
from domain.integration_config import Config, WebhookConfig
from domain.message import Command
from domain.notification import Message
from domain.vocabulary import Channel
from errata.alerting import Surroundings, run_alerting
from infra.clock import utc_now
from infra.event_store.codec import from_row
from infra.event_store.reader import read_page
from infra.event_store.store import EventStore
from infra.secrets import SecretBox
from infra.settings import Settings, load_settings
from tests.infra.receivers import HttpReceiver
from tests.reports import SOMEBODY
from tests.waiting import PATIENCE

SECRET_KEY = "a secret key of 32 characters, or more"
JOIN_SECONDS = 5.0


def settings_of(database_url: str, folder: Path, **changes: Any) -> Settings:
    """Settings for alerting on a database; private targets are allowed unless told otherwise."""
    wanted = {
        "database_url": database_url,
        "redis_url": "redis://127.0.0.1:1/0",  # nobody is there, and nobody is needed
        "data_dir": folder,
        "archive": str(folder / "archive"),
        "secret_key": SECRET_KEY,
        "public_url": "http://errata.example",
        "allow_private_targets": True,
    }
    return msgspec.structs.replace(load_settings({}), **(wanted | changes))


@contextmanager
def alerting(
    settings: Settings, surroundings: Surroundings | None = None
) -> Iterator[threading.Thread]:
    """Alerting that leads, for the life of a block."""
    stop = threading.Event()
    thread = threading.Thread(
        target=run_alerting, args=(settings, lambda: True, stop, surroundings), daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive(), "alerting does not stop"


def configured(channel: Channel, config: Config) -> ConfigureIntegration:
    """A command that seals a configuration as the API does."""
    sealed = SecretBox(SECRET_KEY, Path()).seal(msgspec.json.encode(config))
    return ConfigureIntegration(integration=channel, preview=config.preview, sealed=sealed)


def webhook_to(receiver: HttpReceiver, secret: str | None = None) -> WebhookConfig:
    """The configuration of a webhook that leads to a receiver."""
    return WebhookConfig(f"http://127.0.0.1:{receiver.port}/hook", secret)


def queued(channel: Channel, title: str = "Many errors", **changes: Any) -> QueueNotification:
    """A notification of a rule of its own, as the engine queues it."""
    now = utc_now()
    command = QueueNotification(
        notification_id=uuid4(),
        rule_id=uuid4(),
        rule_name="Many errors",
        app="default",
        channel=channel,
        at=now,
        message=Message("triggered", title, "6 occurrences", link="/rules/7", severity="high"),
        alerts=(AlertRef(uuid4(), None, now, "triggered"),),
        count=1,
    )
    return msgspec.structs.replace(command, **changes)


async def execute(store: EventStore, *commands: Command) -> None:
    """Commit commands one after the other."""
    for command in commands:
        await store.execute(command, SOMEBODY)


def events(database_url: str, *names: str) -> list[Any]:
    """The events of the log with these names."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = read_page(connection, after=0, limit=1_000_000)
    return [from_row(row).event for row in rows if row.name in names]


async def until(database_url: str, count: int, *names: str, within: float = PATIENCE) -> list[Any]:
    """The events of these names, once there are so many."""
    async with asyncio.timeout(within):
        while len(found := await asyncio.to_thread(events, database_url, *names)) < count:
            await asyncio.sleep(0.02)
    return found
