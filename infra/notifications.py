"""Messages to people, through the integrations that are configured.

Each message is sent by a process of its own (`infra.delivery`): it can be stopped when it takes too
long, whatever it hangs in, and the libraries that know a hundred services stay out of the servers.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import msgspec
import structlog

from domain.integration_config import Config
from domain.notification import Message, Outcome

log = structlog.get_logger("errata.notifications")

SECONDS = 10.0
"""How long a message may take before it counts as not sent."""

# Nothing else of ours is the child's business: its environment holds no database and no key.
_INHERITED = "PATH PYTHONPATH SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE LANG TZ".split()


class Delivery(msgspec.Struct, frozen=True):
    """What the sending process is told."""

    config: Config
    message: Message
    allow_private: bool


class Notifier:
    """Sends messages. Private and loopback addresses are refused unless `allow_private`."""

    def __init__(self, *, allow_private: bool, seconds: float = SECONDS) -> None:
        self._allow_private = allow_private
        self._seconds = seconds

    async def send(self, config: Config, message: Message) -> Outcome:
        """Send one message; what became of it, after at most its seconds."""
        return await asyncio.to_thread(self.send_blocking, config, message)

    def send_blocking(self, config: Config, message: Message) -> Outcome:
        """The same, where there is no event loop."""
        delivery = Delivery(config, message, self._allow_private)
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "infra.delivery"],
                input=msgspec.json.encode(delivery),
                capture_output=True,
                timeout=self._seconds,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                check=True,
            )
        except subprocess.TimeoutExpired:
            return Outcome(False, f"no answer within {self._seconds:g} seconds")
        except subprocess.CalledProcessError as error:
            # What it said may hold the configuration, so only how it ended is for the log.
            log.error("the sending process failed", status=error.returncode)
            return Outcome(False, "the sending process failed")
        return msgspec.json.decode(ended.stdout, type=Outcome)
