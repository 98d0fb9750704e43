"""Messages to people, through the integrations that are configured.

Each message is sent by a process of its own (`infra.delivery`): it can be stopped when it takes too
long, whatever it hangs in, and the libraries that know a hundred services stay out of the servers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from uuid import uuid4

import msgspec
import structlog

from domain.integration_config import Config
from domain.notification import Message, Outcome
from infra.clock import utc_now
from infra.delivery_order import About, Delivery

log = structlog.get_logger("errata.notifications")

SECONDS = 10.0
"""How long a message may take before it counts as not sent."""

# Nothing else of ours is the child's business: its environment holds no database and no key.
_INHERITED = "PATH PYTHONPATH SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE LANG TZ".split()


class Notifier:
    """Sends messages. Private and loopback addresses are refused unless `allow_private`."""

    def __init__(self, *, allow_private: bool, seconds: float = SECONDS) -> None:
        self._allow_private = allow_private
        self._seconds = seconds

    async def send(self, config: Config, message: Message, about: About | None = None) -> Outcome:
        """Send one message; what became of it, after at most its seconds. Cancelled, it stops
        sending, and whether the message had gone by then is unknown."""
        about = about or About(key=str(uuid4()), timestamp=utc_now())
        told = msgspec.json.encode(Delivery(config, message, about, self._allow_private))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.delivery"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # what it says may hold the configuration
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
        )
        try:
            async with asyncio.timeout(self._seconds):
                said, _ = await process.communicate(told)
        except TimeoutError:
            return Outcome(False, f"no answer within {self._seconds:g} seconds")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # it has just ended by itself
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            log.error("the sending process failed", status=process.returncode)
            return Outcome(False, "the sending process failed")
        return msgspec.json.decode(said, type=Outcome)
