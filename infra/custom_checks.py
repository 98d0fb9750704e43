"""Looks at what people want to be looked at: a URL that has to answer, a port that has to be open.

Where connections may go, and that names cannot be made to lead elsewhere, is `infra.outgoing`'s.
Redirects are not followed: the answer to the URL itself is what counts.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPException
from time import perf_counter
from urllib.parse import urlsplit
from uuid import UUID

from domain.check import check_service
from domain.check_settings import CheckSettings
from domain.observation import Look
from infra.outgoing import Refused, connect, exchange

AT_ONCE = 8
"""Checks that run at the same time; the others wait, and their time begins after that."""

# A name that resolves slowly may outlast its check, so there are more threads than checks.
_THREADS = 4 * AT_ONCE


class CheckRunner:
    """Runs checks in a few threads. `close` after use."""

    def __init__(self, clock: Callable[[], datetime], *, allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")

    async def look(self, check_id: UUID, settings: CheckSettings) -> Look:
        """Run one check; what goes wrong is what it found. A target that we do not connect to is
        unknown: nobody has looked at it."""
        service = check_service(check_id)
        async with self._slots:
            at, started = self._clock(), perf_counter()
            work = asyncio.get_running_loop().run_in_executor(
                self._threads, problem_of, settings, self._allow_private
            )
            try:
                problem = await asyncio.wait_for(work, settings.timeout)
            except TimeoutError:
                problem = f"no answer within {settings.timeout} s"
            except Refused as refused:
                return Look(service=service, status="unknown", at=at, reason=refused.reason)
            milliseconds = (perf_counter() - started) * 1000
        return Look(
            service=service,
            status="unhealthy" if problem else "healthy",
            at=at,
            milliseconds=round(milliseconds, 3),
            reason=problem,
        )

    def close(self) -> None:
        """Take no more work; what still runs ends by its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def problem_of(settings: CheckSettings, allow_private: bool) -> str | None:
    """What is wrong with a check's target, in words; None if nothing. Blocks. Raises Refused."""
    try:
        if settings.is_address:
            return _address(settings, allow_private)
        return _url(settings, allow_private)
    except Refused:
        raise
    except TimeoutError:
        return f"no answer within {settings.timeout} s"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError:
        return "it does not speak TLS as it should"
    except socket.gaierror:
        return "the host name is unknown"
    except HTTPException:
        return "it does not speak HTTP as it should"
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()


def _address(settings: CheckSettings, allow_private: bool) -> str | None:
    parts = urlsplit(settings.target)
    assert parts.hostname
    assert parts.port
    connect(
        parts.hostname, parts.port, seconds=settings.timeout, allow_private=allow_private
    ).close()
    return None


def _url(settings: CheckSettings, allow_private: bool) -> str | None:
    status, body = exchange(
        "GET",
        settings.target,
        None,
        {"User-Agent": "errata", "Accept": "*/*", "Accept-Encoding": "identity"},
        seconds=settings.timeout,
        allow_private=allow_private,
    )
    if status != settings.expected_status:
        return f"it answered {status}, not {settings.expected_status}"
    if settings.body_text is not None and settings.body_text.encode() not in body:
        return "its answer does not hold the expected text"
    return None
