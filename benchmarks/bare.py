"""The ceiling of any handler: Litestar on the same server, reading a body and answering 201.

Run as a program it serves until SIGTERM: `python -m benchmarks.bare PORT PROCESSES`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvloop
from litestar import Litestar, Request, Response, post

from benchmarks.instance import free_port
from errata import http_server
from errata.children import Child
from errata.supervisor import StopSignals, Supervisor

ANSWER = b'{"data":"' + b"x" * 1_000 + b'","status":"success"}'


@post("/api/errors", status_code=201)
async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Read the body, answer 1 KB."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """A bare server with as many processes as Errata takes by default; gives its port
    and its process number."""
    port = free_port()
    processes = min(2, os.cpu_count() or 1)
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(processes)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        if not server.stdout.readline():
            raise RuntimeError("the bare server did not start; its error is above")
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(10)


def main() -> None:
    """Serve as `errata api` does, with the bare application in the place of Errata's."""
    port, processes = int(sys.argv[1]), int(sys.argv[2])
    signals = StopSignals()
    listeners = http_server.listen("127.0.0.1", port, processes)
    children = [Child("api", partial(_serve, one)) for one in listeners]
    supervisor = Supervisor(children, forget=lambda pid: None)
    supervisor.start()
    print("listening", flush=True)  # whoever connects now waits in the sockets' queues
    while not signals.wanted:
        supervisor.tend()
        time.sleep(0.05)
    supervisor.stop()
    http_server.close(listeners)


def _serve(listener: http_server.Listener) -> None:
    app = Litestar([take], openapi_config=None, logging_config=None)
    uvloop.run(http_server._serve(app, listener))


if __name__ == "__main__":
    main()
