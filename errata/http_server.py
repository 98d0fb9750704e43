"""The API's HTTP server: granian, one process for each listening socket.

The supervisor opens the sockets and keeps them: nobody else can take the port while a process is
being restarted, and its clients wait in the socket's queue instead of being refused.
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import signal
import socket
from typing import Any

_BACKLOG = 2_048
_CONNECTIONS = 4_096
"""Connections served at once by a process; granian lets further ones wait in the backlog."""
_READY_SECONDS = 1.0
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # addresses meant by "all"


Listener = socket.socket


class CannotListen(Exception):
    """The address cannot be listened on; the message is one line for a person."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        taken = error.errno == errno.EADDRINUSE
        what = "the port is in use" if taken else (error.strerror or str(error))
        super().__init__(f"cannot listen on {host}:{port}: {what}")
        self.taken = taken


def listen(host: str, port: int, count: int) -> list[Listener]:
    """`count` sockets on one port; the kernel spreads new connections over them.

    Raises CannotListen, also when the port belongs to a process that would share it.
    """
    opened: list[Listener] = []
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family) as probe:  # without SO_REUSEPORT nobody shares with us
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        for _ in range(count):
            listener = socket.socket(family)
            opened.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        close(opened)
        raise CannotListen(host, port, error) from error
    return opened


def close(listeners: list[Listener]) -> None:
    """Close the sockets; a second call does nothing."""
    for listener in listeners:
        listener.close()


def serve(listener: Listener) -> None:
    """Answer requests on the socket until SIGTERM; what has begun is finished.

    Raises SystemExit(1) when the application does not start.
    """
    import uvloop

    from errata.collector import collect_seldom
    from errata.server import create

    collect_seldom()
    app = create()
    uvloop.run(_serve(app, listener))


async def _serve(app: Any, listener: Listener) -> None:
    # granian's own supervisor would be a second parent between us and the server process; its
    # embedded server is the same server in this process, as fast (46,000 bare requests/s).
    from granian._granian import SocketHolder
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server.embed import Server

    from infra.logs import granian_logging

    open_socket: Any = SocketHolder  # as granian's own pickling calls it; its types do not say

    class OnSocket(Server):
        """granian's embedded server on a socket that is open already."""

        _shd: Any

        def _init_shared_socket(self) -> None:
            descriptor = os.dup(listener.fileno())  # the holder closes what it is given
            self._shd = open_socket(descriptor, False, _BACKLOG)

    server = OnSocket(
        app,
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
        log_level=LogLevels.error,
        log_dictconfig=granian_logging(),
        log_access=False,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()
    if server.interrupt_children:  # it ended without being asked to
        raise SystemExit(1)


def reachable(host: str) -> str:
    """The address at which a server listening on `host` answers from this machine."""
    return _UNSPECIFIED.get(host, host)


def not_ready(host: str, port: int) -> str | None:
    """Why /health/ready does not say yes; None when it does."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=_READY_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read(1_000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    finally:
        connection.close()
    return None if answer.status == 200 else body
