"""A PostgreSQL that is there and says nothing: frozen, or behind a network that drops everything.

No setting of a connection helps then: the server's own timeouts stand still with it, and those of
TCP know nothing of a process that is frozen, or of a socket on the same host. Cancelling the task
that waits, as asyncio.timeout does, takes ten seconds more: psycopg first asks the server to
cancel, and then waits for what it says. So the connection is broken at our own end.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Timer
from typing import Any

import psycopg


class Silent(psycopg.OperationalError):
    """The server has said nothing for so long that the connection was given up."""


@contextmanager
def hung_up_after(
    seconds: float, connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]
) -> Iterator[None]:
    """Break a connection unless the block is done in time, which then raises Silent.

    An asynchronous connection's block runs in its event loop; of the other kind, each costs a
    thread. What the server does with what it was sent is not known then.
    """
    line = _Line(connection.fileno())
    timer: asyncio.TimerHandle | Timer
    if isinstance(connection, psycopg.AsyncConnection):
        timer = asyncio.get_running_loop().call_later(seconds, line.hang_up)
    else:
        timer = Timer(seconds, line.hang_up)
        timer.daemon = True
        timer.start()
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if line.hung_up:
            raise Silent(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
        line.close()


class _Line:
    """A second handle of a connection's socket: the first may be closed by now, and its number be
    that of another file."""

    def __init__(self, socket_number: int) -> None:
        self.hung_up = False
        self._number = os.dup(socket_number)
        self._closed = False
        self._lock = Lock()

    def hang_up(self) -> None:
        """Whoever reads or writes at the other handle hears that the connection is gone."""
        with self._lock:
            if self._closed:
                return
            self.hung_up = True
            with suppress(OSError), socket.socket(fileno=os.dup(self._number)) as end:
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the handle."""
        with self._lock:
            self._closed = True
            os.close(self._number)
